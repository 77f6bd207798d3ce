"""Lists of pairs: CSVs, and targets with one reference."""

import os
from pathlib import Path

import pytest

from s2match.batch.sources import ListedPair, list_pairs
from s2match.errors import DatasetError, OptionError


def write_csv(folder: Path, *lines: str) -> list[str]:
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return [str(path)]


def test_a_csv_of_pairs(tmp_path: Path) -> None:
    """Paths are relative to its folder; blanks and empty lines do not count; a file need not exist yet."""
    source = write_csv(
        tmp_path,
        "Target, reference ,mask,apply_to,name",
        "b_TCI.jp2,a_TCI.jp2,,,",
        "",
        " S2B_X.SAFE , https://host/a.tif?key=1 , clouds.gpkg; snow.tif , b_B08.jp2 , spring",
    )
    here = f"{tmp_path}{os.sep}"
    assert list_pairs(source) == (
        ListedPair("a_TCI__b_TCI", f"{here}a_TCI.jp2", f"{here}b_TCI.jp2"),
        ListedPair(
            "spring",
            "https://host/a.tif?key=1",
            f"{here}S2B_X.SAFE",
            (f"{here}clouds.gpkg", f"{here}snow.tif"),
            (f"{here}b_B08.jp2",),
        ),
    )


def test_words_and_items(tmp_path: Path) -> None:
    """``auto`` and ``product`` are no files; assets of a STAC Item are named by their keys."""
    (pair,) = list_pairs(write_csv(tmp_path, "reference,target,mask,apply_to", "a.tif,b.json#visual,auto,product"))
    assert (pair.masks, pair.siblings, pair.name) == (("auto",), ("product",), "a__b_visual")


def test_a_csv_of_targets_with_a_reference(tmp_path: Path) -> None:
    pairs = list_pairs(write_csv(tmp_path, "target", "b.tif", "c.tif"), "a.tif")
    assert [(pair.reference, Path(pair.target).name) for pair in pairs] == [("a.tif", "b.tif"), ("a.tif", "c.tif")]


def test_a_pattern_with_a_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted, without the reference and hidden files; twice the same file is one target; folders tell names apart."""
    monkeypatch.chdir(tmp_path)
    for name in ("c.tif", "a.tif", "b.tif", "._b.tif", "x/c.tif", "[1].tif"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert list_pairs(["?.tif", "b.tif"], "./a.tif") == (
        ListedPair("b", "./a.tif", "b.tif"),
        ListedPair("c", "./a.tif", "c.tif"),
    )
    assert [pair.name for pair in list_pairs(["**/c.tif"], "a.tif")] == ["c", "x_c"]
    assert [pair.target for pair in list_pairs(["[1].tif", "s3://bucket/d_TCI.tif"], "a.tif")] == [
        "[1].tif",
        "s3://bucket/d_TCI.tif",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("reference,target", "a.tif,"), "line 2: the column 'target' is empty"),
        (("reference,second", "a.tif,b.tif"), "has no column 'target'"),
        (("reference,target", "a.tif,b.tif", "x/a.tif,y/b.tif"), "line 3 has the name 'a__b' of pairs.csv, line 2"),
        (("reference,target,name", "a.tif,b.tif,one", "a.tif,c.tif,One"), "name 'One' of"),
        (("reference,target,name", "a.tif,b.tif,../up"), "'../up' is not the name of a folder"),
        (("reference,target", "ftp://host/a.tif,b.tif"), "cannot be read: a URL begins with"),
        (("reference,target",), "lists no image"),
    ],
)
def test_rows_that_are_refused(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(DatasetError, match=message.replace("(", r"\(")):
        list_pairs(write_csv(tmp_path, *lines))


def test_sources_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--reference FILE"):
        list_pairs(["b.tif"])
    with pytest.raises(OptionError, match="one CSV alone"):
        list_pairs(["pairs.csv", "b.tif"], "a.tif")
    with pytest.raises(DatasetError, match="No file matches"):
        list_pairs([str(tmp_path / "*.tif")], "a.tif")
    with pytest.raises(DatasetError, match="no target besides the reference"):
        list_pairs(["a.tif"], "a.tif")
