"""The catalogue of the corpus: ids and texts by document number, and a file of them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from infra.bench.corpus import Change, Corpus, doc_ids
from perennial.data.catalogue import Documents
from perennial.data.schema import CATALOGUE
from perennial.model.digest import text_digests
from perennial.model.static import write_static

WORDS = 5_000
_TEXT_WORDS = 60  # about 450 characters


@dataclass
class Catalogue:
    """What every document is called and what its text's version is; `live` says which are there."""

    names: np.ndarray  # (n,) str, of every number that there will be
    digests: np.ndarray  # (n,) str
    versions: np.ndarray  # (n,) updates at which the text was written
    live: np.ndarray  # (n,) bool

    @classmethod
    def of(cls, corpus: Corpus) -> "Catalogue":
        """The catalogue before the first update."""
        shape = corpus.shape
        every = np.arange(shape.documents + shape.updates * shape.moved)
        names = np.array(doc_ids(every), dtype=object)
        versions = np.zeros(len(every), dtype=int)
        return cls(names, _digests(every, versions), versions, every < shape.documents)

    def apply(self, change: Change, *, update: int) -> None:
        """Replaced and added documents get a new text, deleted ones go."""
        self.versions[change.written] = update
        self.digests[change.written] = _digests(change.written, self.versions[change.written])
        self.live[change.written] = True
        self.live[change.deleted] = False

    @property
    def numbers(self) -> np.ndarray:
        """The live documents, ascending: the order of `documents`."""
        return np.flatnonzero(self.live)

    def documents(self, at: datetime) -> Documents:
        """The live documents as the comparison takes them."""
        ids = pa.array(self.names[self.live], pa.string())
        digests = pa.array(self.digests[self.live], pa.string())
        mark = at.isoformat().replace("+00:00", "Z")
        slices = pa.nulls(len(ids), pa.string())
        return Documents(Path("memory"), ids, digests, slices, mark, np.arange(len(ids)))

    def vectors_of(self, fresh: np.ndarray, change: Change) -> np.ndarray:
        """(m,) rows of `documents` that changed to their (m, d) vectors."""
        order = np.argsort(change.written)
        written = change.written[order]
        assert np.array_equal(self.numbers[fresh], written), "what was written, and no other"
        return np.ascontiguousarray(change.vectors[order])

    def texts_of(self, rows: np.ndarray) -> list[str]:
        """The texts of (m,) rows of `documents`."""
        numbers = self.numbers[rows]
        return list(texts(numbers, self.versions[numbers]).to_pylist())

    def write(self, path: Path, at: datetime) -> None:
        """The table catalogue, with its texts."""
        numbers = self.numbers
        columns = {
            "doc_id": pa.array(self.names[numbers], pa.string()),
            "title": pa.array([""] * len(numbers)),
            "text": texts(numbers, self.versions[numbers]),
            "slice": pa.nulls(len(numbers), pa.string()),
            "updated_at": pa.array([at] * len(numbers)),
        }
        fields = [CATALOGUE.field(name) for name in columns]
        columns = {f.name: columns[f.name].cast(f.type) for f in fields}
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns, schema=pa.schema(fields)), path)


def texts(numbers: np.ndarray, versions: np.ndarray) -> pa.LargeStringArray:
    """A text of 60 words for each (document number, version)."""
    words = [f"word{i}" for i in np.random.default_rng(0).integers(1, WORDS, WORDS)]
    tails = [" ".join(words[i : i + _TEXT_WORDS]) for i in range(WORDS - _TEXT_WORDS)]
    pairs = zip(numbers.tolist(), versions.tolist(), strict=True)
    made = [f"{number} {version} {tails[number % len(tails)]}" for number, version in pairs]
    return pa.array(made, pa.large_string())


def write_encoder(folder: Path, *, dimension: int) -> None:
    """A small static encoder of the texts' words: valid, quick, and of the vectors' dimension."""
    unknown = "[UNK]"
    vocabulary = {unknown: 0} | {f"word{i}": i for i in range(1, WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.random.default_rng(0).standard_normal((WORDS, dimension), dtype=np.float32)
    write_static(folder, tokenizer, vectors, max_tokens=256)


def _digests(numbers: np.ndarray, versions: np.ndarray) -> np.ndarray:
    return np.array(text_digests(texts(numbers, versions)).to_pylist(), dtype=object)
