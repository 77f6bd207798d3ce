"""Tie points out and in: exact coordinates in every format, and the same model from what was written."""

import csv
import itertools
import json
import re
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from conftest import GRID, ROOT, UTM, Writer, make_raster, texture
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import from_gcps

import model_inference
from s2match.core.file_pixels import whole_file
from s2match.core.matches import Matches, Provenance
from s2match.core.raster import HasGrid
from s2match.core.scene import Scene
from s2match.errors import MissingExtraError, OptionError, OutputError, S2MatchError, TiePointError
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_raster
from s2match.io.sources import open_pair
from s2match.outputs.facts import facts
from s2match.outputs.summary import summary
from s2match.pipeline import fit_tie_points, register
from s2match.result import PairResult
from s2match.settings import Settings
from s2match.tiepoints import formats
from s2match.tiepoints.formats import read_tie_points, write_tie_points
from s2match.tiepoints.points import tie_points_of
from s2match.util import optional

NEXT_ZONE = CRS.from_epsg(32637)
FORMATS = (".gpkg", ".geojson", ".csv", ".points")
NO_PYARROW = pytest.mark.skipif(find_spec("pyarrow") is None, reason="there is no pyarrow")
ALL_FORMATS = (*FORMATS, pytest.param(".parquet", marks=NO_PYARROW))
WIDTH, HEIGHT = 1200, 900

IMAGE = np.resize(texture(160, 120), (HEIGHT, WIDTH))

# Where the second image begins: 40 px further east and 20 px further south, its pixels as large.
EAST = GRID @ Affine.translation(40.3, 20.6)


def zone_transform() -> Affine:
    """Of an image in the next zone whose middle is near that of GRID."""
    middle = Transformer.from_crs(UTM, NEXT_ZONE, always_xy=True).transform(*(GRID @ (WIDTH / 2, HEIGHT / 2)))
    return Affine(10, 0, round(middle[0]) - 6000, 0, -10, round(middle[1]) + 4500)


# The reference's file, the target's file, and how they are matched
CASES = {
    "native": (GRID, UTM, EAST, UTM, None, False),
    "resized": (GRID, UTM, EAST, UTM, (640, 420), False),
    "overlap": (GRID, UTM, EAST, UTM, None, True),
    "overlap resized": (GRID, UTM, EAST, UTM, (500, 400), True),
    "other zone": (GRID, UTM, zone_transform(), NEXT_ZONE, None, False),
    "other zone resized": (GRID, UTM, zone_transform(), NEXT_ZONE, (640, 420), False),
    "other zone overlap": (GRID, UTM, zone_transform(), NEXT_ZONE, None, True),
    "no georeference": (None, None, None, None, (500, 500), False),
    "target without": (GRID, UTM, None, None, (500, 500), False),
}
Pair = Callable[[str], tuple[tuple[Scene, Scene], PairResult]]


def settings_of(model: str = "affine") -> Settings:
    return Settings(geometry=model, ransac_threshold_px=1.0)


@pytest.fixture
def pair(write_image: Writer) -> Pair:
    """Two files and a result of matches between them, as if matched: right ones, noisy, and 10 wrong ones in 200."""

    def make(case: str) -> tuple[tuple[Scene, Scene], PairResult]:
        transform0, crs0, transform1, crs1, size, overlap = CASES[case]
        scenes = open_pair(
            write_image("a.tif", IMAGE, transform0, crs0),
            write_image("b.tif", IMAGE, transform1, crs1),
        )
        reference, target = grids_of(*scenes, size, overlap)
        return scenes, register(reference, target, matches_on(reference, target), settings_of(), previews=shown())

    return make


def matches_on(reference: HasGrid, target: HasGrid) -> Matches:
    rng = np.random.default_rng(3)
    xy1 = np.array(target.size) * rng.uniform(0.15, 0.85, (200, 2))
    linear = np.array([[1.002, 0.003], [-0.003, 0.999]])
    xy0 = (xy1 - np.array(target.size) / 2) @ linear + np.array(reference.size) / 2
    xy1 += rng.normal(0, 0.1, xy1.shape)
    xy1[:10] += 9
    return Matches(xy0, xy1, rng.uniform(0.8, 1, 200), Provenance("sentinel2", "cpu", 0.8), rng.uniform(0, 1, 200))


def shown() -> tuple:
    return make_raster(texture(100, 100)), make_raster(texture(100, 100))


def in_file(placed: HasGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels of a grid in its file, through the map and by what the file itself says."""
    with warnings.catch_warnings(), rasterio.open(placed.scene.path) as file:
        warnings.simplefilter("ignore")
        if placed.transform is None:
            return xy * (file.width, file.height) / np.array(placed.size)
        x, y = placed.transform @ tuple(xy.T)
        if placed.crs != file.crs:
            x, y = Transformer.from_crs(placed.crs, file.crs, always_xy=True).transform(x, y)
        return np.stack(~file.transform @ (x, y), axis=1)


def on_map(path: Path, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    with rasterio.open(path) as file:
        return np.stack(file.transform @ tuple(xy.T), axis=1)


def read_rows(path: Path) -> dict[str, NDArray[np.float64]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}


def edit_rows(path: Path, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> None:
    with path.open(newline="") as file:
        rows = change(list(csv.DictReader(file)))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("case", CASES)
def test_positions_in_the_files_and_on_their_maps(case: str, pair: Pair, tmp_path: Path) -> None:
    scenes, result = pair(case)
    write_tie_points(tie_points_of(result), tmp_path / "t.csv")
    table = read_rows(tmp_path / "t.csv")
    xy0, xy1 = in_file(result.reference, result.matches.xy0), in_file(result.target, result.matches.xy1)
    assert np.allclose(np.stack([table["X_IM_REF"], table["Y_IM_REF"]], 1), xy0, atol=1e-5, rtol=0)
    assert np.allclose(np.stack([table["X_IM"], table["Y_IM"]], 1), xy1, atol=1e-5, rtol=0)
    for scene, xy, names in ((scenes[0], xy0, ("X_MAP_REF", "Y_MAP_REF")), (scenes[1], xy1, ("X_MAP", "Y_MAP"))):
        placed = result.reference if scene is scenes[0] else result.target
        expected = np.full(xy.shape, np.nan) if placed.transform is None else on_map(scene.path, xy)
        there = np.stack([table[name] for name in names], 1)
        assert np.allclose(there, expected, atol=1e-4, rtol=0, equal_nan=True)
    assert (table["POINT_ID"] == np.arange(200)).all() and (table["ENABLED"] == 1).all()
    assert np.allclose(table["RELIABILITY"], result.matches.confidence * 100, rtol=0, atol=0.0051)
    assert np.isnan(table["SIMILARITY"]).all() and "-9999" not in (tmp_path / "t.csv").read_text()


def test_rasters_that_were_read_at_another_size(write_image: Writer, tmp_path: Path) -> None:
    """As scripts have them that go step by step."""
    paths = write_image("a.tif", IMAGE), write_image("b.tif", IMAGE[:600], EAST)
    reference, target = (read_raster(path, (480, 320)) for path in paths)
    result = register(reference, target, matches_on(reference, target), settings_of())
    points = tie_points_of(result)
    assert np.allclose(points.xy0_px, result.matches.xy0 * (WIDTH / 480, HEIGHT / 320))
    assert np.allclose(points.xy1_px, result.matches.xy1 * (WIDTH / 480, 600 / 320))
    assert points.target_map is not None and np.allclose(points.target_map, on_map(paths[1], points.xy1_px))


def test_shifts_are_what_the_target_must_be_moved_by(write_image: Writer, tmp_path: Path) -> None:
    """The target shows all ground 30 m further east and 20 m further south: it must move west and north."""
    scenes = open_pair(
        write_image("a.tif", IMAGE),
        write_image("b.tif", IMAGE, GRID @ Affine.scale(0.5)),
    )
    grids = grids_of(*scenes, None)
    xy = np.random.default_rng(0).uniform(20, 130, (60, 2))
    matches = Matches(xy, xy + (3, 2), np.ones(60), Provenance("test", "cpu", 0.0))
    result = register(*grids, matches, settings_of("translation"), previews=shown())
    write_tie_points(tie_points_of(result), tmp_path / "t.csv")
    table = read_rows(tmp_path / "t.csv")
    errors = result.errors
    assert errors is not None and np.allclose(errors.median_m, (30, -20))
    for name, value in {
        "X_SHIFT_M": -30,
        "Y_SHIFT_M": 20,
        # pixels of 5 m of the target's file, counted down
        "X_SHIFT_PX": -6,
        "Y_SHIFT_PX": -4,
        "ABS_SHIFT": np.hypot(30, 20),
        # where the target is off to, clockwise from north, which is what AROSICS gives
        "ANGLE": 90 + np.degrees(np.arctan2(20, 30)),
        "OUTLIER": 0,
        "RESIDUAL_PX": 0,
        "RESIDUAL_M": 0,
    }.items():
        assert np.allclose(table[name], value, atol=0.0051 if name == "ANGLE" else 5.1e-5, rtol=0), name
    # three numbers of four decimals
    assert np.allclose(table["X_MAP"] + table["X_SHIFT_M"], table["X_MAP_REF"], atol=1.51e-4, rtol=0)
    assert np.allclose(table["Y_MAP"] + table["Y_SHIFT_M"], table["Y_MAP_REF"], atol=1.51e-4, rtol=0)


@pytest.mark.parametrize("case", ["resized", "other zone resized", "no georeference"])
def test_residuals_lead_to_the_model_in_the_file(case: str, pair: Pair, tmp_path: Path) -> None:
    _, result = pair(case)
    assert result.registration is not None
    write_tie_points(tie_points_of(result), tmp_path / "t.csv")
    table = read_rows(tmp_path / "t.csv")
    model = in_file(result.target, result.registration.apply(result.matches.xy0))
    apart = model - np.stack([table["X_IM"], table["Y_IM"]], 1)
    assert np.allclose(np.stack([table["X_RESIDUAL_PX"], table["Y_RESIDUAL_PX"]], 1), apart, atol=5.3e-5, rtol=0)
    assert np.allclose(table["RESIDUAL_PX"], np.hypot(*apart.T), atol=5.3e-5, rtol=0)
    metres = np.full(200, np.nan) if case == "no georeference" else 10 * np.hypot(*apart.T)
    # a map's metre is the ground's to 1 in 1000
    assert np.allclose(table["RESIDUAL_M"], metres, rtol=2e-3, atol=5.3e-5, equal_nan=True)
    assert (table["OUTLIER"] == ~result.registration.inliers).all() and table["OUTLIER"].sum() == 10


@pytest.mark.parametrize("suffix", FORMATS[:3])
def test_without_a_model_or_a_place_nothing_is_known(suffix: str, write_image: Writer, tmp_path: Path) -> None:
    """Empty, null or NULL, and no number that stands for it."""
    scenes = open_pair(write_image("a.tif", IMAGE, None), write_image("b.tif", IMAGE[:, :HEIGHT], None))
    xy = np.random.default_rng(0).uniform(20, 140, (30, 2))
    matches = Matches(xy, xy[::-1], np.ones(30), Provenance("test", "cpu", 0.0))
    result = register(*grids_of(*scenes, (200, 200)), matches, settings_of(), previews=shown())
    assert result.registration is None
    path = tmp_path / f"t{suffix}"
    write_tie_points(tie_points_of(result), path)
    unknown = "X_MAP X_SHIFT_PX Y_SHIFT_PX X_SHIFT_M ABS_SHIFT ANGLE OUTLIER X_MAP_REF X_RESIDUAL_PX RESIDUAL_M"
    rows: list[dict[str, Any]]
    if suffix == ".csv":
        rows, nothing = list(csv.DictReader(path.open(newline=""))), ""
    elif suffix == ".geojson":
        rows, nothing = [one["properties"] for one in json.loads(path.read_text())["features"]], None
    else:
        with sqlite3.connect(path) as base:
            base.row_factory = sqlite3.Row
            rows, nothing = [dict(row) for row in base.execute("SELECT * FROM tie_points")], None
    assert len(rows) == 30 and all(row[name] == nothing for row in rows for name in unknown.split())
    assert all(float(row["X_IM"]) > 0 and int(row["ENABLED"]) == 1 for row in rows)
    again = read_tie_points(path, whole_file(result.reference), whole_file(result.target))
    assert again.similarity is None and again.correlated is None and len(again) == 30


@pytest.mark.parametrize("case", ["overlap resized", "other zone", "target without"])
def test_a_geopackage_lies_where_the_target_has_the_points(case: str, pair: Pair, tmp_path: Path) -> None:
    _, result = pair(case)
    points = tie_points_of(result)
    write_tie_points(points, tmp_path / "t.gpkg")
    write_tie_points(points, tmp_path / "t.csv")
    frame, table = geopandas.read_file(tmp_path / "t.gpkg"), read_rows(tmp_path / "t.csv")
    epsg, names = {
        "other zone": (32637, ("X_MAP", "Y_MAP")),
        "overlap resized": (32636, ("X_MAP", "Y_MAP")),
        "target without": (32636, ("X_MAP_REF", "Y_MAP_REF")),
    }[case]
    assert frame.crs.to_epsg() == epsg
    for along, name in ((frame.geometry.x, names[0]), (frame.geometry.y, names[1])):
        assert np.allclose(along, table[name], rtol=0, atol=5.1e-5)
    assert list(frame.columns) == [*table, "geometry"]
    assert all(np.array_equal(frame[name].astype(float), values, equal_nan=True) for name, values in table.items())
    assert [str(frame[name].dtype) for name in ("POINT_ID", "OUTLIER", "ENABLED")] == ["int64"] * 3
    assert [name for name, _ in pyogrio.list_layers(tmp_path / "t.gpkg")] == ["tie_points", "layer_styles"]


def test_a_geopackage_without_any_georeference_lies_on_the_pixels_as_qgis_shows_them(
    pair: Pair, tmp_path: Path
) -> None:
    _, result = pair("no georeference")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_tie_points(tie_points_of(result), tmp_path / "t.gpkg")
    frame = geopandas.read_file(tmp_path / "t.gpkg")
    assert np.allclose(frame.geometry.x, frame["X_IM"], rtol=0, atol=1e-6)
    assert np.allclose(frame.geometry.y, -frame["Y_IM"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", ["resized", "other zone"])
def test_geojson_is_in_longitude_and_latitude(case: str, pair: Pair, tmp_path: Path) -> None:
    """As RFC 7946 wants it, whatever the CRS of the files."""
    _, result = pair(case)
    write_tie_points(tie_points_of(result), tmp_path / "t.geojson")
    frame = geopandas.read_file(tmp_path / "t.geojson")
    assert frame.crs.to_epsg() == 4326 and len(frame) == 200
    back = Transformer.from_crs(4326, CASES[case][3].to_epsg(), always_xy=True)
    x, y = back.transform(frame.geometry.x, frame.geometry.y)
    # eight decimals of a degree are a millimetre
    assert np.allclose(x, frame["X_MAP"], atol=1e-3, rtol=0) and np.allclose(y, frame["Y_MAP"], atol=1e-3, rtol=0)
    assert not re.search(r"\.\d{10,}", (tmp_path / "t.geojson").read_text())
    document = json.loads((tmp_path / "t.geojson").read_text())
    assert "crs" not in document and 30 < document["features"][0]["geometry"]["coordinates"][0] < 36


def test_geojson_without_any_georeference_lies_nowhere(pair: Pair, tmp_path: Path) -> None:
    _, result = pair("no georeference")
    write_tie_points(tie_points_of(result), tmp_path / "t.geojson")
    features = json.loads((tmp_path / "t.geojson").read_text())["features"]
    assert len(features) == 200 and all(feature["geometry"] is None for feature in features)


def read_qgis(path: Path) -> tuple[CRS | None, NDArray[np.float64]]:
    """What QGIS reads: the CRS of the first line, and five numbers of every line after the header."""
    lines = path.read_text().splitlines()
    crs = CRS.from_wkt(lines.pop(0).removeprefix("#CRS: ")) if lines[0].startswith("#CRS: ") else None
    assert lines[0].startswith("mapX,mapY,sourceX,sourceY,enable,dX,dY,residual")
    return crs, np.array([[float(value) for value in line.split(",")[:5]] for line in lines[1:]])


@pytest.mark.parametrize("case", ["resized", "other zone overlap", "target without", "no georeference"])
def test_qgis_points_georeference_the_target(case: str, pair: Pair, tmp_path: Path) -> None:
    """Source coordinates are those of the layer: on the map where the target has one, or pixels, y upwards."""
    scenes, result = pair(case)
    assert result.registration is not None
    write_tie_points(tie_points_of(result), tmp_path / "t.points")
    crs, rows = read_qgis(tmp_path / "t.points")
    xy0, xy1 = in_file(result.reference, result.matches.xy0), in_file(result.target, result.matches.xy1)
    assert crs == result.reference.crs
    assert np.allclose(rows[:, :2], xy0 * (1, -1) if crs is None else on_map(scenes[0].path, xy0), atol=1e-4, rtol=0)
    source = xy1 * (1, -1) if result.target.crs is None else on_map(scenes[1].path, xy1)
    assert np.allclose(rows[:, 2:4], source, atol=1e-4, rtol=0)
    assert (rows[:, 4] == result.registration.inliers).all()
    if case == "target without":
        # GDAL takes them for what they are
        points = [GroundControlPoint(-y, x, map_x, map_y) for map_x, map_y, x, y, _ in rows[rows[:, 4] == 1]]
        model = np.array(~from_gcps(points) @ tuple(rows[:, :2].T)).T
        assert np.median(np.linalg.norm(model - xy1, axis=1)) < 0.5


@pytest.mark.parametrize("suffix", ALL_FORMATS)
@pytest.mark.parametrize(
    ("case", "model"), [*((case, "affine") for case in CASES), ("resized", "auto"), ("other zone", "field")]
)
def test_a_fit_to_what_was_written_is_the_fit(suffix: str, case: str, model: str, pair: Pair, tmp_path: Path) -> None:
    scenes, result = pair(case)
    size, overlap = CASES[case][4:]
    settings = settings_of(model)
    result = register(result.reference, result.target, result.matches, settings, previews=shown())
    path = tmp_path / f"t{suffix}"
    write_tie_points(tie_points_of(result), path)
    again = fit_tie_points(path, *scenes, settings, image_size=size, overlap_only=overlap)
    assert result.registration is not None and again.registration is not None
    assert again.registration.model == result.registration.model
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * np.array(result.reference.size, float)
    apart = again.registration.apply(corners) - result.registration.apply(corners)
    assert np.abs(apart).max() < 1e-6
    assert (again.registration.inliers == result.registration.inliers).all()
    assert again.matches.origin.weights == f"tie points of t{suffix}"
    assert np.allclose(again.matches.confidence, result.matches.confidence, atol=5.1e-5, rtol=0)
    assert again.uncertainty_px == pytest.approx(result.uncertainty_px, rel=1e-6)
    assert again.verdict.decision == result.verdict.decision


@pytest.mark.parametrize("suffix", ALL_FORMATS)
def test_rows_that_are_deleted_or_not_enabled_take_no_part(suffix: str, pair: Pair, tmp_path: Path) -> None:
    scenes, result = pair("resized")
    path = tmp_path / f"t{suffix}"
    write_tie_points(tie_points_of(result), path)
    if suffix == ".csv":
        edit_rows(path, lambda rows: [row | {"ENABLED": "0"} if k < 40 else row for k, row in enumerate(rows[7:])])
    elif suffix == ".points":
        lines = path.read_text().splitlines()
        outlier = lines[1].split(",").index("OUTLIER")
        off = [
            ",".join("0" if column in (4, outlier) else cell for column, cell in enumerate(line.split(",")))
            for line in lines[9:49]
        ]
        path.write_text("\n".join([*lines[:2], *off, *lines[49:]]) + "\n")
    else:
        read = geopandas.read_parquet if suffix == ".parquet" else geopandas.read_file
        frame = read(path).iloc[7:].assign(comment="by hand")
        frame.loc[frame.index[:40], "ENABLED"] = 0
        if suffix == ".parquet":
            frame.to_parquet(path)
        else:
            frame.to_file(path, layer="tie_points" if suffix == ".gpkg" else None)
    again = fit_tie_points(path, *scenes, settings_of(), image_size=CASES["resized"][4])
    assert len(again.matches) == 153
    assert np.allclose(again.matches.xy0, result.matches.xy0[47:], atol=1e-6, rtol=0)


def test_points_as_qgis_saves_them(pair: Pair, tmp_path: Path) -> None:
    """With its own columns alone, in another CRS, and points added by hand."""
    scenes, result = pair("target without")
    write_tie_points(tie_points_of(result), tmp_path / "t.points")
    _, rows = read_qgis(tmp_path / "t.points")
    rows[:, :2] = np.stack(Transformer.from_crs(32636, 3857, always_xy=True).transform(*rows[:, :2].T), 1)
    lines = [",".join(map(repr, [*map(float, row[:4]), int(row[4]), 0, 0, 0])) for row in rows]
    head = [f"#CRS: {CRS.from_epsg(3857).to_wkt()}", "mapX,mapY,sourceX,sourceY,enable,dX,dY,residual"]
    (tmp_path / "q.points").write_text("\n".join([*head, *lines]) + "\n")
    again = fit_tie_points(tmp_path / "q.points", *scenes, settings_of(), image_size=CASES["target without"][4])
    assert result.registration is not None and again.registration is not None
    assert len(again.matches) == 190 and (again.matches.confidence == 1).all()
    kept = result.matches.subset(result.registration.inliers)
    assert np.allclose(again.matches.xy0, kept.xy0, atol=1e-5)
    # the model is that of the inliers alone
    centre = np.array([[250.0, 250.0]])
    assert np.abs(again.registration.apply(centre) - result.registration.apply(centre)).max() < 0.1


def without(*names: str) -> Callable[[list[dict[str, str]]], list[dict[str, str]]]:
    return lambda rows: [{key: value for key, value in row.items() if key not in names} for row in rows]


@pytest.mark.parametrize("suffix", ALL_FORMATS)
def test_what_the_edges_alone_found_stays_marked(suffix: str, pair: Pair, tmp_path: Path) -> None:
    _, result = pair("resized")
    marks = np.arange(200) % 3 == 0
    result = replace(result, matches=replace(result.matches, correlated=marks, similarity=np.full(200, 0.5)))
    path = tmp_path / f"t{suffix}"
    write_tie_points(tie_points_of(result), path)
    again = read_tie_points(path, whole_file(result.reference), whole_file(result.target))
    assert again.correlated is not None and (again.correlated == marks).all()
    assert f"{marks.sum()} of them found by correlation alone" in summary(result)
    assert facts(result)["correlated_matches"] == marks.sum()


def test_points_added_by_hand_are_not_marked(pair: Pair, tmp_path: Path) -> None:
    _, result = pair("resized")
    marked = replace(result, matches=replace(result.matches, correlated=np.ones(200, bool)))
    write_tie_points(tie_points_of(marked), tmp_path / "t.csv")
    edit_rows(tmp_path / "t.csv", changed("CORRELATED", ""))
    again = read_tie_points(tmp_path / "t.csv", whole_file(result.reference), whole_file(result.target))
    assert again.correlated is not None and again.correlated.tolist() == [False] + [True] * 199


@pytest.mark.parametrize("unknown", ["", "-9999", "-9999.0"])
def test_what_is_not_known_of_a_point_is_read_as_such(unknown: str, pair: Pair, tmp_path: Path) -> None:
    """As this project leaves it, and as AROSICS and older files fill it."""
    _, result = pair("resized")
    write_tie_points(tie_points_of(result), tmp_path / "t.csv")
    names = "X_MAP", "Y_MAP", "X_MAP_REF", "Y_MAP_REF", "CONFIDENCE", "ENABLED", "SIMILARITY", "CORRELATED"
    edit_rows(tmp_path / "t.csv", lambda rows: [rows[0] | dict.fromkeys(names, unknown), *rows[1:]])
    edit_rows(tmp_path / "t.csv", lambda rows: [row | {"SCATTER_PX": unknown} for row in rows])
    points = read_tie_points(tmp_path / "t.csv", whole_file(result.reference), whole_file(result.target))
    assert len(points) == 200 and points.confidence[0] == 1 and (points.confidence[1:] <= 1).all()
    assert points.raw_residual_px is None and points.similarity is None and points.correlated is None


def changed(name: str, value: str) -> Callable[[list[dict[str, str]]], list[dict[str, str]]]:
    return lambda rows: [rows[0] | {name: value}, *rows[1:]]


REFUSED = {
    "columns": (without("X_IM", "Y_IM_REF"), "lack the columns X_IM, Y_IM_REF"),
    "few": (lambda rows: rows[:3], "Only 3 of 3 tie points are enabled"),
    "few enabled": (lambda rows: [row | {"ENABLED": "0"} for row in rows], "Only 0 of 200"),
    "outside": (changed("X_IM", "4321"), "1 tie points lie outside of b.tif, 1200 x 900 px: the first at X_IM 4321"),
    "outside the reference": (changed("Y_IM_REF", "-80"), "outside of a.tif"),
    "empty": (changed("X_IM", ""), "outside of b.tif"),
    "moved": (changed("X_IM", "200.5"), "not belong to b.tif: X_MAP and Y_MAP do not lie at the pixels"),
    "no number": (changed("Y_IM", "many"), "column Y_IM has a value that is not a number"),
    "flag": (changed("ENABLED", "2"), "other than 0 and 1"),
    "confidence": (changed("CONFIDENCE", "1.5"), "CONFIDENCE of the tie points has values outside of 0 to 1"),
    "scatter": (changed("SCATTER_PX", ""), "SCATTER_PX of the tie points is empty in some rows"),
    "mark": (changed("CORRELATED", "3"), "CORRELATED of the tie points has values other than 0 and 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tables_that_are_refused(case: str, pair: Pair, tmp_path: Path) -> None:
    _, result = pair("resized")
    write_tie_points(tie_points_of(result), tmp_path / "t.csv")
    change, words = REFUSED[case]
    edit_rows(tmp_path / "t.csv", change)
    with pytest.raises(TiePointError) as met:
        read_tie_points(tmp_path / "t.csv", whole_file(result.reference), whole_file(result.target))
    assert words in str(met.value)


@pytest.mark.parametrize(
    ("suffix", "case"),
    # without a place on Earth a GeoJSON has no geometry
    [
        *itertools.product([".gpkg", ".geojson"], ["resized", "other zone", "target without"]),
        (".gpkg", "no georeference"),
    ],
)
def test_points_dragged_on_the_map_are_named_in_a_warning(
    suffix: str, case: str, pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Their geometry has no effect: the points are those of the columns."""
    _, result = pair(case)
    path = tmp_path / f"t{suffix}"
    write_tie_points(tie_points_of(result), path)
    files = whole_file(result.reference), whole_file(result.target)
    before = read_tie_points(path, *files)
    assert not caplog.records
    frame = geopandas.read_file(path, layer="tie_points" if suffix == ".gpkg" else None)
    # a step of a pixel or more, in the coordinates of the layer
    step = 1e-3 if suffix == ".geojson" else 10.0
    frame.loc[frame.index[:3], "geometry"] = frame.geometry[:3].translate(step, 0)
    frame.loc[frame.index[0], "ENABLED"] = 0
    frame.to_file(path, layer="tie_points" if suffix == ".gpkg" else None)
    again = read_tie_points(path, *files)
    assert np.array_equal(again.xy1_px, before.xy1_px[1:]) and np.array_equal(again.xy0_px, before.xy0_px[1:])
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: 2 tie points were moved on the map, which has no effect: the columns count."
    ]


def test_moved_by_hand_with_the_map_left_out(pair: Pair, tmp_path: Path) -> None:
    _, result = pair("resized")
    write_tie_points(tie_points_of(result), tmp_path / "t.csv")
    edit_rows(tmp_path / "t.csv", lambda rows: without("X_MAP", "Y_MAP")(changed("X_IM", "200.5")(rows)))
    points = read_tie_points(tmp_path / "t.csv", whole_file(result.reference), whole_file(result.target))
    assert points.xy1_px[0, 0] == 200.5


@pytest.mark.parametrize("suffix", ALL_FORMATS)
@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"\xff\xfe\x00broken", b"[1, 2]", b'{"features": [1]}', b"a,b\n1\n"]
)
def test_files_that_are_none(suffix: str, content: bytes, pair: Pair, tmp_path: Path) -> None:
    _, result = pair("resized")
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    with pytest.raises(TiePointError):
        read_tie_points(path, whole_file(result.reference), whole_file(result.target))


def test_a_number_too_large_and_brackets_too_deep(pair: Pair, tmp_path: Path) -> None:
    _, result = pair("resized")
    path = tmp_path / "t.geojson"
    write_tie_points(tie_points_of(result), path)
    whole = path.read_text()
    for content, words in (
        (
            whole.replace('"ENABLED": 1', f'"ENABLED": {"9" * 400}', 1),
            "column ENABLED has a value that is not a number",
        ),
        ("[" * 100_000, "nested too deeply"),
    ):
        path.write_text(content)
        with pytest.raises(TiePointError, match=words) as met:
            read_tie_points(path, whole_file(result.reference), whole_file(result.target))
        assert "\n" not in str(met.value)


def test_geoparquet_says_what_it_needs(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    _, result = pair("resized")
    with pytest.raises(MissingExtraError, match=r"GeoParquet need pyarrow: pip install pyarrow\."):
        write_tie_points(tie_points_of(result), tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtraError):
        read_tie_points(tmp_path / "t.parquet", whole_file(result.reference), whole_file(result.target))


@pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:32636 [", 'PROJCS["damaged", PARAM['])
def test_a_first_line_that_names_another_system_than_the_coordinates(
    crs: str, pair: Pair, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, result = pair("resized")
    path = tmp_path / "t.points"
    write_tie_points(tie_points_of(result), path)
    _, rest = path.read_text().split("\n", 1)
    path.write_text(f"#CRS: {crs}\n{rest}")
    with pytest.raises(TiePointError, match=r"not coordinates of the reference system|reference system is unknown"):
        read_tie_points(path, whole_file(result.reference), whole_file(result.target))
    assert capfd.readouterr().err == ""


def test_points_of_other_images_are_refused(pair: Pair, write_image: Writer, tmp_path: Path) -> None:
    scenes, result = pair("resized")
    write_tie_points(tie_points_of(result), tmp_path / "t.csv")
    with pytest.raises(TiePointError, match=r"not belong to b\.tif"):
        fit_tie_points(tmp_path / "t.csv", *reversed(scenes), settings_of(), image_size=CASES["resized"][4])
    with pytest.raises(TiePointError, match="no file"):
        fit_tie_points(tmp_path / "u.csv", *scenes, settings_of(), image_size=CASES["resized"][4])
    with pytest.raises(TiePointError, match=r"suffix must be one of \.gpkg, \.geojson, \.csv, \.points"):
        fit_tie_points(scenes[0].path, *scenes, settings_of(), image_size=CASES["resized"][4])


@pytest.mark.parametrize("suffix", ALL_FORMATS)
def test_equal_points_are_equal_files(suffix: str, pair: Pair, tmp_path: Path) -> None:
    points = tie_points_of(pair("other zone")[1])
    for name in "ab":
        write_tie_points(points, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ALL_FORMATS)
def test_no_points_at_all(suffix: str, pair: Pair, tmp_path: Path) -> None:
    scenes, result = pair("resized")
    nothing = replace(result, matches=result.matches.subset(np.zeros(200, np.bool_)), registration=None)
    path = tmp_path / f"t{suffix}"
    write_tie_points(tie_points_of(nothing), path)
    with pytest.raises(TiePointError):
        fit_tie_points(path, *scenes, settings_of(), image_size=CASES["resized"][4])


def test_without_the_extra(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = tie_points_of(pair("resized")[1])

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(optional, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"pip install -r requirements\.txt\.$"):
        write_tie_points(points, tmp_path / "t.gpkg")
    for suffix in FORMATS[1:]:
        write_tie_points(points, tmp_path / f"t{suffix}")
    assert sorted(path.suffix for path in tmp_path.glob("t.*")) == sorted(FORMATS[1:])


# The command

SAMPLE = ["--indexes_of_images", "15", "5", "--image_size", "384", "384", "--no-show"]


def test_the_command_writes_and_fits_again_without_the_network(tmp_path: Path) -> None:
    files = [tmp_path / f"t{suffix}" for suffix in FORMATS]
    common = ["--dataset_path", str(ROOT / "dataset"), *SAMPLE, "--overwrite"]
    figure = ["--output", str(tmp_path / "r.png")]
    first = [*common, *figure, "--json", str(tmp_path / "first.json"), "--confidence", "0.3", "--tie_points"]
    assert model_inference.main([*first, *map(str, files)]) == 0
    kept = {path: path.read_bytes() for path in files}
    facts = json.loads((tmp_path / "first.json").read_text())
    again = [
        [*common, *outputs, "--json", str(tmp_path / f"{path.suffix}.json"), "--from_tie_points", str(path)]
        for path, outputs in zip(files, [figure, *[["--no-figure"]] * (len(files) - 1)], strict=True)
    ]
    again[2] += ["--tie_points", str(tmp_path / "again.csv")]
    code = (
        "import json, sys, model_inference\n"
        "assert all(model_inference.main(run) == 0 for run in json.loads(sys.argv[1]))\n"
        "assert not {'torch', 'kornia'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(again)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for path in files:
        refit = json.loads((tmp_path / f"{path.suffix}.json").read_text())
        assert refit["weights"] == f"tie points of {path.name}" and refit["matches"] == facts["matches"]
        matrices = [one["registration"]["matrix_reference_file_px_to_target_file_px"] for one in (facts, refit)]
        assert np.abs(np.subtract(*matrices)).max() < 1e-6
        assert path.read_bytes() == kept[path]
    first, again = read_rows(files[2]), read_rows(tmp_path / "again.csv")
    assert list(first) == list(again)
    # what was rounded may be rounded to the next decimal
    steps = dict.fromkeys(("X_IM", "Y_IM", "X_IM_REF", "Y_IM_REF"), 1.1e-8) | {"ANGLE": 0.011}
    for name, values in first.items():
        assert np.allclose(values, again[name], rtol=0, atol=steps.get(name, 1.1e-4), equal_nan=True), name


BAD = {
    "suffix": (["--tie_points", "{tmp}/t.shp"], OutputError, ".gpkg, .geojson, .csv, .points"),
    "folder missing": (["--tie_points", "{tmp}/nowhere/t.csv"], OutputError, "nowhere"),
    "same as another": (["--tie_points", "{tmp}/t.csv", "{tmp}/t.csv"], OutputError, "another output"),
    "over what is read": (
        ["--from_tie_points", "{tmp}/old.csv", "--tie_points", "{tmp}/old.csv"],
        OutputError,
        "it is an input",
    ),
    "not there": (["--from_tie_points", "{tmp}/t.csv"], TiePointError, "no file"),
    "not a table": (["--from_tie_points", "{tmp}/old.csv"], TiePointError, "lack the columns"),
    "confidence": (["--from_tie_points", "{tmp}/old.csv", "--confidence", "0.5"], OptionError, "--confidence is an"),
    "preset": (["--from_tie_points", "{tmp}/old.csv", "--preset", "fast"], OptionError, "--preset is an option of"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_get_one_line_and_their_code(
    case: str, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.csv").write_text("a,b\n1,2\n")
    arguments, error, words = BAD[case]
    common = ["--dataset_path", str(dataset), "--indexes_of_images", "0", "1", "--output", str(tmp_path / "r.png")]
    assert (
        model_inference.main([*common, *(argument.format(tmp=tmp_path) for argument in arguments)]) == error.exit_code
    )
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1 and words in captured.err
    assert issubclass(error, S2MatchError) and not (tmp_path / "r.png").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "old.csv"]


@pytest.mark.parametrize("suffix", ALL_FORMATS)
def test_covariances_are_written_and_weigh_the_fit(suffix: str, pair: Pair, tmp_path: Path) -> None:
    scenes, result = pair("resized")
    rng, count = np.random.default_rng(0), len(result.matches)
    x, y, correlation = rng.uniform(0.02, 0.9, count), rng.uniform(0.02, 0.9, count), rng.uniform(-0.9, 0.9, count)
    mixed = correlation * x * y
    covariance = np.stack([np.stack([x**2, mixed], 1), np.stack([mixed, y**2], 1)], 1)
    weighted = replace(result.matches, covariance_px2=covariance)
    result = register(result.reference, result.target, weighted, settings_of(), previews=shown())
    path = tmp_path / f"t{suffix}"
    write_tie_points(tie_points_of(result), path)
    again = fit_tie_points(path, *scenes, settings_of(), image_size=CASES["resized"][4])
    assert again.matches.covariance_px2 is not None
    assert np.allclose(again.matches.covariance_px2, covariance, rtol=1e-5, atol=1e-9)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * np.array(result.reference.size, float)
    assert result.registration is not None and again.registration is not None
    assert np.abs(again.registration.apply(corners) - result.registration.apply(corners)).max() < 1e-5
    assert again.uncertainty_px == pytest.approx(result.uncertainty_px, rel=1e-5)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("X_STD_PX", "", "X_STD_PX of the tie points is empty in some rows"),
        ("Y_STD_PX", "0", "must both be given, and be above 0"),
        ("XY_CORRELATION", "1.5", "XY_CORRELATION of the tie points has values outside"),
    ],
)
def test_covariances_that_are_none_are_refused(
    column: str, value: str, message: str, pair: Pair, tmp_path: Path
) -> None:
    scenes, result = pair("resized")
    covariance = np.tile(0.1**2 * np.eye(2), (len(result.matches), 1, 1))
    result = replace(result, matches=replace(result.matches, covariance_px2=covariance))
    path = tmp_path / "t.csv"
    write_tie_points(tie_points_of(result), path)
    edit_rows(path, lambda rows: [rows[0] | {column: value}, *rows[1:]])
    with pytest.raises(TiePointError, match=message):
        fit_tie_points(path, *scenes, settings_of(), image_size=CASES["resized"][4])
