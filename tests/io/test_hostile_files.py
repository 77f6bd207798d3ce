"""Files that claim what they are not: absurd sizes, georeferences that place nothing, descriptions of servers."""

import json
import math
import socket
import sqlite3
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, UTM, Writer, texture
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from s2match.core.mask import Mask
from s2match.core.projection import crs_named
from s2match.core.scene import scene_of
from s2match.core.window import Window
from s2match.correction.request import CorrectionRequest, check_request
from s2match.errors import MaskError, S2MatchError, UnreadableImageError
from s2match.io.mask_raster import opened_mask
from s2match.io.masks import read_mask
from s2match.io.open_file import opened
from s2match.io.pair_grid import grids_of
from s2match.io.polygons import read_geometries
from s2match.io.reader import nodata_share, read_grid, read_raster, read_whole, with_radiometry
from s2match.io.vector_layers import layer_systems

TILE_M = 2560
BOUNDS = (600000.0, 5590000.0, 620000.0, 5600040.0)


def sentence(error: pytest.ExceptionInfo[S2MatchError], path: Path) -> str:
    """The message of an error, which is one sentence that names the file."""
    words = str(error.value)
    assert path.name in words and "\n" not in words and words.endswith(".")
    return words


def empty_image(path: Path, side: int, **profile: Any) -> Path:
    """A GeoTIFF of a tile's ground with any number of pixels, none of which is written."""
    pixel = TILE_M / side
    place = {"transform": Affine(pixel, 0, 600000, 0, -pixel, 5600040), "crs": UTM, "BIGTIFF": "YES"}
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "compress": "deflate", **place, **profile}
    with rasterio.open(path, "w", width=side, height=side, sparse_ok=True, **profile):
        pass
    return path


LIES = {
    "tiles": (40_000, {"count": 3, "tiled": True, "blockxsize": 512, "blockysize": 512}),
    "numbers": (40_000, {"dtype": "uint16", "tiled": True, "blockxsize": 512, "blockysize": 512}),
    "sparse": (200_000, {"tiled": True, "blockxsize": 4096, "blockysize": 4096}),
    "one strip": (40_000, {"blockysize": 40_000}),
    "huge tiles": (40_000, {"count": 3, "tiled": True, "blockxsize": 16_384, "blockysize": 16_384}),
}


@pytest.fixture(params=LIES)
def lie(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    side, profile = LIES[request.param]
    return empty_image(tmp_path / "T36UXA_20180820T083601_TCI.tif", side, **profile)


@pytest.fixture
def nothing_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a file is decoded."""

    def decode(*arguments: object, **options: object) -> None:
        raise AssertionError("the file is decoded")

    monkeypatch.setattr("s2match.io.quiet.QuietReader.read", decode, raising=False)
    monkeypatch.setattr("s2match.io.quiet.QuietReader.read_masks", decode, raising=False)


@pytest.mark.usefixtures("nothing_decoded")
def test_pixels_that_a_file_cannot_hold_are_refused_before_they_are_decoded(
    lie: Path, tmp_path: Path, write_image: Writer
) -> None:
    side = read_grid(lie).size[0]
    image = write_image("a.tif", texture(256, 256))
    for read in (
        lambda: nodata_share(read_grid(lie)),
        lambda: read_raster(lie, (512, 512)),
        lambda: check_request(CorrectionRequest(tmp_path / "out.tif", (lie,)), scene_of(image)),
    ):
        with pytest.raises(UnreadableImageError) as error:
            read()
        words = sentence(error, lie)
        assert f"{side} x {side} pixels" in words and ("kB cannot hold" in words or "MB cannot hold" in words)


@pytest.mark.usefixtures("nothing_decoded")
def test_a_mask_of_pixels_that_its_file_cannot_hold_is_refused(tmp_path: Path, write_image: Writer) -> None:
    grid = read_grid(write_image("a.tif", texture(256, 256)))
    for side, profile in LIES.values():
        path = empty_image(tmp_path / "k_SCL_20m.tif", side, **profile | {"count": 1})
        with pytest.raises(MaskError) as error:
            read_mask(Mask(path), grid, Window(0, 0, 256, 256))
        assert "cannot hold" in sentence(error, path)


def test_a_small_part_of_an_empty_mosaic_is_read(tmp_path: Path, write_image: Writer) -> None:
    """A mosaic of empty tiles is no lie where it is asked for a part."""
    side, profile = LIES["sparse"]
    pixel = Affine(10, 0, 600000 - 1_000_000, 0, -10, 5600040 + 1_000_000)
    mosaic = empty_image(
        tmp_path / "m.tif", side, **profile | {"transform": pixel, "blockxsize": 512, "blockysize": 512}
    )
    with rasterio.open(mosaic, "r+") as file:
        file.write(texture(512, 512), 1, window=rasterio.windows.Window(99_900, 99_900, 512, 512))
    image = write_image("a.tif", texture(256, 256))
    _, grid = grids_of(scene_of(image), scene_of(mosaic), (256, 256))
    assert read_whole(grid).valid.any()


def test_an_empty_image_with_overviews_is_read_by_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2match.io.read_limits._ANY_BYTES", 1 << 23)
    path = empty_image(tmp_path / "a.tif", 4096, dtype="uint16", tiled=True, blockxsize=256, blockysize=256)
    with pytest.raises(UnreadableImageError, match="add overviews"):
        with_radiometry(read_grid(path))
    with rasterio.open(path, "r+") as file:
        file.build_overviews([4], rasterio.enums.Resampling.average)
    radiometry = with_radiometry(read_grid(path)).radiometry
    assert radiometry is not None and radiometry.kind == "stretched"


def test_what_needs_more_memory_than_there_is_is_refused(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(1, 256, (3, 2048, 2048), np.uint8)
    path = write_image("a.tif", noise, tiled=True, blockxsize=2048, blockysize=2048)
    monkeypatch.setattr("s2match.io.read_limits._SMALL_BYTES", 1 << 20)
    monkeypatch.setattr("s2match.io.read_limits.available_memory", lambda: 10_000_000)
    with opened(path) as file, pytest.raises(UnreadableImageError, match=r"memory, and 0\.0 GB are free") as error:
        file.read()
    sentence(error, path)
    monkeypatch.setattr("s2match.io.read_limits.available_memory", lambda: 1_000_000_000)
    with opened(path) as file:
        np.testing.assert_array_equal(file.read(), noise)


def test_wide_images_are_read_in_parts(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_image("a.tif", texture(700, 300), nodata=0)
    whole = read_raster(path, (350, 150))
    monkeypatch.setattr("s2match.io.level_reader._STORED_ROWS", 100)
    monkeypatch.setattr("s2match.io.level_reader._STRIP_SAMPLES", 10_000)
    parts = read_raster(path, (350, 150))
    np.testing.assert_array_equal(parts.image, whole.image)
    np.testing.assert_array_equal(parts.valid, whole.valid)


def test_a_jp2_that_claims_a_tile_of_40_000_pixels_is_refused(tmp_path: Path, write_image: Writer) -> None:
    path = write_image("a.jp2", texture(256, 256))
    data = bytearray(path.read_bytes())
    sizes = data.find(b"\xff\x4f\xff\x51") + 8
    struct.pack_into(">8I", data, sizes, 40_000, 40_000, 0, 0, 40_000, 40_000, 0, 0)
    struct.pack_into(">II", data, data.find(b"ihdr") + 4, 40_000, 40_000)
    path.write_bytes(data)
    with pytest.raises(UnreadableImageError) as error:
        read_raster(path, (512, 512))
    sentence(error, path)


# Georeferences


@pytest.mark.parametrize(
    "transform",
    [
        Affine(10, 10, 600000, 10, 10, 5600040),
        Affine(10, 0, math.nan, 0, -10, 5600040),
        Affine(math.inf, 0, 600000, 0, -10, 5600040),
        Affine(1e300, 0, 600000, 0, -1e300, 5600040),
        Affine(1e-300, 0, 600000, 0, -1e-300, 5600040),
        Affine(1e-12, 0, 600000, 0, -1e-12, 5600040),
        Affine(10, 0, 1e30, 0, -10, 1e30),
        Affine(0, 0, 600000, 0, 0, 5600040),
    ],
)
def test_a_transform_that_places_nothing_is_not_used(write_image: Writer, transform: Affine) -> None:
    path = write_image("b.tif", texture(256, 256), transform=transform)
    grid = read_grid(path)
    assert grid.transform is None and grid.crs is None
    assert any("its geotransform is not used" in note for note in grid.notes)
    image = write_image("a.tif", texture(256, 256))
    assert [read_whole(each).size for each in grids_of(scene_of(image), scene_of(path), (128, 128))] == [(128, 128)] * 2


def test_metres_that_are_called_degrees_are_those_of_the_other_image(write_image: Writer) -> None:
    path = write_image("b.tif", texture(256, 256), crs=CRS.from_epsg(4326))
    grid = read_grid(path)
    assert grid.transform == GRID and grid.crs is None
    assert any("no degrees, as those of EPSG:4326 are" in note for note in grid.notes)
    image = write_image("a.tif", texture(256, 256))
    _, second = grids_of(scene_of(image), scene_of(path), None)
    assert second.crs == UTM and second.transform == GRID


@pytest.mark.parametrize("corner", [(-180.0, 90.0), (179.9, 0.1), (359.0, -89.0), (-0.05, 90.05)])
def test_degrees_stay_degrees(write_image: Writer, corner: tuple[float, float]) -> None:
    place = Affine(0.001, 0, corner[0], 0, -0.001, corner[1])
    assert read_grid(write_image("a.tif", texture(256, 256), transform=place, crs=CRS.from_epsg(4326))).crs is not None


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
def test_control_points_that_are_on_no_map_are_not_used(tmp_path: Path, value: float) -> None:
    path = tmp_path / "a.tif"
    points = [
        GroundControlPoint(row, column, 600000 + column, 5600040 - row) for row in (0, 100) for column in (0, 100)
    ]
    points[2].x = value
    profile = {"driver": "GTiff", "width": 100, "height": 100, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", gcps=points, crs=UTM, **profile) as file:
        file.write(texture(100, 100)[None])
    grid = read_grid(path)
    assert grid.transform is None and any("not used: they are on no map" in note for note in grid.notes)


def test_complex_masks_are_refused(write_image: Writer) -> None:
    path = write_image("m.tif", np.ones((80, 100), np.complex64))
    with pytest.raises(MaskError, match="complex numbers") as error, opened_mask(path):
        pass
    sentence(error, path)


# Descriptions of servers and of other files


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[[], bool]]]:
    """URL of a server that answers nothing, and whether it was asked."""
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)

        def asked() -> bool:
            try:
                listening.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked


def virtual_image(source: str) -> str:
    return (
        '<VRTDataset rasterXSize="100" rasterYSize="100"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def tile_service(url: str) -> str:
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{url}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service><DataWindow>'
        "<UpperLeftX>-100</UpperLeftX><UpperLeftY>100</UpperLeftY><LowerRightX>100</LowerRightX>"
        "<LowerRightY>-100</LowerRightY><TileLevel>3</TileLevel></DataWindow><BandsCount>3</BandsCount></GDAL_WMS>"
    )


def test_gdal_by_itself_asks_servers(server: tuple[str, Callable[[], bool]], tmp_path: Path) -> None:
    """What the next tests refuse is real: the same files make GDAL ask."""
    url, asked = server
    path = tmp_path / "x_TCI.jp2"
    path.write_text(tile_service(url))
    with rasterio.open(path) as file, pytest.raises(rasterio.errors.RasterioIOError):
        file.read(1, out_shape=(10, 10))
    assert asked()


@pytest.mark.parametrize("name", ["x_TCI.jp2", "x.tif", "x.png", "x.img"])
def test_an_image_that_describes_a_server_or_other_files_is_refused(
    server: tuple[str, Callable[[], bool]], tmp_path: Path, write_image: Writer, name: str
) -> None:
    url, asked = server
    path = tmp_path / name
    other = write_image("other.tif", texture(100, 100))
    contents = (virtual_image(f"/vsicurl/{url}/a.tif"), tile_service(url), f"\n {virtual_image(str(other))}")
    for content in (*contents, " " * 500 + contents[0]):
        path.write_text(content)
        with pytest.raises(UnreadableImageError) as error:
            read_raster(path, (64, 64))
        sentence(error, path)
        with pytest.raises(MaskError) as error, opened_mask(path):
            pass
        sentence(error, path)
    assert not asked()


def test_a_virtual_image_is_read_where_its_name_says_so(tmp_path: Path, write_image: Writer) -> None:
    path = tmp_path / "a.vrt"
    path.write_text(virtual_image(str(write_image("other.tif", texture(100, 100)))))
    assert read_raster(path).valid.all()


@pytest.mark.parametrize("suffix", [".ovr", ".msk"])
def test_descriptions_beside_an_image_are_refused(
    server: tuple[str, Callable[[], bool]], write_image: Writer, suffix: str
) -> None:
    url, asked = server
    path = write_image("a.tif", texture(600, 600))
    path.with_name(path.name + suffix).write_text(virtual_image(f"/vsicurl/{url}/a.tif"))
    with pytest.raises(UnreadableImageError, match=rf"a\.tif\{suffix} is a description"):
        read_raster(path, (64, 64))
    assert not asked()


@pytest.mark.parametrize("beside", [True, False])
def test_overviews_of_a_server_are_refused(
    server: tuple[str, Callable[[], bool]], write_image: Writer, beside: bool
) -> None:
    url, asked = server
    path = write_image("a.tif", texture(600, 600))
    overviews = f"/vsicurl/{url}/a.ovr"
    if beside:
        path.with_name(f"{path.name}.aux.xml").write_text(
            f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{overviews}</MDI></Metadata>'
            "</PAMDataset>"
        )
    else:
        with rasterio.open(path, "r+") as file:
            file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=overviews)
    with pytest.raises(UnreadableImageError, match="overviews in another file") as error:
        read_raster(path, (64, 64))
    sentence(error, path)
    assert not asked()


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".json", ".shp", ".gml"])
def test_polygons_that_describe_a_server_are_refused(
    server: tuple[str, Callable[[], bool]], tmp_path: Path, suffix: str
) -> None:
    url, asked = server
    path = tmp_path / f"m{suffix}"
    source = f"/vsicurl/{url}/a.geojson"
    for content in (
        f'<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>{source}</SrcDataSource></OGRVRTLayer>'
        "</OGRVRTDataSource>",
        f"<OGRWFSDataSource><URL>{url}/wfs</URL></OGRWFSDataSource>",
        json.dumps({"type": "gdal_streamed_alg", "command_line": f"gdal vector pipeline ! read {source}"}),
    ):
        path.write_text(content)
        with pytest.raises(MaskError) as error:
            read_geometries(path, BOUNDS, UTM)
        sentence(error, path)
        if suffix == ".gpkg":
            with pytest.raises(UnreadableImageError, match="it is no GeoPackage"):
                layer_systems(path)
    assert not asked()


SQUARE = {"type": "Polygon", "coordinates": [[[34.5, 50.4], [34.6, 50.4], [34.6, 50.5], [34.5, 50.5], [34.5, 50.4]]]}


def drawing(path: Path, geometry: Any, **members: Any) -> Path:
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature], **members}))
    return path


@pytest.mark.parametrize("kind", ["link", "url", "name"])
def test_reference_systems_are_not_fetched(server: tuple[str, Callable[[], bool]], tmp_path: Path, kind: str) -> None:
    url, asked = server
    member = {"link": "href", "url": "url", "name": "name"}[kind]
    path = drawing(tmp_path / "m.geojson", SQUARE, crs={"type": kind, "properties": {member: f"{url}/crs"}})
    with pytest.raises(MaskError) as error:
        read_geometries(path, BOUNDS, UTM)
    sentence(error, path)
    assert crs_named(f"{url}/crs") is None and crs_named(str(path)) is None
    assert crs_named("http://www.opengis.net/def/crs/EPSG/0/32636") == UTM
    assert not asked()


# Damaged polygons


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        ({"type": "Polygon"}, "a Polygon has no coordinates"),
        ({"type": "Polygon", "coordinates": None}, "a Polygon has no coordinates"),
        ({"type": "Polygon", "coordinates": [SQUARE["coordinates"][0][:4]]}, "do not form a closed linestring"),
        ({"type": "Polygon", "coordinates": [[["a", 1]]]}, "must be number"),
        ({"type": "Point", "coordinates": [10**400, 1]}, "number overflow"),
        ({"type": "Sphere", "coordinates": []}, "no type of GeoJSON"),
        ({"type": "GeometryCollection"}, "has no geometries"),
        ([], "no type of GeoJSON"),
    ],
)
def test_damaged_geometries_get_one_sentence(tmp_path: Path, geometry: Any, words: str) -> None:
    path = drawing(tmp_path / "m.geojson", geometry)
    with pytest.raises(MaskError) as error:
        read_geometries(path, BOUNDS, UTM)
    assert words in sentence(error, path)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{", "\udcff", "[]", '{"type": "Topology"}', '{"type": []}', '{"type": "FeatureCollection"}'],
)
def test_text_that_is_no_geojson_gets_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(MaskError) as error:
        read_geometries(path, BOUNDS, UTM)
    sentence(error, path)


def test_features_without_a_geometry_and_empty_ones_mask_nothing(tmp_path: Path) -> None:
    collection = {"type": "GeometryCollection", "geometries": [SQUARE, {"type": "Point", "coordinates": []}]}
    features = [{"type": "Feature", "properties": {}, "geometry": each} for each in (None, collection)]
    path = tmp_path / "m.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (found,) = read_geometries(path, BOUNDS, UTM)
    assert found.area > 1e6


def test_a_geopackage_with_damaged_geometries_gets_one_sentence(tmp_path: Path) -> None:
    import pyogrio
    import shapely

    path = tmp_path / "m.gpkg"
    shapes = np.array([shapely.to_wkb(shapely.from_geojson(json.dumps(SQUARE)))], object)
    values = [np.array([1])]
    pyogrio.raw.write(path, shapes, values, ["a"], layer="l", driver="GPKG", geometry_type="Polygon", crs="EPSG:4326")
    assert len(read_geometries(path, BOUNDS, UTM)) == 1
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MaskError) as error:
        read_geometries(path, BOUNDS, UTM)
    sentence(error, path)
    path.write_bytes(whole)
    with sqlite3.connect(path) as database:
        database.execute("update gpkg_spatial_ref_sys set definition = 'nonsense', organization = 'X'")
    with pytest.raises(MaskError) as error:
        read_geometries(path, BOUNDS, UTM)
    sentence(error, path)


# The border


def test_any_error_of_a_library_is_that_of_the_file(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_image("a.tif", texture(100, 100))
    for raised in (
        *(ValueError("odd"), OverflowError("odd"), ZeroDivisionError("odd"), RecursionError(), MemoryError()),
        *(SystemError("odd"), KeyError("odd"), OSError(5, "odd"), rasterio._err.CPLE_AppDefinedError(1, 1, "odd")),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
    ):

        def fail(*arguments: object, error: Exception = raised, **options: object) -> None:
            raise error

        for member in ("read", "read_masks", "tags", "overviews"):
            with monkeypatch.context() as patch, opened(path) as file:
                patch.setattr("s2match.io.quiet.QuietReader." + member, fail, raising=False)
                with pytest.raises(UnreadableImageError) as error:
                    getattr(file, member)()
            sentence(error, path)
            assert error.value.__cause__ is raised


def test_errors_of_a_program_are_not_hidden(write_image: Writer) -> None:
    path = write_image("a.tif", texture(100, 100))
    for raised in (TypeError("odd"), AttributeError("odd"), ZeroDivisionError("odd"), ValueError("odd")):
        with pytest.raises(type(raised)), opened(path):
            raise raised
    with opened(path) as file, pytest.raises(TypeError):
        file.tags(colour="red")
