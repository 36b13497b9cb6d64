"""An export from end to end: the graph of an encoder, and the proof that it is that encoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perennial.errors import BadInput
from perennial.model.digest import file_digest
from perennial.model.encoder import load_encoder
from perennial.model.onnx.encoder import GRAPH, TOKENIZER, OnnxEncoder
from perennial.model.onnx.graph import export_graph
from perennial.model.onnx.proof import TEXTS, Proof, prove_equal


@dataclass(frozen=True)
class Exported:
    """A graph in a folder, whose it is, what made it, and how far it is from its encoder.

    The digests are those of the graph and the tokenizer that were proven.
    """

    folder: Path
    encoder_digest: str
    digests: tuple[str, str]
    exporter: str
    proof: Proof


def export_proven(
    encoder: Path, to: Path, *, texts: Sequence[str], say: Callable[[str], None]
) -> Exported:
    """Export an encoder's directory into `to`, and embed the same texts with both.

    Raises Refused where a vector differs, BadInput for a static encoder or fewer than TEXTS texts.
    """
    original = load_encoder(encoder)
    say("exporting the encoder")
    exporter = export_graph(encoder, to, digest=original.digest)
    if len(texts) < TEXTS:
        raise BadInput(
            f"there are {len(texts)} different texts in the catalogue and the log, and an export "
            f"is proven on {TEXTS:,}; give a catalogue with more words"
        )
    say(f"embedding {len(texts):,} texts with torch and with onnxruntime")
    digests = export_digests(to)
    proof = prove_equal(OnnxEncoder(to, digest=original.digest), original, texts)
    return Exported(to, original.digest, digests, exporter, proof)


def export_digests(folder: Path) -> tuple[str, str]:
    """The digests of the graph and the tokenizer that are in the folder now."""
    return file_digest(folder / GRAPH), file_digest(folder / TOKENIZER)
