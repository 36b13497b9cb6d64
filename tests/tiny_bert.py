"""A BERT of few layers, 16 wide, of random weights: a transformer that learns in seconds."""

from pathlib import Path

import torch
from tiny_encoder import tokenizer
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

DIMENSION = 16


def write_tiny_bert(root: Path, *, layers: int = 1, dropout: float = 0.1) -> Path:
    """Write its SentenceTransformer directory below `root`; the directory."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    trained = Tokenizer.from_str(tokenizer().to_str())
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trained.add_special_tokens(special)
    trained.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, trained.token_to_id(name)) for name in special[2:]],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=trained, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(fast),
        hidden_size=DIMENSION,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    BertModel(config).save_pretrained(root / "bert")
    fast.save_pretrained(root / "bert")
    model = SentenceTransformer(
        modules=[Transformer(str(root / "bert")), Pooling(DIMENSION)], device="cpu"
    )
    model.save(str(root / "encoder"), create_model_card=False, safe_serialization=True)
    return root / "encoder"
