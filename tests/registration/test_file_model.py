"""The model of the JSON, applied by the formulas of docs/json.md, maps points as the registration does."""

import json
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, UTM, Writer, make_raster, texture
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.crs import CRS

from s2match.core.file_pixels import from_file, to_file, whole_file
from s2match.core.matches import Matches, Provenance
from s2match.core.raster import HasGrid
from s2match.io.pair_grid import grids_of
from s2match.io.sources import open_pair
from s2match.outputs.facts import facts, write_json
from s2match.outputs.report.page import EmbeddedFigure, render_page
from s2match.outputs.report.run import Link, Run
from s2match.registration.bspline_field import Field
from s2match.registration.model import Registration
from s2match.result import assemble
from s2match.settings import Settings

WIDTH, HEIGHT = 240, 180

# The first figure of a page, here without an image.
FIGURE = EmbeddedFigure("matches", "Matches", "", "data:,", (1, 1), Link("matches.png", "matches.png"))
NEXT_ZONE, DEGREES = CRS.from_epsg(32637), CRS.from_epsg(4326)

# 40.3 px further east, 20.6 px further south, and pixels of 8 m by 12 m
EAST = GRID @ Affine.translation(40.3, 20.6) @ Affine.scale(0.8, 1.2)


def place_in(crs: CRS, pixel: tuple[float, float]) -> Affine:
    """Transform of an image in another reference system, with its centre near that of GRID."""
    x, y = Transformer.from_crs(UTM, crs, always_xy=True).transform(*(GRID @ (WIDTH / 2, HEIGHT / 2)))
    return Affine.translation(x, y) @ Affine.scale(pixel[0], -pixel[1]) @ Affine.translation(-WIDTH / 2, -HEIGHT / 2)


# The target's transform and CRS, the size matched at, and whether at the overlap alone
CASES: dict[str, tuple[Affine | None, CRS | None, tuple[int, int] | None, bool]] = {
    "native": (EAST, UTM, None, False),
    "resized": (EAST, UTM, (200, 90), False),
    "overlap": (EAST, UTM, None, True),
    "overlap resized": (EAST, UTM, (120, 100), True),
    "turned": (EAST @ Affine.rotation(7), UTM, None, False),
    "turned overlap resized": (EAST @ Affine.rotation(7), UTM, (120, 100), True),
    "other zone": (place_in(NEXT_ZONE, (10, 10)), NEXT_ZONE, None, False),
    "other zone overlap resized": (place_in(NEXT_ZONE, (20, 20)), NEXT_ZONE, (100, 80), True),
    "degrees": (place_in(DEGREES, (1.4e-4, 9e-5)), DEGREES, None, False),
    "no georeference": (None, None, (200, 90), False),
    "no reference system": (EAST, None, (200, 90), False),
}
AFFINE = np.array([[1.01, 0.02, 3.4], [-0.03, 0.98, -5.6], [0, 0, 1]])
MATRICES = {
    "translation": np.array([[1, 0, 3.4], [0, 1, -5.6], [0, 0, 1]]),
    "affine": AFFINE,
    "field": AFFINE,
    "homography": np.array([[1.01, 0.02, 3.4], [-0.03, 0.98, -5.6], [2e-5, -3e-5, 1]]),
}


def registered(model: str, count: int) -> Registration:
    field = None
    if model == "field":
        coefficients = np.random.default_rng(1).normal(0, 2, (6, 7, 2))
        field = Field(AFFINE, (-31.7, -22.2), 41.3, coefficients, 0.1)
    return Registration(model, MATRICES[model], np.ones(count, np.bool_), np.zeros(count), field=field)


def b_spline(t: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.abs(t)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, (2 - t) ** 3 / 6, 0))


def applied(told: dict[str, Any], frame: str, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """As docs/json.md says."""
    product = np.hstack([xy, np.ones((len(xy), 1))]) @ np.array(told[f"matrix_{frame}"]).T
    found = product[:, :2] / product[:, 2:]
    field = told[f"field_{frame}"]
    if field is not None:
        steps = np.stack([field["column_step"], field["row_step"]], axis=1)
        u, v = np.linalg.solve(steps, (xy - field["origin"]).T)
        for r, row in enumerate(field["coefficients"]):
            for c, by in enumerate(row):
                found = found + np.multiply.outer(b_spline(u - c) * b_spline(v - r), by)
    return found


def on_map(placed: HasGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    assert placed.transform is not None
    return np.stack(placed.transform @ tuple(xy.T), axis=1)


@pytest.mark.parametrize("model", MATRICES)
@pytest.mark.parametrize("case", CASES)
def test_the_file_model_maps_points_as_the_registration_does(
    case: str, model: str, write_image: Writer, tmp_path: Path
) -> None:
    transform, crs, size, overlap = CASES[case]
    image = texture(WIDTH, HEIGHT)
    place = (GRID, crs and UTM) if transform is not None else (None, None)
    scenes = open_pair(write_image("a.tif", image, *place), write_image("b.tif", image, transform, crs))
    reference, target = grids_of(*scenes, size, overlap)
    xy = np.random.default_rng(2).uniform(0, 1, (60, 2)) * (WIDTH, HEIGHT)
    registration = registered(model, len(xy))
    matched = from_file(reference, xy)
    expected = to_file(target, registration.apply(matched))
    matches = Matches(matched, registration.apply(matched), np.ones(len(xy)), Provenance("test", "cpu", 0.0))
    previews = (make_raster(image), make_raster(image))
    result = assemble(reference, target, previews, matches, registration, Settings())
    write_json(result, tmp_path / "a.json")
    told = json.loads((tmp_path / "a.json").read_text())["registration"]

    other_system = crs in (NEXT_ZONE, DEGREES)
    page = unescape(render_page(result, (FIGURE,), None, Run(), ()))
    if other_system:
        assert told["matrix_reference_file_px_to_target_file_px"] is None
        assert "another reference system" in page and "EPSG:32636, to those of the target, EPSG:32636" in page
    else:
        found = applied(told, "reference_file_px_to_target_file_px", xy)
        assert np.abs(found - expected).max() < 1e-6
        assert "of the reference's file to pixel of the target's" in page
    if transform is None:
        assert told["matrix_reference_map_to_target_map"] is None and told["target_map_crs"] is None
        return
    system = None if crs is None else "EPSG:32636"
    assert (told["reference_map_crs"], told["target_map_crs"]) == (system, system)
    assert crs is not None or "those of the target, which names no reference system" in page
    seen = applied(told, "reference_map_to_target_map", on_map(whole_file(reference), xy))
    there = seen
    if crs is not None:
        there = np.stack(Transformer.from_crs(UTM, crs, always_xy=True).transform(*seen.T), axis=1)
    file = whole_file(target)
    assert file.transform is not None
    assert np.abs(np.stack(~file.transform @ tuple(there.T), axis=1) - expected).max() < 1e-6

    model_of_files = result.file_model
    assert model_of_files is not None and model_of_files.on_map is not None
    assert np.allclose(model_of_files.on_map.apply(on_map(whole_file(reference), xy)), seen, rtol=0, atol=1e-6)
    assert facts(result)["units"]["file_px"].startswith("pixels of a file")


def test_without_a_registration_there_is_no_model(write_image: Writer) -> None:
    image = make_raster(texture(WIDTH, HEIGHT))
    nothing = Matches(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), Provenance("test", "cpu", 0.0))
    result = assemble(image, image, (image, image), nothing, None, Settings())
    assert result.file_model is None and facts(result)["registration"] is None
