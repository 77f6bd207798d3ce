"""Lists of images of which some cannot be read."""

import json
import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import GRID, UTM, Writer, texture

from s2match.cli.main import main
from s2match.core.grid import Grid
from s2match.dataset.catalog import open_dataset
from s2match.dataset.listing import list_images
from s2match.io.scene_files import list_scenes

GOOD = "T36UXA_20180101T083601_TCI.jp2"


def bad_files(folder: Path, write_image: Writer) -> set[str]:
    """Write files of images that are none, or damaged, beside a good one, and return their names."""
    image = write_image(GOOD, texture(200, 180)).rename(folder / GOOD)
    whole = image.read_bytes()
    sizes = bytearray(whole)
    struct.pack_into(">8I", sizes, sizes.find(b"\xff\x4f\xff\x51") + 8, 40_000, 40_000, 0, 0, 40_000, 40_000, 0, 0)
    tiff = write_image("a.tif", np.stack([texture(256, 256)] * 3), compress="jpeg", photometric="ycbcr", tiled=True)
    with rasterio.open(tiff, "r+") as file:
        file.build_overviews([2, 4])
    sparse = folder / "sparse.tif"
    profile = {"width": 100_000, "height": 100_000, "count": 1, "dtype": "uint8", "transform": GRID, "crs": UTM}
    with rasterio.open(sparse, "w", driver="GTiff", tiled=True, sparse_ok=True, bigtiff="YES", **profile):
        pass
    contents = {
        "cut": whole[:400],
        "size": bytes(sizes),
        "text": b"no image",
        "nothing": b"",
        "cut_overviews": tiff.read_bytes()[:3000],
        "sparse": sparse.read_bytes(),
        "virtual": b'<VRTDataset rasterXSize="9" rasterYSize="9"></VRTDataset>',
        "server": b"<GDAL_WMS></GDAL_WMS>",
    }
    sparse.unlink()
    names = set()
    for day, content in enumerate(contents.values(), 2):
        name = f"T36UXA_201801{day:02d}T083601_TCI.jp2"
        (folder / name).write_bytes(content)
        names.add(name)
    return names


def test_each_bad_file_is_a_line_of_the_list(
    tmp_path: Path, write_image: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    bad = bad_files(folder, write_image)
    assert main(["--list", "--dataset_path", str(folder), "--json", str(tmp_path / "list.json"), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(bad) + 2
    assert {line.split()[-1] for line in lines if "unreadable" in line} == bad
    for image in json.loads((tmp_path / "list.json").read_text()):
        if image["file"] == GOOD:
            assert (image["width_px"], image["height_px"], image["error"]) == (200, 180, None)
        else:
            assert image["file"] in image["error"] and "\n" not in image["error"] and image["error"].endswith(".")
            assert "Unexpected" not in image["error"]


def test_what_nobody_foresaw_is_a_line_of_the_list(
    tmp_path: Path, write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(GOOD, texture(200, 180))
    write_image("T36UXA_20180102T083601_TCI.jp2", texture(200, 180))

    def fail(grid: Grid) -> float:
        if grid.scene.path.name == GOOD:
            raise ZeroDivisionError("odd")
        return 0.5

    monkeypatch.setattr("s2match.dataset.listing.nodata_share", fail)
    errors = [image.error for image in list_images(open_dataset(tmp_path)[1])]
    assert errors == ["Unexpected ZeroDivisionError: odd.", None]


def test_a_product_without_an_image_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for tile, bands in (("T36UXA", ("TCI",)), ("T36UYA", ("B05", "B06"))):
        safe = tmp_path / f"S2A_MSIL1C_20180820T083601_N0206_R064_{tile}_20180820T104609.SAFE"
        images = safe / "GRANULE" / f"L1C_{tile}_A016500_20180820T083624" / "IMG_DATA"
        images.mkdir(parents=True)
        for band in bands:
            (images / f"{tile}_20180820T083601_{band}.jp2").touch()
    (tmp_path / "damaged.zip").write_bytes(b"PK\3\4 no zip")
    with caplog.at_level(logging.WARNING, "s2match"):
        (scene,) = list_scenes(tmp_path)
    assert scene.tile == "T36UXA"
    assert "has no band" in caplog.text and "damaged.zip" in caplog.text
