"""All that lies below a folder as text, to look for what must not be there."""

from pathlib import Path

import pyarrow.parquet as pq


def everything(folder: Path) -> dict[Path, str]:
    """Every file's bytes as Latin-1; what parquet packs is unpacked."""
    told = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        data = path.read_bytes()
        if data[:4] == b"PAR1":
            told[path] = repr(pq.ParquetFile(path).read().to_pylist())
        else:
            told[path] = data.decode("latin-1")
    return told
