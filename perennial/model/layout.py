"""What a SentenceTransformer directory may contain, checked before any of it is loaded."""

import json
from pathlib import Path

from perennial.errors import BadInput

ALLOWED_MODULES = frozenset(
    {"StaticEmbedding", "Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "Dropout"}
)
# Formats that can carry code: a store never ships them, a loader never meets them.
UNSAFE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".py"})


def read_modules(directory: Path) -> list[dict[str, str]]:
    """The rows of modules.json; raises BadInput for a layout that is unknown or could run code."""
    try:
        modules = json.loads((directory / "modules.json").read_text(encoding="utf-8"))
        rows = [{"type": str(row["type"]), "path": str(row["path"])} for row in modules]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f"{directory} is not a SentenceTransformer directory (no readable modules.json); "
            "save the encoder with SentenceTransformer.save and give that folder"
        ) from error
    for row in rows:
        package, _, name = row["type"].rpartition(".")
        if package.split(".")[0] != "sentence_transformers" or name not in ALLOWED_MODULES:
            raise BadInput(
                f"encoder module {row['type']} is not on the allow-list "
                f"({', '.join(sorted(ALLOWED_MODULES))}); encoders with code of their own are "
                "refused"
            )
        if not (directory / row["path"]).resolve().is_relative_to(directory.resolve()):
            raise BadInput(
                f"encoder module {row['type']} lies at {row['path']!r}, outside of {directory}; "
                "save the encoder with SentenceTransformer.save and give that folder"
            )
    unsafe = sorted(p.name for p in directory.rglob("*") if p.suffix.lower() in UNSAFE_SUFFIXES)
    if unsafe:
        raise BadInput(
            f"{directory} holds {unsafe[0]}, which can carry code; save the encoder as safetensors "
            "and remove that file"
        )
    return rows


def refuse_cut(directory: Path, *, width: int) -> None:
    """Raises BadInput where an encoder of so many coordinates is asked to cut its vectors only
    when it encodes: what learns would be wider than what serves."""
    try:
        config = json.loads((directory / "config_sentence_transformers.json").read_text("utf-8"))
    except (OSError, ValueError):
        return  # it says nothing
    cut = config.get("truncate_dim") if isinstance(config, dict) else None
    if isinstance(cut, int) and cut < width:
        raise BadInput(
            f"{directory} cuts its {width} coordinates to {cut} when it encodes (truncate_dim in "
            "config_sentence_transformers.json), but trains them all; remove truncate_dim there, "
            f"and set train.dimension to {cut} for an encoder that is cut for good"
        )


def is_static(directory: Path) -> bool:
    """True for a StaticEmbedding with or without Normalize, which needs no torch to be read."""
    names = [module["type"].rpartition(".")[2] for module in read_modules(directory)]
    return names in (["StaticEmbedding"], ["StaticEmbedding", "Normalize"])
