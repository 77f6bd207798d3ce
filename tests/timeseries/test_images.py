"""The names of an image and of its folders give its date, tile, platform, orbit and baseline."""

from datetime import datetime
from pathlib import Path

import pytest

from s2match.timeseries.images import series_image

L1C = "S2A_MSIL1C_20180820T083601_N0206_R064_T36UXA_20180820T104205"
L2A = "S2B_MSIL2A_20230105T100319_N0509_R122_T33TWM_20230105T120000"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            f"archive/{L1C}.SAFE/GRANULE/L1C_T36UXA_A016505_20180820T083602/IMG_DATA/T36UXA_20180820T083601_TCI.jp2",
            ("S2A", datetime(2018, 8, 20, 8, 36, 1), "T36UXA", 64, "02.06"),
        ),
        (f"{L2A}.tif", ("S2B", datetime(2023, 1, 5, 10, 3, 19), "T33TWM", 122, "05.09")),
        (f"{L2A}/TCI.tif", ("S2B", datetime(2023, 1, 5, 10, 3, 19), "T33TWM", 122, "05.09")),
        # the name nearest to the file counts
        (f"{L1C}/{L2A}.tif", ("S2B", datetime(2023, 1, 5, 10, 3, 19), "T33TWM", 122, "05.09")),
    ],
)
def test_esa_s_names_give_everything(path: str, expected: tuple[object, ...]) -> None:
    image = series_image(3, path)
    assert (image.platform, image.sensed, image.tile, image.relative_orbit, image.baseline) == expected
    assert image.index == 3 and image.scene.path == Path(path)


def test_esa_s_names_of_the_working_folder_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / L1C).mkdir()
    monkeypatch.chdir(tmp_path / L1C)
    assert series_image(0, "TCI.tif").relative_orbit == 64


def test_names_of_single_images_give_tile_and_date() -> None:
    image = series_image(0, "T36UXA_20180820T083601_TCI.jp2")
    assert (image.tile, image.sensed) == ("T36UXA", datetime(2018, 8, 20, 8, 36, 1))
    assert (image.platform, image.relative_orbit, image.baseline) == (None, None, None)
    assert (image.date, image.title) == ("2018-08-20", "T36UXA 2018-08-20")


@pytest.mark.parametrize(
    ("name", "sensed"),
    [
        ("NDVI_20150711T100008.tif", datetime(2015, 7, 11, 10, 0, 8)),
        ("20180820_x.tif", datetime(2018, 8, 20)),
        ("2018-08-20.tif", datetime(2018, 8, 20)),
        ("field_2018_08_20_b.png", datetime(2018, 8, 20)),
        ("20180820_083601.tif", datetime(2018, 8, 20, 8, 36, 1)),
        # the six digits are no time, the first eight no date
        ("20180820_997799.tif", datetime(2018, 8, 20)),
        ("20189920_20180821.tif", datetime(2018, 8, 21)),
        ("scene_0012.tif", None),
        ("10000101.tif", None),
        ("120180820123.tif", None),
    ],
)
def test_other_names_give_the_first_date(name: str, sensed: datetime | None) -> None:
    image = series_image(0, name)
    assert image.sensed == sensed
    assert (image.tile, image.platform, image.relative_orbit) == (None, None, None)
    assert image.title == (name if sensed is None else f"{sensed:%Y-%m-%d}")
