"""The candidate's ONNX graph, where the champion has one: a search without torch must follow it."""

from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
from prefect.logging import get_logger

from perennial.model.digest import directory_digest
from perennial.model.layout import is_static
from perennial.model.onnx.exported import Exported, export_digests, export_proven
from perennial.model.onnx.proof import Proof
from perennial.verbs.exporting.export import texts_for_proof
from tasks.run import Run


def candidate_graph(run: Run) -> Exported | None:
    """The export of the trained encoder; None where nobody asked for one, or it is static.

    Kept for a run that is continued: the release must get the same id. Raises Refused, BadInput.
    """
    encoder = run.workspace.artifacts("train") / "encoder"
    champion = run.read("snapshot/champion/manifest.json")
    if champion.get("onnx") is None or is_static(encoder):
        return None
    folder, digest = run.workspace.work("register") / "onnx", directory_digest(encoder)
    if (folder.parent / "graph.json").exists():
        kept = run.read("work/register/graph.json")
        digests = tuple(kept["digests"])
        if kept["encoder"] == digest and digests == export_digests(folder):
            return Exported(folder, digest, digests, kept["exporter"], Proof(**kept["proof"]))
    queries = run.workspace.artifacts("index") / "references" / "queries.parquet"
    texts = texts_for_proof(run.workspace.table("catalogue"), _queries(queries))
    exported = export_proven(encoder, folder, texts=texts, say=get_logger(__name__).info)
    about = {
        "encoder": digest,
        "digests": exported.digests,
        "exporter": exported.exporter,
        "proof": asdict(exported.proof),
    }
    run.note("register", "graph", about)
    return exported


def _queries(path: Path) -> list[str]:
    with pq.ParquetFile(path) as file:
        return [query for query in file.read(columns=["query"])["query"].to_pylist() if query]
