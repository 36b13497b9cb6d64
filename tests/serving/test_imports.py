import subprocess
import sys

PROGRAM = """
import sys
from pathlib import Path
from perennial.release.stores.local import LocalStore
from perennial.serving.searcher import Searcher

searcher = Searcher.open(LocalStore(Path(sys.argv[1])), "production", Path(sys.argv[2]))
assert searcher.search("word3", k=1).hits[0].doc_id == "first-3"
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
FORBIDDEN = {
    "prefect", "dvc", "mlflow", "great_expectations", "torch", "sentence_transformers",
    "transformers", "duckdb", "matplotlib", "bm25s", "tasks", "flows", "expectations",
}  # fmt: skip


def test_serving_a_static_encoder_needs_neither_torch_nor_any_orchestrator(store, tmp_path):
    command = [sys.executable, "-W", "error", "-c", PROGRAM, store.root, tmp_path / "cache"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not FORBIDDEN & set(done.stdout.split())
