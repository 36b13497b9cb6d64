"""From an encoder's directory to an ONNX graph, by torch's own exporter.

Pooling and normalisation are inside of the graph, so that nothing is left to be done otherwise.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perennial.errors import BadInput
from perennial.model.layout import is_static
from perennial.model.onnx.encoder import ENCODER, GRAPH, TOKENIZER

if TYPE_CHECKING:
    import onnx
    from sentence_transformers import SentenceTransformer

_DOMAINS = {"", "ai.onnx"}  # what every runtime has without libraries of others


def export_graph(directory: Path, to: Path, *, digest: str) -> str:
    """Write the graph and the tokenizer of the encoder `digest`; the exporter with its versions.

    The same encoder gives the same bytes. Raises BadInput where there is nothing to export, or the
    exporter cannot.
    """
    if is_static(directory):
        raise BadInput(
            f"encoder {digest} is static: numpy alone answers with it, without torch; there is "
            "nothing to export"
        )
    try:
        import onnx
        import onnxscript
        import torch
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise BadInput(
            f"{error.name} is not installed, and an export needs it; pip install 'perennial[onnx]'"
        ) from error
    model = SentenceTransformer(
        str(directory), trust_remote_code=False, local_files_only=True, device="cpu"
    )
    exporter = f"torch {torch.__version__}, onnx {onnx.__version__}, onnxscript "
    exporter += str(onnxscript.__version__)
    try:
        with _quiet():
            graph = _cleaned(_traced(model), digest=digest)
            data = graph.SerializeToString(deterministic=True)
    except Exception as error:  # each step of the exporter has errors of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BadInput(
            f"encoder {digest} cannot be exported by {exporter} ({reason}); serve it with "
            "PERENNIAL_RUNTIME=torch"
        ) from error
    to.mkdir(parents=True, exist_ok=True)
    (to / GRAPH).write_bytes(data)
    (to / TOKENIZER).write_text(_tokenizer(model), encoding="utf-8")
    return exporter


def _traced(model: "SentenceTransformer") -> "onnx.ModelProto":
    """(b, t) token ids and mask to (b, d) unit vectors; both axes are free."""
    import torch

    takes_types = "token_type_ids" in model.tokenizer.model_input_names

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            if takes_types:  # one text is of one type
                features["token_type_ids"] = torch.zeros_like(input_ids)
            pooled = self.encoder(features)["sentence_embedding"]
            return torch.nn.functional.normalize(pooled.float(), dim=1)

    ids = torch.tensor([[1, 2, 3, 4], [2, 3, 4, 0], [3, 4, 0, 0]])
    axes = {0: torch.export.Dim("texts", min=1), 1: torch.export.Dim("tokens", min=1)}
    program = torch.onnx.export(
        Graph().float().eval(),
        (ids, (ids > 0).long()),
        dynamo=True,
        verbose=False,
        input_names=["input_ids", "attention_mask"],
        output_names=["vectors"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes},
    )
    assert program is not None
    return program.model_proto


def _cleaned(model: "onnx.ModelProto", *, digest: str) -> "onnx.ModelProto":
    """The graph with its encoder's digest, and without the stack traces that name this machine."""
    import onnx

    graph = model.graph
    foreign = {each.domain for each in (*graph.node, *model.functions)} - _DOMAINS
    if foreign:
        raise ValueError(f"it needs operators of {', '.join(sorted(foreign))}")
    del graph.value_info[:]
    parts: list[Any] = [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]
    for function in model.functions:
        parts += [function, *function.node]
    for part in parts:
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.helper.set_model_props(model, {ENCODER: digest})
    onnx.checker.check_model(model)
    return model


def _tokenizer(model: "SentenceTransformer") -> str:
    """The tokenizer as it runs: cut where the encoder cuts, and without padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_padding()
    if model.max_seq_length is not None:
        tokenizer.enable_truncation(int(model.max_seq_length))
    return str(tokenizer.to_str(pretty=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of packages that nobody needs, and of its own dependencies' future."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
