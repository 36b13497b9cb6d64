"""A release once more, without some documents: their rows physically left out, the rest as it was.

A segment that several releases share is rewritten once; only their tombstones differ.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa

from perennial.errors import Refused
from perennial.index.codes import encoded
from perennial.index.compact import compact
from perennial.index.description import segment_row
from perennial.index.exact import stored_vectors
from perennial.index.factory import parse
from perennial.index.increment import write_tombstones
from perennial.index.lexical.file import SUFFIX, read_postings, write_postings
from perennial.index.lexical.postings import merged
from perennial.index.segment import Segment, write_names, write_segment
from perennial.index.template import fingerprint, train_template, write_template
from perennial.release.forgetting.sources import Sources
from perennial.release.manifests.documents import segment_rows
from perennial.release.manifests.folder import index_json
from perennial.release.manifests.manifest import Manifest
from perennial.release.manifests.parts import SegmentPart, WaitingPart

_QUANTIZER_SEED = 5
# How near a decoded vector is to the one that a centroid may be; a false alarm costs a training.
_NEAR = {"Flat": 0.99999, "SQ8": 0.99, "PQ": 0.95}


@dataclass
class Rewriter:
    """What all rewritten releases of one store share: the documents, a folder, segments done."""

    sources: Sources
    folder: Path
    rewritten: dict[Path, dict[str, Any]] = field(default_factory=dict)

    def rewrite(self, manifest: Manifest, to: Path) -> int:
        """Write into `to` the index folder of the release's successor: index.json and new files.

        How many rows were left out. Raises Refused where nothing would remain.
        """
        to.mkdir(parents=True)
        about = json.loads(index_json(manifest))
        hidden = [int(self.sources.hidden(each).sum()) for each in manifest.index.segments]
        waiting = [int(self.sources.hidden(each).sum()) for each in manifest.index.waiting]
        if hidden == [each.rows for each in manifest.index.segments]:
            raise Refused(
                f"{manifest.release_id} holds no other document; remove the whole release instead: "
                "promote another one, then `perennial sweep --delete`"
            )
        if self._must_train(manifest):
            self._train_again(manifest, about, to)
        else:
            pairs = zip(about["segments"], manifest.index.segments, strict=True)
            rows = [self._without(row, segment, manifest, to) for row, segment in pairs]
            about["segments"] = [row for row in rows if row["rows"]]
        if sum(waiting):
            rest = [self._words_without(each, to) for each in manifest.index.waiting]
            about["waiting"] = [row for row in rest if row["rows"]]
            if not about["waiting"]:
                del about["waiting"]
        (to / "index.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
        return sum(hidden) + sum(waiting)

    def _without(
        self, row: dict[str, Any], segment: SegmentPart, manifest: Manifest, to: Path
    ) -> dict[str, Any]:
        hidden, stem = self.sources.hidden(segment), Path(row["vectors"]).stem
        if not hidden.any():
            return row
        files, template = self.sources.files(segment), self.sources.template(manifest)
        place = self.folder / files.name
        if place not in self.rewritten:
            self.rewritten[place] = compact(
                files,
                place,
                segments=[row | {"tombstones": None, "live": row["rows"]}],
                name=stem,
                template=None if template is None else template[0],
                factory=manifest.index.factory,
                seed=_QUANTIZER_SEED,
                without=self.sources.doc_ids,
            )
        new = dict(self.rewritten[place])
        for name in ("vectors", "ids", "lexical"):
            if name in new:
                (to / new[name]).hardlink_to(place / new[name])
        dead = self.sources.dead(segment)[~hidden]
        if dead.any():
            new["tombstones"] = write_tombstones(to, segment=stem, rows=np.flatnonzero(dead))
            new["live"] = new["rows"] - int(dead.sum())
        return new

    def _words_without(self, waiting: WaitingPart, to: Path) -> dict[str, Any]:
        """What waits for its vectors, less the documents; its row of index.json."""
        kept, files = ~self.sources.hidden(waiting), self.sources.words(waiting)
        row = {"ids": waiting.ids.path, "lexical": waiting.lexical.path, "rows": int(kept.sum())}
        if row["rows"] and not kept.all():
            table = segment_rows(self.sources.store, waiting).filter(pa.array(kept))
            write_names(to / waiting.ids.path, table)
            held = read_postings(files / waiting.lexical.path, rows=len(kept))
            write_postings(to / waiting.lexical.path, merged([(held, kept)]))
        return row

    def _must_train(self, manifest: Manifest) -> bool:
        """True where a centroid is one of the vectors, or an old segment has its own quantizer."""
        affected = [each for each in manifest.index.segments if self.sources.hidden(each).any()]
        if manifest.index.quantizer is None:
            opened = (self.sources.rows(manifest, each).vectors for each in affected)
            return any(isinstance(each, faiss.IndexIVF) for each in opened)
        template = self.sources.template(manifest)
        assert template is not None
        centroids = template[0].quantizer.reconstruct_n(0, template[0].nlist)
        lengths = np.linalg.norm(centroids, axis=1, keepdims=True)
        centroids = centroids / np.where(lengths == 0, 1, lengths)
        near = _NEAR[parse(manifest.index.factory, dimension=manifest.index_dimension).codes]
        found = (self.sources.found(manifest, each).vectors for each in affected)
        return any((centroids @ vectors.T >= near).any() for vectors in found)

    def _train_again(self, manifest: Manifest, about: dict[str, Any], to: Path) -> None:
        """One segment of all living rows but the documents', with a quantizer of their own."""
        numbered, ids, words = [], [], []
        for segment in manifest.index.segments:
            dead = self.sources.hidden(segment) | self.sources.dead(segment)
            parts = list(stored_vectors(Segment(self.sources.rows(manifest, segment), dead)))
            order = np.argsort(np.concatenate([numbers for numbers, _ in parts]))
            numbered.append(np.array(np.concatenate([part for _, part in parts])[order]))
            table = segment_rows(self.sources.store, segment)
            ids.append(table.filter(pa.array(~dead)))
            if segment.lexical is not None:
                path = self.sources.files(segment) / segment.lexical.path
                words.append((read_postings(path, rows=segment.rows), ~dead))
        vectors, table = np.concatenate(numbered), pa.concat_tables(ids)
        kind = parse(manifest.index.factory, dimension=vectors.shape[1])
        if len(vectors) < kind.least_rows:
            kind, about["search"] = parse("Flat", dimension=vectors.shape[1]), {}
        template = None
        if kind.kind == "IVF":
            template = train_template(vectors, factory=kind, seed=_QUANTIZER_SEED)
        write_segment(
            to,
            name="segment-0000",
            vectors=encoded(vectors, factory=kind, template=template),
            doc_ids=table["doc_id"].combine_chunks(),
            text_digests=table["text_digest"].combine_chunks(),
            slices=table["slice"].combine_chunks(),
            template=None if template is None else fingerprint(template),
        )
        lexical = None
        if words:
            lexical = f"segment-0000{SUFFIX}"
            write_postings(to / lexical, merged(words))
        about["factory"] = kind.name
        about["quantizer"] = None if template is None else write_template(to, template)
        about["segments"] = [segment_row("segment-0000", rows=len(vectors), lexical=lexical)]
