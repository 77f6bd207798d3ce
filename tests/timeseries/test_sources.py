"""The images of a series from a folder, a CSV of images or a CSV of pairs."""

from datetime import datetime
from pathlib import Path

import pytest

from s2match.errors import DatasetError
from s2match.timeseries.sources import SeriesSource, read_source

MAY, JUNE, JULY = (f"T36UXA_20180{month}20T083601_TCI.jp2" for month in (5, 6, 7))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def write(folder: Path, *lines: str) -> Path:
    path = folder / "series.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def names(source: SeriesSource) -> list[str]:
    return [image.scene.path.name for image in source.images]


def test_a_folder_gives_its_true_colour_images_by_time(tmp_path: Path) -> None:
    touch(tmp_path, JULY, "T36UYA_20180520T083600_TCI.jp2", MAY, "T36UXA_20180520T083601_B04.jp2", "notes.tif")
    source = read_source(tmp_path)
    assert names(source) == ["T36UYA_20180520T083600_TCI.jp2", MAY, JULY]
    assert [image.index for image in source.images] == [0, 1, 2]
    assert source.pairs is None


def test_of_one_image_at_several_resolutions_the_finest_is_used(tmp_path: Path) -> None:
    stems = ("T36UXA_20180520T083601", "T36UXA_20180620T083601")
    touch(tmp_path, *(f"{stem}_TCI_{side}m.jp2" for stem in stems for side in (60, 20)), f"{stems[0]}_TCI_10m.jp2")
    assert names(read_source(tmp_path)) == [f"{stems[0]}_TCI_10m.jp2", f"{stems[1]}_TCI_20m.jp2"]


def test_a_folder_of_other_images_gives_them_all(tmp_path: Path) -> None:
    touch(
        tmp_path, "b_20180820.tif", "a.TIFF", "2018-05-01.png", "c_20180701.jp2", "list.txt", "._a.tif", "deeper/d.tif"
    )
    # without a date an image comes last
    assert names(read_source(tmp_path)) == ["2018-05-01.png", "c_20180701.jp2", "b_20180820.tif", "a.TIFF"]


def test_a_folder_of_products_gives_their_images(tmp_path: Path) -> None:
    for day, orbit in (("20180820", "R064"), ("20180823", "R107")):
        product = f"S2A_MSIL2A_{day}T083601_N0206_{orbit}_T36UXA_{day}T104205.SAFE/GRANULE/L2A/IMG_DATA"
        touch(tmp_path, *(f"{product}/R{side}m/T36UXA_{day}T083601_TCI_{side}m.jp2" for side in (10, 20, 60)))
    images = read_source(tmp_path).images
    assert [(image.date, image.relative_orbit) for image in images] == [("2018-08-20", 64), ("2018-08-23", 107)]


def test_a_pattern_chooses_the_files(tmp_path: Path) -> None:
    touch(tmp_path, MAY, JUNE, "NDVI_20150711.tif", "NDVI_20150731.tif", "CLM_20150711.tif", "d/NDVI_20150801.tif")
    assert names(read_source(tmp_path, "NDVI_*.tif")) == ["NDVI_20150711.tif", "NDVI_20150731.tif"]
    assert len(read_source(tmp_path, "**/NDVI_*.tif").images) == 3
    with pytest.raises(DatasetError, match=r"No file in .* matches 'x_\*\.tif'"):
        read_source(tmp_path, "x_*.tif")
    with pytest.raises(DatasetError, match="is not a pattern"):
        read_source(tmp_path, "/x/*.tif")


def test_a_csv_of_images_overrides_what_names_say(tmp_path: Path) -> None:
    touch(tmp_path, f"images/{MAY}", "images/x.tif", "m/cloud.tif", "m/fields.gpkg")
    table = write(
        tmp_path,
        "\ufeffpath, Mask ,date,platform,relative_orbit,tile,remark",
        "images/x.tif,m/cloud.tif; m/fields.gpkg,2018-03-01T12:00:00+02:00,S2B,R107,T33TWM,good",
        "",
        f"images/{MAY},,,,,,",
    )
    first, second = read_source(table).images
    assert first.scene.path == tmp_path / "images" / "x.tif"
    assert first.masks == (tmp_path / "m" / "cloud.tif", tmp_path / "m" / "fields.gpkg")
    assert first.sensed == datetime(2018, 3, 1, 10)
    assert (first.platform, first.relative_orbit, first.tile) == ("S2B", 107, "T33TWM")
    assert (second.tile, second.date, second.platform, second.masks) == ("T36UXA", "2018-05-20", None, ())


def test_a_csv_of_pairs_gives_images_and_pairs(tmp_path: Path) -> None:
    touch(tmp_path, MAY, JUNE, JULY)
    source = read_source(write(tmp_path, "target,reference", f"{JULY},{JUNE}", f"{MAY},./{JULY}"))
    assert names(source) == [MAY, JUNE, JULY]
    assert source.pairs == ((0, 2), (1, 2))


def test_the_order_of_rows_has_no_effect(tmp_path: Path) -> None:
    touch(tmp_path, MAY, JUNE, JULY, "a/x.tif", "b/x.tif")
    rows = [MAY, JULY, "b/x.tif", "a/x.tif", JUNE]
    sources = [read_source(write(tmp_path, "path", *order)) for order in (rows, rows[::-1])]
    assert sources[0] == sources[1]
    pairs = [f"{MAY},{JULY}", f"{JULY},{JUNE}"]
    assert read_source(write(tmp_path, "reference,target", *pairs)) == read_source(
        write(tmp_path, "reference,target", *pairs[::-1])
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "lists no image"),
        (["path"], "lists no image"),
        (["path", MAY], "has only one image"),
        (["path", MAY, JUNE, f"./{MAY}"], f"lists .*{MAY} twice"),
        (["file", MAY, JUNE], "series.csv has no column 'path'.* Its columns are file"),
        (["reference", MAY], "series.csv has no column 'target'"),
        (["path", MAY, "gone.tif"], r"series.csv, line 3: there is no file .*gone\.tif"),
        (["path,mask", f"{MAY},gone.tif", JUNE], r"series.csv, line 2: there is no file .*gone\.tif"),
        (["path", MAY, "ftp://example.com/a.tif"], "line 3: ftp://example.com/a.tif cannot be read"),
        (["path,tile", f"{MAY},", ",T36UXA"], "line 3: the column 'path' is empty"),
        (["path,date", f"{MAY},20.8.2018", JUNE], "line 2: '20.8.2018' is not a date"),
        (["path,relative_orbit", f"{MAY},144", JUNE], "line 2: '144' is not a relative orbit"),
        (["reference,target", f"{MAY},{MAY}"], "line 2: both images are"),
        (["reference,target", f"{MAY},{JUNE}", f"{JUNE},{MAY}"], "line 3 repeats the pair of series.csv, line 2"),
    ],
)
def test_mistakes_in_a_csv_are_named(tmp_path: Path, lines: list[str], message: str) -> None:
    touch(tmp_path, MAY, JUNE)
    with pytest.raises(DatasetError, match=message):
        read_source(write(tmp_path, *lines))


def test_sources_that_are_no_series(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        read_source(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"There is no file .*nowhere\.csv"):
        read_source(tmp_path / "nowhere.csv")
    with pytest.raises(DatasetError, match="contains no image"):
        read_source(tmp_path)
    touch(tmp_path, MAY)
    with pytest.raises(DatasetError, match=f"has only one image, {MAY}"):
        read_source(tmp_path)
    with pytest.raises(DatasetError, match="neither a folder of images nor a list"):
        read_source(tmp_path / MAY)
    (tmp_path / "series.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(DatasetError, match="Cannot read"):
        read_source(tmp_path / "series.csv")
