"""An import that is killed anywhere leaves the old source or the new one, and nothing between."""

import shutil

import pyarrow.parquet as pq
import pytest

from perennial.verbs.arriving import arriving, settle


def read(source):
    """Every file that counts, after what a reader does first."""
    settle(source)
    found = {p.relative_to(source): p for p in source.rglob("*.parquet")}
    return {
        name: path.read_bytes() for name, path in found.items() if not name.parts[0].startswith(".")
    }


@pytest.fixture
def folders(world, make_world, tmp_path):
    """(what was imported before, what is imported now)."""
    first = make_world(seed=3).write_source(tmp_path / "first")
    return first, world.write_source(tmp_path / "second")


def die_everywhere(tmp_path, run, killed_verb, first, second, *, stride=1):
    """What each killed import left of its source: `old`, or `new`, in the order of the steps."""

    def import_into(folder, path):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            code, _, err = run("import", "parquet", "--path", path)
            assert code == 0, err
        return read(folder / "home" / "source")

    folder, whole = tmp_path / "before", tmp_path / "whole"
    for each in (folder, whole):
        each.mkdir()
        shutil.copy(tmp_path / "params.yaml", each)
    old, new = import_into(folder, first), import_into(whole, second)
    assert old.keys() == new.keys() and all(old[name] != new[name] for name in old)
    killed = killed_verb(folder, "import", "parquet", "--path", str(second), stride=stride)
    found = [read(each / "home" / "source") for each in killed]
    assert all(each in (old, new) for each in found)
    seen = ["new" if each == new else "old" for each in found]
    assert seen == sorted(seen, reverse=True) and seen[0] == "old"
    for each in (killed[0], killed[len(killed) // 2], killed[-1]):
        assert import_into(each, first) == old, "what a killed import left is in nobody's way"
        assert [path.name for path in (each / "home").iterdir()] == ["source"]
    return seen


@pytest.fixture
def at_home(home, monkeypatch):
    """Whoever works in a folder has its home in it."""
    monkeypatch.setenv("PERENNIAL_HOME", "home")


@pytest.mark.slow
def test_an_import_killed_at_any_change_leaves_the_old_source_or_the_new_one(
    run, at_home, folders, killed_verb, tmp_path
):
    seen = die_everywhere(tmp_path, run, killed_verb, *folders)
    assert seen.count("new") > 5, "killed between the moves into place, too"


@pytest.mark.slow
def test_an_import_from_a_bucket_killed_while_it_downloads_leaves_the_old_source(
    run, at_home, folders, s3_server, killed_verb, tmp_path, monkeypatch
):
    bucket = s3_server.new_bucket()
    for path in folders[1].rglob("*.parquet"):
        key = f"logs/{path.relative_to(folders[1])}"
        s3_server.client().put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    there = f"s3://{bucket}/logs"
    seen = die_everywhere(tmp_path, run, killed_verb, folders[0], there, stride=3)
    assert seen.count("old") > 5


def test_what_arrived_as_a_whole_counts_and_what_had_not_yet_does_not(tmp_path):
    source = tmp_path / "source"
    with pytest.raises(KeyboardInterrupt), arriving(source) as incoming:
        (incoming / "catalogue.parquet").write_bytes(b"half")
        raise KeyboardInterrupt
    assert not list(source.iterdir())
    (source / ".arrived" / "requests").mkdir(parents=True)
    (source / ".arrived" / "requests" / "imported.parquet").write_bytes(b"whole")
    settle(source)
    settle(source)
    assert [p.relative_to(source).as_posix() for p in source.rglob("*")] == [
        "requests",
        "requests/imported.parquet",
    ]


def test_a_damaged_file_of_an_import_leaves_the_old_source(run, home, folders):
    assert run("import", "parquet", "--path", folders[0])[0] == 0
    before = read(home / "source")
    path = folders[1] / "impressions" / "part-0000.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    assert run("import", "parquet", "--path", folders[1])[0] == 2
    assert read(home / "source") == before
    assert pq.read_table(home / "source" / "requests" / "imported.parquet").num_rows
