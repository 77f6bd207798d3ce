"""Files are written completely or not at all."""

from pathlib import Path

import pytest

from s2match.errors import OutputError
from s2match.util.atomic_write import atomic_write, check_writable, publish, staging_folder


def test_file_appears_whole(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        assert not (tmp_path / "a.txt").exists()
        assert partial.suffix == ".txt"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "careful"):
        pass
    assert (tmp_path / "careful").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("where", ["nowhere/a.txt", "file/a.txt", "folder"])
def test_places_that_cannot_be_written(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="Cannot write"):
        check_writable(tmp_path / where)
    with pytest.raises(OutputError, match="Cannot write"), atomic_write(tmp_path / where):
        pass


def test_check_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_staged_files_are_published_or_discarded(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    outputs = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for published in (False, True):
        with staging_folder(outputs[0]) as folder:
            staged = [folder / path.name for path in outputs]
            for path in staged:
                path.write_text("new")
            assert outputs[0].read_text() == "old" and not outputs[1].exists()
            if published:
                publish(staged, outputs)
        names = ["a.txt", "b.txt"] if published else ["a.txt"]
        assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [path.read_text() for path in outputs] == ["new", "new"]


def test_staging_where_nothing_can_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"Cannot write .*a\.txt: No such file"),
        staging_folder(tmp_path / "no/a.txt"),
    ):
        pass
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(OutputError, match=r"Cannot write .*folder: it is a folder"),
        staging_folder(tmp_path / "folder"),
    ):
        pass
    with staging_folder(tmp_path / "a") as folder:
        (folder / "a").touch()
        with pytest.raises(OutputError, match=r"Cannot write .*folder: it is a folder"):
            publish([folder / "a"], [tmp_path / "folder"])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_errors_of_staged_files_name_their_places(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as raised, staging_folder(tmp_path / "a.tif") as folder:
        (folder / "a.tif").mkdir()
        check_writable(folder / "a.tif")
    assert str(raised.value) == f"Cannot write {tmp_path / 'a.tif'}: it is a folder." and not list(tmp_path.iterdir())
