"""STAC Items name images: true colour unless a key says otherwise, relative paths, tile, time and radiometry."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Writer, texture
from http_server import DROP, serve

from s2match.core.product_names import ProductNames
from s2match.errors import DatasetError, MissingExtraError, UnreadableImageError
from s2match.io import request_limits
from s2match.io.masking import masking_of
from s2match.io.reader import read_grid, with_radiometry
from s2match.io.sources import is_stac_item, open_source
from s2match.timeseries.sources import read_source


def item(assets: dict[str, Any], name: str = "item", **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": {"type": "Point", "coordinates": [33.0, 50.0]},
        "bbox": [33.0, 50.0, 33.0, 50.0],
        "properties": {"datetime": "2018-08-20T08:36:01Z", **properties},
        "links": [],
        "assets": assets,
    }


def write_item(folder: Path, assets: dict[str, Any], name: str = "item", **properties: Any) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(item(assets, name, **properties)))
    return str(path)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "LIMITS", request_limits.Limits(delays_s=(0.01, 0.01)))


@pytest.mark.parametrize(
    ("name", "is_item"),
    [
        ("item.json", True),
        ("folder/ITEM.JSON#visual", True),
        ("https://host/items/S2A_36UXA?token=1#visual", True),
        ("https://host/collections/c/items/S2A_36UXA", True),
        ("https://host/item.json?sig=a/b", True),
        ("https://host/items/a_TCI.tif?sig=1", False),
        ("https://host/a_TCI.tif", False),
        ("a#1_TCI.tif", False),
        ("item.json/a.tif", False),
        ("/vsis3/bucket/a.tif", False),
    ],
)
def test_items_are_known_by_their_names(name: str, is_item: bool) -> None:
    assert is_stac_item(name) == is_item


@pytest.mark.parametrize(
    ("key", "file"), [("", "TCI.tif"), ("#visual", "TCI.tif"), ("#red", "B04.tif"), ("#elsewhere", "C.jp2")]
)
def test_assets_of_a_file(tmp_path: Path, key: str, file: str) -> None:
    assets = {
        "thumbnail": {"href": "preview.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
        "red": {"href": "./B04.tif", "type": "image/tiff; application=geotiff"},
        "visual": {"href": "../images/TCI.tif"},
        "elsewhere": {"href": "s3://bucket/C.jp2"},
    }
    (tmp_path / "items").mkdir()
    path = open_source(write_item(tmp_path / "items", assets) + key).path
    assert path.name == file
    if file == "TCI.tif":
        assert path == tmp_path / "images" / "TCI.tif"
    if file == "C.jp2":
        assert str(path) == "s3://bucket/C.jp2"


@pytest.mark.parametrize("key", ["TCI", "tci_10m", "Visual"])
def test_true_colour_has_several_names(tmp_path: Path, key: str) -> None:
    scene = open_source(write_item(tmp_path, {"B02": {"href": "b.tif"}, key: {"href": "a.tif"}}))
    assert scene.path == tmp_path / "a.tif"


def test_errors_list_the_images(tmp_path: Path) -> None:
    path = write_item(tmp_path, {"B02": {"href": "b.tif"}, "meta": {"href": "m.xml"}, "B03": {"href": "c.tif"}})
    with pytest.raises(
        UnreadableImageError, match=r"no true-colour image: .* item\.json#B02\. Its images are B02, B03\.$"
    ):
        open_source(path)
    with pytest.raises(UnreadableImageError, match=r"has no asset 'B08'\. Its images are B02, B03\.$"):
        open_source(f"{path}#B08")


def test_what_is_no_item(tmp_path: Path) -> None:
    (tmp_path / "item.json").write_text("{")
    (tmp_path / "box.json").write_text('{"type": "FeatureCollection", "features": []}')
    for name in ("item.json", "box.json"):
        with pytest.raises(UnreadableImageError, match=f"{name} is not a STAC Item: "):
            open_source(tmp_path / name)
    with pytest.raises(UnreadableImageError, match=r"Cannot read .*none\.json: No such file"):
        open_source(tmp_path / "none.json")


def test_pystac_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pystac", None)
    with pytest.raises(MissingExtraError, match=r"STAC Items need pystac: pip install -r requirements-stac\.txt\."):
        open_source(write_item(tmp_path, {"visual": {"href": "a.tif"}}))


def test_items_of_a_server(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        server.answers["/v1/items/A"] = json.dumps(item({"visual": {"href": "./a/TCI.tif"}})).encode()
        server.faults["A"] = [503, DROP]
        user = server.url.replace("://", "://alice:password@")
        scene = open_source(f"{user}/v1/items/A?token=SECRET#visual")
        assert str(scene.path) == f"{server.url}/v1/items/a/TCI.tif"
        server.always["A"] = 404
        with pytest.raises(UnreadableImageError) as raised:
            open_source(f"{user}/v1/items/A?token=SECRET#visual")
        assert str(raised.value) == f"Cannot read {server.url}/v1/items/A: HTTP status 404 Not Found."


@pytest.mark.parametrize(
    "tile",
    [
        {"grid:code": "MGRS-36UXA"},
        {"s2:mgrs_tile": "36UXA"},
        {"mgrs:utm_zone": 36, "mgrs:latitude_band": "U", "mgrs:grid_square": "XA"},
    ],
    ids=str,
)
def test_tile_time_and_acquisition(tmp_path: Path, tile: dict[str, Any]) -> None:
    properties = {
        "platform": "sentinel-2a",
        "sat:relative_orbit": 64,
        "s2:processing_baseline": "05.10",
        "datetime": "2018-08-20T10:36:01+02:00",
    }
    scene = open_source(write_item(tmp_path, {"visual": {"href": "TCI.tif"}}, **tile, **properties))
    assert (scene.tile, scene.sensed) == ("T36UXA", datetime(2018, 8, 20, 8, 36, 1))
    assert (
        scene.catalogue == ProductNames("S2A", "T36UXA", scene.sensed, 64, "05.10")
        and scene.title == "T36UXA 2018-08-20"
    )


def test_items_in_a_series(tmp_path: Path) -> None:
    for name, day in (("a", "2018-08-20"), ("b", "2019-06-06")):
        assets = {"visual": {"href": f"{name}/TCI.tif"}, "scl": {"href": f"{name}/SCL.tif"}}
        properties = {"datetime": f"{day}T08:36:01Z", "grid:code": "MGRS-36UXA", "platform": "sentinel-2b"}
        write_item(tmp_path, assets, name, **properties)
    (tmp_path / "series.csv").write_text("path,mask,relative_orbit\nb.json,b.json#scl,107\na.json#visual,,\n")
    first, second = read_source(tmp_path / "series.csv").images
    assert (first.title, second.title) == ("T36UXA 2018-08-20", "T36UXA 2019-06-06")
    assert (first.platform, first.relative_orbit, second.relative_orbit) == ("S2B", None, 107)
    assert second.masks == (tmp_path / "b" / "SCL.tif",)
    (tmp_path / "pairs.csv").write_text("reference,target\na.json,b.json#visual\n")
    assert read_source(tmp_path / "pairs.csv").pairs == ((0, 1),)
    (tmp_path / "wrong.csv").write_text("path\na.json\nb.json#B99\n")
    with pytest.raises(DatasetError, match=r"wrong\.csv, line 3: The STAC Item .* has no asset 'B99'"):
        read_source(tmp_path / "wrong.csv")


def test_masks_are_assets_with_a_key(tmp_path: Path) -> None:
    name = write_item(tmp_path, {"scl": {"href": "SCL.tif"}})
    with_key, without = masking_of([f"{name}#scl", name]).masks
    assert (with_key.path, without.path) == (tmp_path / "SCL.tif", Path(name))


@pytest.mark.parametrize(
    ("fields", "properties", "offset"),
    [
        ({"raster:bands": [{"scale": 0.0001, "offset": -0.1}]}, {}, 1000),
        ({"bands": [{"raster:scale": 0.0001, "raster:offset": -0.1}]}, {}, 1000),
        ({"raster:scale": 0.0001, "raster:offset": -0.1}, {}, 1000),
        ({"raster:bands": [{"scale": 0.0001, "offset": -0.1}]}, {"earthsearch:boa_offset_applied": True}, 0),
    ],
    ids=str,
)
def test_radiometry_of_files_without_tags(
    tmp_path: Path, write_image: Writer, fields: dict[str, Any], properties: dict[str, Any], offset: float
) -> None:
    numbers = texture(128, 128).astype(np.uint16) * 8 + 400
    write_image("B04.tif", numbers)
    stated = open_source(write_item(tmp_path, {"red": {"href": "B04.tif", **fields}}, **properties) + "#red")
    radiometry = with_radiometry(read_grid(stated)).radiometry
    assert radiometry is not None
    assert (radiometry.offset, radiometry.offset_from) == (offset, "catalogue")
    # tags of the file count more
    import rasterio

    with rasterio.open(tmp_path / "B04.tif", "r+") as file:
        file.scales, file.offsets = [0.0001], [-0.05]
    radiometry = with_radiometry(read_grid(stated)).radiometry
    assert radiometry is not None and (radiometry.offset, radiometry.offset_from) == (500, "tags")
