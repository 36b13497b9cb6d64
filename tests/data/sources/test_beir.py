"""BEIR folders: a handmade one, its mistakes, and (where they lie beside us) real ones."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perennial.data.sources.beir import read_beir
from perennial.errors import BadInput

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
CORPUS = [
    {"_id": "d1", "title": "Bees", "text": "Bees make honey.", "metadata": {"segment": "insects"}},
    {"_id": 2, "text": "Über 😀 und Ameisen.", "metadata": {}},
    {"_id": "d3", "title": None, "text": "Spiders have eight legs.", "metadata": None},
]
QUERIES = [
    {"_id": "q1", "text": "who makes honey"},
    {"_id": 7, "text": "how many legs"},
    {"_id": "q9", "text": "asked by nobody"},
]
HEADER = "query-id\tcorpus-id\tscore\n"
REAL = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    write(tmp_path / "corpus.jsonl", CORPUS)
    write(tmp_path / "queries.jsonl", QUERIES)
    (tmp_path / "qrels" / "train.tsv").write_text(f"{HEADER}q1\td1\t1\nq1\t2\t0\n7\td3\t9\n")
    (tmp_path / "qrels" / "test.tsv").write_text(f"{HEADER}q1\td1\t1\n7\t2\t2\n")
    return tmp_path


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n", encoding="utf-8")


def test_a_folder_becomes_a_catalogue_and_its_truth(folder: Path) -> None:
    catalogue, truth = read_beir(folder, updated_at=NOON)
    assert catalogue["doc_id"].tolist() == ["d1", "2", "d3"]
    assert catalogue["title"].tolist() == ["Bees", "", ""]
    assert catalogue["text"][1] == "Über 😀 und Ameisen."
    assert catalogue["slice"].fillna("none").tolist() == ["insects", "none", "none"]
    assert (catalogue["updated_at"] == NOON).all()
    assert [tuple(row) for row in truth.to_numpy()] == [
        ("how many legs", "2", 2),
        ("how many legs", "d3", 3),  # grades end at 3
        ("who makes honey", "d1", 1),  # judged in two splits, known once; a 0 is no answer
    ]


def test_packed_files_read_as_plain_ones(folder: Path, tmp_path: Path) -> None:
    catalogue, truth = read_beir(folder, updated_at=NOON)
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    packed, packed_truth = read_beir(folder, updated_at=NOON)
    assert packed.equals(catalogue) and packed_truth.equals(truth)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"_id": "d4", "text": ', r"corpus\.jsonl, line 5 is not JSON"),
        ('["d4", "a list"]', r"corpus\.jsonl, line 5 is no object with _id and text"),
        ('{"_id": "d4"}', r"corpus\.jsonl, line 5 is no object with _id and text"),
    ],
)
def test_a_broken_line_is_named_by_its_number(folder: Path, line: str, says: str) -> None:
    with (folder / "corpus.jsonl").open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(BadInput, match=says):
        read_beir(folder, updated_at=NOON)


def test_a_packed_file_that_ends_too_soon_is_named(folder: Path) -> None:
    packed = gzip.compress((folder / "corpus.jsonl").read_bytes())
    (folder / "corpus.jsonl").unlink()
    (folder / "corpus.jsonl.gz").write_bytes(packed[:-20])
    with pytest.raises(BadInput, match=r"corpus\.jsonl\.gz cannot be read after line"):
        read_beir(folder, updated_at=NOON)


def test_bytes_that_are_no_text_are_named(folder: Path) -> None:
    (folder / "queries.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"queries\.jsonl cannot be read after line 0"):
        read_beir(folder, updated_at=NOON)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BadInput, match=rf"{name} \(or {name}\.gz\) is missing"):
        read_beir(folder, updated_at=NOON)


def test_a_folder_without_judgements_says_so(folder: Path) -> None:
    for path in (folder / "qrels").iterdir():
        path.unlink()
    with pytest.raises(BadInput, match=r"qrels holds no \.tsv file"):
        read_beir(folder, updated_at=NOON)


@pytest.mark.parametrize("text", ["q1 d1 1\n", f"{HEADER}q1\td1\tvery\n", ""])
def test_judgements_of_another_shape_are_named(folder: Path, text: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(text)
    with pytest.raises(BadInput, match=r"test\.tsv is not a table of query-id, corpus-id and sco"):
        read_beir(folder, updated_at=NOON)


def test_a_judgement_of_an_unknown_query_is_not_dropped_in_silence(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text(f"{HEADER}q99\td1\t1\n")
    with pytest.raises(BadInput, match=r"a query that queries\.jsonl does not have.*'q99'"):
        read_beir(folder, updated_at=NOON)


@pytest.mark.parametrize(
    ("name", "documents", "queries"), [("scifact", 5_183, 1_105), ("medquad", 16_407, 14_345)]
)
def test_real_folders_read_whole(name: str, documents: int, queries: int) -> None:
    if not (REAL / name).is_dir():
        pytest.skip(f"the data set {name} does not lie beside this checkout")
    catalogue, truth = read_beir(REAL / name, updated_at=NOON)
    assert len(catalogue) == documents and catalogue["doc_id"].is_unique
    assert truth["query"].nunique() == queries
    assert set(truth["doc_id"]) <= set(catalogue["doc_id"])
