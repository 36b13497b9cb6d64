"""A step of the optimizer is torch's own, without what torch imports around it."""

import torch
from torch import nn

from perennial.model.losses.schedule import Fixed
from perennial.model.losses.triplet import TripletLoss
from perennial.model.resumable import Resumable


def module() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(7, 5), nn.LayerNorm(5), nn.Linear(5, 1))


def test_steps_give_the_weights_of_torchs_own_to_the_bit() -> None:
    ours, theirs = module(), module()
    run = Resumable(
        ours, TripletLoss(Fixed(0.3)), checkpoint=None, learning_rate=0.02, weight_decay=0.1
    )
    twin = torch.optim.AdamW(theirs.parameters(), lr=0.02, weight_decay=0.1, fused=True)
    rows = torch.randn(16, 7)
    for _ in range(3):
        for one, optimizer in ((ours, run.optimizer), (theirs, twin)):
            optimizer.zero_grad()
            torch.autograd.backward(one(rows).square().sum())
        run.step()
        twin.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
