"""A release that a reindex continues: its small files on the disk, its vectors only when asked."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow.parquet as pq

from perennial.errors import EncoderMismatch, Refused
from perennial.index.changes import HeldRows, read_held
from perennial.index.description import is_lexical
from perennial.index.exact import stored_vectors
from perennial.index.factory import Factory, parse
from perennial.index.segment import Segment, read_rows
from perennial.index.template import read_template
from perennial.model.encoder import Encoder, load_encoder
from perennial.release.caching.cache import ReleaseCache
from perennial.release.manifests.manifest import Manifest
from perennial.release.manifests.parts import StoredFile
from perennial.release.stores.durable import link_atomically
from perennial.release.stores.store import Store


class Base:
    """Files come into `folder` as links to verified objects: nothing may be written over them."""

    def __init__(
        self, store: Store, manifest: Manifest, *, cache: ReleaseCache, folder: Path
    ) -> None:
        if manifest.bridge is not None:
            raise Refused(
                f"{manifest.release_id} answers over a bridge to the index of encoder "
                f"{manifest.bridge.index_encoder}, which is reindexed with that encoder's own "
                "release; promote the full re-embedding first"
            )
        self.manifest, self.folder = manifest, folder
        self._store, self._cache = store, cache
        self._files = dict(manifest.files())

    @property
    def index(self) -> Path:
        """Where files of the index are, as far as they were brought."""
        return self.folder / "index"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The segments as index.json tells them."""
        return [
            {
                "vectors": part.vectors.path,
                "ids": part.ids.path,
                "tombstones": part.tombstones.path if part.tombstones else None,
                "rows": part.rows,
                "live": part.live,
            }
            | ({"lexical": part.lexical.path} if part.lexical else {})
            for part in self.manifest.index.segments
        ]

    @property
    def is_lexical(self) -> bool:
        """True where it answers by words, too: then all that continues it does."""
        return is_lexical(self.rows)

    @property
    def factory(self) -> Factory:
        """The type of its index; raises BadInput for one that is no longer tested."""
        return parse(self.manifest.index.factory, dimension=self.manifest.index_dimension)

    @cached_property
    def held(self) -> list[HeldRows]:
        """What each segment holds, by its ids and tombstones alone."""
        found = []
        for row in self.rows:
            self.bring(name for name in (row["ids"], row["tombstones"]) if name)
            found.append(read_held(self.index, ids=row["ids"], tombstones=row["tombstones"]))
        return found

    @cached_property
    def template(self) -> tuple[faiss.IndexIVF, str] | None:
        """The quantizer that the lineage trained, and its fingerprint; None where it has none."""
        quantizer: StoredFile | None = self.manifest.index.quantizer
        if quantizer is None:
            return None
        self.bring([quantizer.path])
        return read_template(self.index / quantizer.path, dimension=self.manifest.index_dimension)

    @property
    def encoder_folder(self) -> Path:
        """Where `encoder` puts the release's encoder."""
        return self.folder / "encoder"

    def encoder(self, *, batch_size: int) -> Encoder:
        """The release's encoder; raises EncoderMismatch where its files make another."""
        self._place(path for path in self._files if path.startswith("encoder/"))
        encoder = load_encoder(self.encoder_folder, batch_size=batch_size)
        if encoder.digest != self.manifest.encoder.digest:
            raise EncoderMismatch(
                f"the files of {self.manifest.release_id} make encoder {encoder.digest}, its "
                f"manifest says {self.manifest.encoder.digest}; run `perennial verify`"
            )
        return encoder

    def queries(self) -> list[str]:
        """The reference queries; none before the first log."""
        if self.manifest.references is None:
            return []
        path = f"references/{self.manifest.references.queries.path}"
        self._place([path])
        with pq.ParquetFile(self.folder / path) as file:
            return list(file.read(columns=["query"])["query"].to_pylist())

    def vectors_at(self, origins: np.ndarray) -> np.ndarray:
        """(m, 2) segments and rows to the (m, d) vectors that are stored there."""
        out = np.empty((len(origins), self.manifest.index_dimension), dtype=np.float32)
        for number in np.unique(origins[:, 0]).tolist():
            row = self.rows[number]
            self.bring([row["vectors"], row["ids"]])
            rows = read_rows(
                self.index,
                vectors=row["vectors"],
                ids=row["ids"],
                template=self.template,
                mmap=True,
            )
            place = np.full(len(rows), -1)
            here = np.flatnonzero(origins[:, 0] == number)
            place[origins[here, 1]] = here
            for found, vectors in stored_vectors(Segment(rows, place < 0)):
                out[place[found]] = vectors
        return out

    def bring(self, names: Iterable[str]) -> None:
        """Make these files of the index be in the folder."""
        self._place(f"index/{name}" for name in names)

    def assemble(
        self, to: Path, rows: Sequence[Mapping[str, Any]], *, fresh: Path, words: bool = False
    ) -> Path:
        """`to`, with every file of the segments: those of the folder `fresh`, else this release's.
        Their postings only with `words`.

        Only links are made where there can be any, and only files that are not there yet; `fresh`
        must have index.json last.
        """
        to.mkdir(parents=True, exist_ok=True)
        quantizer = self.manifest.index.quantizer
        kinds = ("vectors", "ids", "tombstones", *(("lexical",) if words else ()))
        names = [row.get(kind) for row in rows for kind in kinds]
        for name in [*names, quantizer.path if quantizer else None]:
            if name is None or (to / name).exists():
                continue
            if not (fresh / name).exists():
                self.bring([name])
            source = (fresh if (fresh / name).exists() else self.index) / name
            if not link_atomically(source, to / name, ()):
                shutil.copyfile(source, to / name)  # a file system that knows no links
        return to

    def provenance(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What made the encoder, with what is known of this reindex over it."""
        return asdict(replace(self.manifest.provenance, **given))

    def _place(self, paths: Iterable[str]) -> None:
        for path in paths:
            if not (self.folder / path).exists():
                self._cache.place(self._store, self._files[path].digest, self.folder / path)
