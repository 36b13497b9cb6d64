"""The first champion: a static encoder that learned from the catalogue alone, or a given one."""

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from perennial.data.documents import indexed_texts
from perennial.data.pairs import teachable_pairs
from perennial.errors import BadInput, Refused
from perennial.model.layout import read_modules
from perennial.params.whole import Params
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.publish import promote, publish
from perennial.release.stores.durable import usable
from perennial.release.stores.store import Store
from perennial.stages.index import Indexed, index_catalogue

_SAFE_FILES = ["*.json", "*.txt", "*.safetensors", "*.model"]


def bootstrap(
    *,
    catalogue: pd.DataFrame,
    params: Params,
    store: Store,
    channel: str,
    encoder: str | None,
    now: datetime,
    who: str,
    key: bytes | None,
    vectors: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Manifest:
    """Make, publish and promote the first release; raises Refused where the channel serves one.

    The folder `vectors` keeps what was embedded, for a run that goes on and for every reindex.
    """
    if (serving := store.read_channel(channel)) is not None:
        raise Refused(
            f"channel {channel} already serves {serving.stable}; a new encoder comes by a retrain: "
            "python -m flows.retrain"
        )
    texts = indexed_texts(catalogue)
    if not texts:
        raise BadInput("the catalogue is empty; import one first: perennial import apidocs")
    with usable(Path("the temporary folder")), tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "encoder"
        if encoder is not None:
            fetch_encoder(encoder, directory)
        else:
            say(f"training a tokenizer and a static encoder on {len(texts)} documents")
            first_encoder(directory, catalogue, params)
        say("building the index")
        indexed: Indexed = index_catalogue(
            catalogue,
            encoder=directory,
            asked=None,
            to=Path(folder),
            vectors=vectors or Path(folder) / "vectors",
            section=params.index,
        )
        manifest = publish(
            store,
            encoder=directory,
            index=Path(folder) / "index",
            references=Path(folder) / "references",
            catalogue=indexed.catalogue,
            health=indexed.health,
            provenance={},
            parent=None,
            created_at=now,
            key=key,
        )
    promote(store, channel, manifest.release_id, now=now, why="bootstrap", who=who, key=key)
    return manifest


def first_encoder(
    directory: Path,
    catalogue: pd.DataFrame,
    params: Params,
    *,
    dimension: int | None = None,
    seed: int | None = None,
) -> None:
    """Write the first encoder that the section bootstrap asks for, or one of another width or seed;
    no held-out query teaches it."""
    section = params.bootstrap
    train_first_encoder(
        directory,
        catalogue=catalogue,
        dimension=section.dimension if dimension is None else dimension,
        vocabulary=section.vocabulary,
        epochs=section.epochs,
        batch_queries=section.batch_queries,
        learning_rate=section.learning_rate,
        margin=section.margin,
        max_tokens=params.train.max_tokens,
        held_out_share=params.split.held_out_share,
        salt=params.split.salt,
        seed=section.seed if seed is None else seed,
    )


def train_first_encoder(
    directory: Path,
    *,
    catalogue: pd.DataFrame,
    dimension: int,
    vocabulary: int,
    epochs: int,
    batch_queries: int,
    learning_rate: float,
    margin: float,
    max_tokens: int,
    held_out_share: float,
    salt: str,
    seed: int,
) -> None:
    """Write a static encoder: random vectors weighted by idf, taught by the catalogue itself."""
    from perennial.model.examples import pairs
    from perennial.model.losses.schedule import Fixed
    from perennial.model.losses.triplet import TripletLoss
    from perennial.model.static import tokenize
    from perennial.model.tokenizer import train_tokenizer
    from perennial.model.train import fine_tune, pick_device
    from perennial.model.trainable import TrainableStatic

    texts = indexed_texts(catalogue)
    tokenizer = train_tokenizer(texts, vocabulary=vocabulary)
    tokenizer.enable_truncation(max_length=max_tokens)
    ids, offsets = tokenize(tokenizer, texts)
    weight = inverse_document_frequency(ids, offsets, tokens=tokenizer.get_vocab_size())
    start = np.random.default_rng(seed).standard_normal((len(weight), dimension))
    vectors = (start / np.sqrt(dimension) * weight[:, None]).astype(np.float32)
    model = TrainableStatic(tokenizer, vectors, max_tokens=max_tokens, device=pick_device())
    sentences, rests = teachable_pairs(catalogue, held_out_share=held_out_share, salt=salt)
    if len(sentences) >= 2:  # else the pages are single sentences, and idf alone must do
        fine_tune(
            model,
            pairs(sentences, rests),
            held_triplets=np.empty(0, dtype=np.int64),
            replay=None,
            replay_size=0,
            loss=TripletLoss(Fixed(margin)),
            epochs=epochs,
            batch_size=batch_queries,
            hard_negatives=0,
            learning_rate=learning_rate,
            warmup_share=0.0,
            weight_decay=0.0,
            patience=epochs,
            checkpoint_steps=1,
            seed=seed,
            checkpoint=None,
        )
    model.save(directory)


def inverse_document_frequency(ids: np.ndarray, offsets: np.ndarray, *, tokens: int) -> np.ndarray:
    """(tokens,) float64 log((n + 1) / (df + 1)) over n texts; a rare token weighs more."""
    documents = len(offsets) - 1
    owner = np.repeat(np.arange(documents, dtype=np.int64), np.diff(offsets))
    distinct = np.unique(owner * tokens + ids)
    frequency = np.bincount(distinct % tokens, minlength=tokens)
    return np.asarray(np.log((documents + 1) / (frequency + 1)))


def fetch_encoder(encoder: str, directory: Path) -> None:
    """Copy a local SentenceTransformer directory, or download a hub id; checked before use."""
    source = Path(encoder)
    if source.is_dir():
        read_modules(source)
        shutil.copytree(source, directory)
        return
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download

    try:  # files that can carry code are not even fetched
        fetched = snapshot_download(encoder, allow_patterns=_SAFE_FILES)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{encoder!r} is neither a folder nor a model that the hub gives "
            f"({' '.join(str(error).split())}); name one of the two"
        ) from error
    read_modules(Path(fetched))
    shutil.copytree(fetched, directory, ignore=shutil.ignore_patterns(".*"))
