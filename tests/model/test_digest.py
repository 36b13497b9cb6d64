"""Digests: any byte, name or file changes them, and nothing else does."""

import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from perennial.model.digest import directory_digest, file_digest, text_digest


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


FILES = {"modules.json": b"[]", "1_Pooling/config.json": b"{}", "model.safetensors": b"\0" * 99}


def test_a_directory_has_the_digest_that_the_format_says(tmp_path: Path) -> None:
    lines = sorted(f"{n}\t{hashlib.sha256(c).hexdigest()}\n" for n, c in FILES.items())
    wanted = "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()
    assert directory_digest(write(tmp_path, FILES)) == wanted


def test_any_byte_name_or_file_changes_the_digest(tmp_path: Path) -> None:
    changes: list[dict[str, bytes]] = [
        FILES,
        FILES | {"model.safetensors": b"\0" * 98 + b"\1"},
        FILES | {"empty": b""},
        {name: content for name, content in FILES.items() if name != "modules.json"},
        {f"{name}x": content for name, content in FILES.items()},
        {name.replace("1_Pooling", "2_Pooling"): content for name, content in FILES.items()},
    ]
    digests = {
        directory_digest(write(tmp_path / str(number), files))
        for number, files in enumerate(changes)
    }
    assert len(digests) == len(changes)


def test_the_order_of_writing_and_empty_folders_change_nothing(tmp_path: Path) -> None:
    one = write(tmp_path / "one", FILES)
    two = write(tmp_path / "two", dict(reversed(FILES.items())))
    (two / "empty").mkdir()
    assert directory_digest(one) == directory_digest(two)


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5_000
    (tmp_path / "f").write_bytes(content)
    assert file_digest(tmp_path / "f") == "sha256:" + hashlib.sha256(content).hexdigest()


@given(st.lists(st.text(), min_size=2, max_size=5, unique=True))
def test_other_texts_have_other_digests(texts: list[str]) -> None:
    assert len({text_digest(text) for text in texts}) == len(texts)
    assert text_digest(texts[0]) == text_digest(texts[0])


def test_half_a_surrogate_pair_has_a_digest_too() -> None:
    assert text_digest("\ud83d") != text_digest("?")
