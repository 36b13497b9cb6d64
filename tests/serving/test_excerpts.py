import pyarrow as pa
import pyarrow.parquet as pq

from perennial.serving.excerpts import Excerpt, read_excerpts


def write_catalogue(folder, text):
    rows = {"doc_id": ["a", "b"], "title": ["About a", "About b"], "text": [text, "short"]}
    pq.write_table(pa.table(rows), folder / "catalogue.parquet")


def test_an_excerpt_is_the_title_and_whole_first_words(tmp_path):
    write_catalogue(tmp_path, "many  words\n" * 100)
    found = read_excerpts(tmp_path, ["a", "missing"])
    assert found.keys() == {"a"}
    assert found["a"].title == "About a"
    assert found["a"].first_words.startswith("many words many")
    assert found["a"].first_words.endswith((" words …", " many …"))
    assert len(found["a"].first_words) <= 142
    assert read_excerpts(tmp_path, ["b"])["b"] == Excerpt("About b", "short")


def test_a_source_without_a_readable_catalogue_gives_no_excerpts(tmp_path):
    assert read_excerpts(tmp_path, ["a"]) == {}
    (tmp_path / "catalogue.parquet").write_bytes(b"not parquet")
    assert read_excerpts(tmp_path, ["a"]) == {}
    pq.write_table(pa.table({"doc_id": ["a"]}), tmp_path / "catalogue.parquet")
    assert read_excerpts(tmp_path, ["a"]) == {}
