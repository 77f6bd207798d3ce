"""A model that a JSON keeps corrects files as the pair did, without matching."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from conftest import GRID, UTM, Writer, texture
from numpy.typing import NDArray
from products import Product, write_product, zipped
from rasterio.crs import CRS
from test_pixel_map import MOVES, SIZE, centres, ground, inverse, registration

from s2match import apply_model, read_model, warp, write_gcps, write_json
from s2match.core.matches import Matches, Provenance
from s2match.core.projection import apply_transform, reproject
from s2match.core.scene import Scene, scene_of
from s2match.correction.request import CorrectionRequest, correct, with_product_files
from s2match.correction.saved_model import SavedModel
from s2match.errors import CorrectionError, ModelFileError, NotCorrectedError, OutputError, UnreadableImageError
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_whole
from s2match.io.sources import open_pair
from s2match.registration.model import Registration
from s2match.result import PairResult, assemble
from s2match.settings import Settings

# A map of one region, which no EPSG code names.
LOCAL = CRS.from_proj4("+proj=laea +lat_0=50.5 +lon_0=34 +x_0=1000 +ellps=GRS80 +units=m")
ZONE = CRS.from_epsg(32637)


def result_of(reference: Path | Scene, target: Path | Scene, model: Registration, **settings: Any) -> PairResult:
    """A pair whose model is known, at a matched size that is not that of the files."""
    options = Settings(image_size=(200, 200), **settings)
    scenes = [image if isinstance(image, Scene) else scene_of(image) for image in (reference, target)]
    grids = grids_of(*scenes, options.image_size, options=options.read_options)
    xy = np.random.default_rng(0).uniform(20, 180, (len(model.inliers), 2))
    matches = Matches(xy, model.apply(xy), np.ones(len(xy)), Provenance("test", "cpu", 0.0))
    return assemble(*grids, (read_whole(grids[0]), read_whole(grids[1])), matches, model, options)


def matched_model(move: str) -> Registration:
    """A movement of the files as a model in pixels of the matched size."""
    scale = 200 / SIZE
    return registration(move, lambda xy: MOVES[move](xy / scale) * scale, 200)


@pytest.fixture
def pair(write_image: Writer) -> Callable[..., tuple[Path, Path]]:
    def make(crs: CRS = UTM, nodata: float | None = 0) -> tuple[Path, Path]:
        image = np.stack([texture(SIZE, SIZE, seed=seed) for seed in range(3)])
        image[:, :40, :60] = 0
        reference = write_image("A_20180820T083601_TCI.tif", image, crs=crs)
        return reference, write_image("B_20190606T083601_TCI.tif", image, crs=crs, nodata=nodata)

    return make


def siblings_of(target: Path, write_image: Writer) -> list[Path]:
    with rasterio.open(target) as file:
        place, crs, side = file.transform, file.crs, file.width // 2
    band = write_image(
        "B_B11_20m.tif", texture(side, side, seed=5).astype(np.uint16) * 10, place @ Affine.scale(2), crs
    )
    classes = (texture(side, side, seed=6) // 20).astype(np.uint8)
    return [band, write_image("B_SCL_20m.tif", classes, place @ Affine.scale(2), crs)]


def applied_later(result: PairResult, files: list[Path], folder: Path, **options: Any) -> tuple[Path, ...]:
    """The files that the JSON of a result corrects."""
    write_json(result, folder / "result.json")
    return apply_model(read_model(folder / "result.json"), files, folder / "later", force=True, **options)


def other_zone(reference: Path, write_image: Writer) -> tuple[Path, Registration]:
    """A target of the next UTM zone, and a model in pixels of the matched size."""
    corner = np.round(reproject(np.array([[GRID.c, GRID.f]]), UTM, ZONE)[0], -1)
    place = Affine(10, 0, corner[0] - 300, 0, -10, corner[1] + 300)
    target = write_image("B_20190606T083601_TCI.tif", np.stack([texture(450, 450)] * 3), place, ZONE)
    grids = grids_of(scene_of(reference), scene_of(target), (200, 200))
    start = apply_transform(~grids[1].transform @ GRID, np.zeros((1, 2)))[0]
    return target, registration("field", lambda xy: MOVES["field"](xy * 1.8) / 1.8 + start, 200)


@pytest.mark.parametrize("case", [*MOVES, "moved georeference", "another zone", "no code", "nodata option"])
def test_later_files_have_the_bytes_of_the_pair(
    case: str, pair: Callable[..., tuple[Path, Path]], write_image: Writer, tmp_path: Path
) -> None:
    """The target, a band and a classification of other pixel sizes."""
    reference, target = pair(LOCAL if case == "no code" else UTM, None if case == "nodata option" else 0)
    model = matched_model(case if case in MOVES else "translation")
    if case == "another zone":
        target, model = other_zone(reference, write_image)
    result = result_of(reference, target, model, **({"nodata": 0.0} if case == "nodata option" else {}))
    assert result.file_model is not None and (result.file_model.file_px is None) == (case == "another zone")
    resampling = None if case == "moved georeference" else "cubic"
    others = siblings_of(target, write_image)
    request = CorrectionRequest(tmp_path / "now.tif", tuple(others), resampling)
    correct(result, request)
    later = applied_later(result, [target, *others], tmp_path, resampling=resampling)
    assert [path.name for path in later] == [f"{path.stem}_coregistered.tif" for path in (target, *others)]
    for now, then in zip(request.outputs, later, strict=True):
        assert now.read_bytes() == then.read_bytes(), now.name
    with rasterio.open(later[0]) as file:
        assert file.crs == (LOCAL if case == "no code" else UTM) and file.read_masks(1).any()


def test_the_model_maps_points_both_ways(pair: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    result = result_of(*pair(), matched_model("field"))
    write_json(result, tmp_path / "result.json")
    model = read_model(tmp_path / "result.json")
    assert isinstance(model, SavedModel) and model.name == "field"
    xy = np.random.default_rng(1).uniform(30, SIZE - 30, (50, 2))
    # the control points of a field are 88 px of the matched size apart, and so it follows the waves roughly
    assert np.abs(model.apply(xy) - MOVES["field"](xy)).max() < 0.2
    assert np.abs(model.invert(model.apply(xy)) - xy).max() < 1e-6


def test_a_later_image_is_put_onto_the_reference(write_image: Writer, tmp_path: Path) -> None:
    """A third image, which was never matched, in pixels of 20 m."""
    xy = centres(SIZE // 2, SIZE // 2)
    truth = ground(*xy.T).reshape(SIZE // 2, SIZE // 2)
    seen = ground(*inverse(lambda at: MOVES["affine"](at * 2) / 2, xy).T).reshape(truth.shape)
    image = np.stack([texture(SIZE, SIZE)] * 3)
    result = result_of(write_image("a.tif", image), write_image("b.tif", image), matched_model("affine"))
    third = write_image("c.tif", seen.astype(np.float32), GRID @ Affine.scale(2))
    (out,) = applied_later(result, [third], tmp_path)
    inner = (slice(12, -12),) * 2
    with rasterio.open(out) as file:
        assert file.transform == GRID @ Affine.scale(2)
        assert np.abs(file.read(1) - truth)[inner].max() < 0.5 < 10 < np.abs(seen - truth)[inner].max()


def moved_truth(result: PairResult, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map coordinates of the reference for map coordinates of the target, by a fixed-point iteration."""
    assert result.file_model is not None
    pixels = inverse(result.file_model.apply, apply_transform(~GRID, xy))
    return apply_transform(GRID, pixels)


def some_points(count: int = 30) -> NDArray[np.float64]:
    pixels = np.random.default_rng(2).uniform(60, SIZE - 60, (count, 2))
    return apply_transform(GRID, pixels)


@pytest.mark.parametrize("move", ["translation", "field"])
def test_layers_of_a_geopackage_are_moved(move: str, pair: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    result = result_of(*pair(), matched_model(move))
    xy = some_points()
    columns = {
        "count": pandas.array([None, *range(29)], dtype="Int64"),
        "name": [None, *(f"ü{k}" for k in range(29))],
        "day": pandas.to_datetime(["2020-01-01T01:02:03"] * 30),
        "flag": [True, False] * 15,
        "share": np.arange(30) / 7,
    }
    source = tmp_path / "roads.gpkg"
    high = shapely.points(np.hstack([xy, np.arange(30)[:, None]]))
    geopandas.GeoDataFrame(columns, geometry=high, crs=UTM.to_wkt()).to_file(source, layer="points")
    boxes = shapely.box(xy[:, 0], xy[:, 1], xy[:, 0] + 300, xy[:, 1] + 200)
    degrees = geopandas.GeoDataFrame({"k": range(30)}, geometry=boxes, crs=UTM.to_wkt()).to_crs(4326)
    degrees.to_file(source, layer="boxes", mode="a")
    pyogrio.write_dataframe(pandas.DataFrame({"key": [1, 2], "text": ["x", "y"]}), source, layer="table", append=True)
    (out,) = applied_later(result, [source], tmp_path)
    assert out.name == "roads_coregistered.gpkg"
    assert [tuple(row) for row in pyogrio.list_layers(out)] == [tuple(row) for row in pyogrio.list_layers(source)]
    assert pyogrio.read_dataframe(out, layer="table").equals(pyogrio.read_dataframe(source, layer="table"))
    before, after = (geopandas.read_file(path, layer="points") for path in (source, out))
    pandas.testing.assert_frame_equal(before.drop(columns="geometry"), after.drop(columns="geometry"))
    for key in ("fields", "dtypes", "ogr_types", "ogr_subtypes"):
        kinds = (list(pyogrio.read_info(path, layer="points")[key]) for path in (source, out))
        assert next(kinds) == next(kinds)
    assert (after.geometry.z == before.geometry.z).all()
    told = shapely.get_coordinates(after.geometry)
    assert np.abs(told - moved_truth(result, xy)).max() < 1e-4 < 15 < np.abs(told - xy).max()
    moved = geopandas.read_file(out, layer="boxes")
    assert moved.crs == degrees.crs
    corners = shapely.get_coordinates(boxes)
    told = shapely.get_coordinates(moved.to_crs(UTM.to_wkt()).geometry)
    assert np.abs(told - moved_truth(result, corners)).max() < 1e-3
    again = apply_model(result, source, tmp_path / "again", force=True)
    assert again[0].read_bytes() == out.read_bytes()


def test_a_geojson_is_moved(pair: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    """Whatever its objects are; other members stay, except for bounding boxes."""
    result = result_of(*pair(), matched_model("translation"))
    xy = reproject(some_points(9), UTM, CRS.from_epsg(4326))
    rows = xy.tolist()
    geometries = [
        {"type": "Point", "coordinates": [*rows[0], 17.5]},
        {"type": "LineString", "coordinates": rows[1:3]},
        {"type": "GeometryCollection", "geometries": [{"type": "MultiPoint", "coordinates": rows[3:5]}]},
        {"type": "Polygon", "coordinates": [[*rows[5:9], rows[5]]]},
        None,
    ]
    features = [
        {"type": "Feature", "id": f"f{k}", "properties": {"a": [1, {"b": None}], "k": k}, "geometry": geometry}
        for k, geometry in enumerate(geometries)
    ]
    document = {"type": "FeatureCollection", "name": "ü", "bbox": [0, 0, 1, 1], "features": features}
    source = tmp_path / "areas.json"
    source.write_text(json.dumps(document), encoding="utf-8")
    (out,) = applied_later(result, [source], tmp_path)
    assert out.name == "areas_coregistered.geojson"
    moved = json.loads(out.read_text(encoding="utf-8"))
    assert "bbox" not in moved and moved["name"] == "ü"
    assert moved["features"][0]["geometry"]["coordinates"][2] == 17.5
    assert [f["id"] for f in moved["features"]] == ["f0", "f1", "f2", "f3", "f4"]
    assert all(f["properties"] == {"a": [1, {"b": None}], "k": k} for k, f in enumerate(moved["features"]))
    frame = geopandas.read_file(out)
    told = shapely.get_coordinates(frame.to_crs(UTM.to_wkt()).geometry)
    expected = moved_truth(result, reproject(np.array([*rows, rows[5]]), CRS.from_epsg(4326), UTM))
    assert np.abs(told - expected).max() < 0.01

    # the member of GeoJSON 2008 names another system
    geopandas.GeoDataFrame(geometry=shapely.points(some_points(3)), crs=UTM.to_wkt()).to_file(tmp_path / "utm.geojson")
    (out,) = apply_model(result, tmp_path / "utm.geojson", tmp_path, force=True)
    told = shapely.get_coordinates(geopandas.read_file(out).geometry)
    assert np.abs(told - moved_truth(result, some_points(3))).max() < 0.01


def test_vectors_across_zones_follow_the_raster(write_image: Writer, tmp_path: Path) -> None:
    """A point in the target's zone lies, once moved, on the same pixel value in the reference's place."""
    reference = write_image("A_20180820T083601_TCI.tif", np.stack([texture(SIZE, SIZE)] * 3))
    target, model = other_zone(reference, write_image)
    result = result_of(reference, target, model)
    assert result.file_model is not None
    pixels = np.random.default_rng(3).uniform(60, SIZE - 60, (20, 2))
    with rasterio.open(target) as file:
        seen = apply_transform(file.transform, result.file_model.apply(pixels))
    points = tmp_path / "points.gpkg"
    geopandas.GeoDataFrame(geometry=shapely.points(seen), crs=ZONE.to_wkt()).to_file(points)
    (out,) = applied_later(result, [points], tmp_path)
    told = geopandas.read_file(out)
    assert told.crs == ZONE.to_wkt()
    told = shapely.get_coordinates(told.to_crs(UTM.to_wkt()).geometry)
    assert np.abs(told - apply_transform(GRID, pixels)).max() < 1e-4


def test_a_registered_pair_is_applied_on_force_only(pair: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    reference, target = pair()
    result = result_of(reference, target, registration("translation", lambda xy: xy + 1e-4, 200))
    write_json(result, tmp_path / "result.json")
    model = read_model(tmp_path / "result.json")
    with pytest.raises(NotCorrectedError, match='verdict on the pair is "already registered": --force'):
        apply_model(model, target, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert apply_model(model, target, tmp_path / "out", force=True)[0].exists()
    with pytest.raises(NotCorrectedError, match='verdict of the pair is "already registered": force=True'):
        warp(np.zeros((SIZE, SIZE)), model)


def test_arrays_are_warped_by_a_model_that_was_kept(pair: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    result = result_of(*pair(), matched_model("field"))
    write_json(result, tmp_path / "result.json")
    model = read_model(tmp_path / "result.json")
    for side in (SIZE, SIZE // 2):
        now, later = (warp(texture(side, side, seed=7), one) for one in (result, model))
        assert (now == later).all() and (now.mask == later.mask).all() and now.shape == (side, side)


@pytest.mark.filterwarnings("ignore:'crs' was not provided:UserWarning")
def test_files_that_cannot_be_corrected(
    pair: Callable[..., tuple[Path, Path]], write_image: Writer, tmp_path: Path
) -> None:
    """Nothing is written if one of the files cannot be corrected."""
    reference, target = pair()
    result = result_of(reference, target, matched_model("affine"))
    out = tmp_path / "out"
    away = write_image("away.tif", texture(64, 64), Affine.translation(9000, 0) @ GRID)
    shape = tmp_path / "roads.shp"
    shape.write_bytes(b"")
    unplaced = tmp_path / "unplaced.gpkg"
    geopandas.GeoDataFrame(geometry=shapely.points([[0.0, 0.0]])).to_file(unplaced)
    text = tmp_path / "text.geojson"
    text.write_text("roads")
    odd = tmp_path / "odd.geojson"
    odd.write_text('{"type": "Point", "coordinates": ["a", "b"]}')
    for path, error, words in (
        (away, CorrectionError, "away.tif does not have the footprint"),
        (shape, UnreadableImageError, "another format than GeoPackage and GeoJSON"),
        (unplaced, CorrectionError, "unplaced has no known reference system|unplaced.gpkg unplaced cannot be moved"),
        (text, UnreadableImageError, "is not GeoJSON: it is not JSON"),
        (odd, UnreadableImageError, "odd.geojson is not GeoJSON: its geometries cannot be read"),
        (tmp_path / "none.gpkg", UnreadableImageError, "none.gpkg"),
        (tmp_path / "none.tif", UnreadableImageError, "none.tif"),
    ):
        with pytest.raises(error, match=words):
            apply_model(result, [target, path], out, force=True)
    with pytest.raises(CorrectionError, match="this affine does more"):
        apply_model(result, target, out, resampling=None, force=True)
    assert not out.exists()
    with pytest.raises(OutputError, match="an input or another output"):
        apply_model(result, [target, target], out, force=True)
    apply_model(result, target, out, force=True)
    with pytest.raises(OutputError, match="--overwrite replaces it"):
        apply_model(result, target, out, force=True)
    apply_model(result, target, out, force=True, overwrite=True)

    bare = write_image("bare.tif", np.stack([texture(SIZE, SIZE)] * 3), None)
    points = tmp_path / "points.gpkg"
    geopandas.GeoDataFrame(geometry=shapely.points(some_points(2)), crs=UTM.to_wkt()).to_file(points)
    with pytest.raises(CorrectionError, match="between two georeferenced images"):
        apply_model(result_of(reference, bare, matched_model("affine")), points, out, force=True)


def test_files_that_keep_no_model(pair: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    result = result_of(*pair(), matched_model("affine"))
    path = tmp_path / "result.json"
    write_json(result, path)
    content = json.loads(path.read_text())

    def refused(text: str | bytes) -> str:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ModelFileError) as error:
            read_model(path)
        message = str(error.value)
        assert message.endswith(".") and "\n" not in message
        return message.removeprefix(str(path))

    def changed(**values: Any) -> str:
        return json.dumps(content | values)

    assert refused(b"II*\0\xff\xfe") == " is not a JSON of a result: it is not JSON."
    assert refused("[1]") == refused("{}") == " is not a JSON of a result, as --json writes it."
    assert "match again, the version that wrote it kept less" in refused(json.dumps({"registration": {}}))
    assert (
        refused(changed(schema_version=2)) == " has schema version 2, and this version of s2match reads 1: match again."
    )
    assert refused(changed(registration=None)) == " has no model: no registration was accepted."
    registration = content["registration"]
    frame = "matrix_reference_file_px_to_target_file_px"
    for damage in (
        {frame: [[1, 0], [0, 1]]},
        {frame: [["a"] * 3] * 3},
        {frame: [[None] * 3] * 3},
        {frame: [[1] * 3] * 3},
        {"model": "best"},
    ):
        assert refused(changed(registration=registration | damage)).startswith(" is damaged: ")
    del registration[frame]
    assert refused(changed(registration=registration)) == f" is damaged: {frame} is missing."
    with pytest.raises(ModelFileError, match="No such file"):
        read_model(tmp_path / "none.json")


def test_layers_without_features_and_without_geometries(pair: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    result = result_of(*pair(), matched_model("translation"))
    source = tmp_path / "empty.gpkg"
    missing = geopandas.GeoDataFrame({"k": [1, 2]}, geometry=[None, shapely.Point()], crs=UTM.to_wkt())
    missing.to_file(source, layer="missing", geometry_type="Point")
    missing.iloc[:0].to_file(source, layer="none", geometry_type="Polygon", mode="a")
    (out,) = apply_model(result, source, tmp_path, force=True)
    assert [tuple(row) for row in pyogrio.list_layers(out)] == [("missing", "Point"), ("none", "Polygon")]
    assert len(geopandas.read_file(out, layer="none")) == 0
    told = geopandas.read_file(out, layer="missing")
    assert list(told.k) == [1, 2] and told.geometry[0] is None and told.geometry[1].is_empty
    (tmp_path / "none.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (out,) = apply_model(result, tmp_path / "none.geojson", tmp_path, force=True)
    assert json.loads(out.read_text()) == {"type": "FeatureCollection", "features": []}


def test_every_file_of_a_product_is_corrected(tmp_path: Path) -> None:
    """Named by its folder, its metadata or its zip; with the bytes of ``--apply_to product``."""
    first, second = Product(level="L2A"), Product(level="L2A", sensed="20190606T083601", displaced=True)
    safes = [write_product(tmp_path, product) for product in (first, second)]
    images = [safe / product.image("TCI") for safe, product in zip(safes, (first, second), strict=True)]
    result = result_of(*images, registration("translation", lambda xy: xy + (4, -3), 200))
    request = CorrectionRequest(
        tmp_path / "now" / "T36UXA_20190606T083601_TCI_10m_coregistered.tif", (Path("product"),)
    )
    request.out.parent.mkdir()
    request = with_product_files(request, result.target.scene)
    correct(result, request)
    expected = {path.name: path.read_bytes() for path in request.outputs}
    assert len(expected) == 8 and "T36UXA_20190606T083601_B01_60m_coregistered.tif" in expected
    write_json(result, tmp_path / "result.json")
    model = read_model(tmp_path / "result.json")
    for number, source in enumerate((safes[1], safes[1] / second.metadata, zipped(safes[1], tmp_path / "b.zip"))):
        written = apply_model(model, source, tmp_path / str(number), force=True)
        assert {path.name: path.read_bytes() for path in written} == expected


def test_bands_that_are_files_share_control_points(tmp_path: Path) -> None:
    first, second = Product(level="L2A"), Product(level="L2A", sensed="20190606T083601", displaced=True)
    safes = [str(write_product(tmp_path, product)) for product in (first, second)]
    bands = open_pair(*safes, ("B04", "B03", "B02"))
    result = result_of(*bands, registration("translation", lambda xy: xy + (4, -3), 200))
    write_gcps(result, tmp_path / "gcps.tif")
    with rasterio.open(tmp_path / "gcps.tif") as file:
        assert file.count == 3 and file.descriptions == ("B04", "B03", "B02") and len(file.gcps[0]) == 9
        for band, path in zip(file.read(), bands[1].files, strict=True):
            with rasterio.open(path) as single:
                assert (single.read(1) == band).all()
    write_gcps(result, tmp_path / "gcps.sh")
    build, *_ = (tmp_path / "gcps.sh").read_text().replace("\\\n", "").splitlines()
    assert build.split()[:2] == ["gdalbuildvrt", "-separate"] and build.split()[3:] == list(map(str, bands[1].files))
    mixed = result_of(*open_pair(*safes, ("B04", "B11", "B01")), registration("translation", lambda xy: xy + 3, 200))
    with pytest.raises(CorrectionError, match="choose bands of one size"):
        write_gcps(mixed, tmp_path / "mixed.tif")


def test_maps_without_reference_system_are_moved(
    write_image: Writer, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """As both images and the layer name none, they are on one map."""
    image = np.stack([texture(SIZE, SIZE)] * 3)
    pair = write_image("a.tif", image, GRID, None), write_image("b.tif", image, GRID, None)
    result = result_of(*pair, matched_model("affine"))
    layer = tmp_path / "points.gpkg"
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        geopandas.GeoDataFrame(geometry=shapely.points(some_points())).to_file(layer)
    recwarn.clear()
    (out,) = apply_model(result, layer, tmp_path, force=True)
    assert not recwarn.list
    told = shapely.get_coordinates(geopandas.read_file(out).geometry)
    assert np.abs(told - moved_truth(result, some_points())).max() < 1e-4
