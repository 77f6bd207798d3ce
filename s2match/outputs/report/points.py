"""The images and matches of a result as data of the page's map."""

import base64
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2match.core.file_pixels import file_affine, to_file
from s2match.core.georeference import same_pixels
from s2match.core.ground_axes import GroundAxes, ground_axes, pixel_m
from s2match.core.raster import HasGrid
from s2match.matching.thinning import thin_mask
from s2match.outputs.figures.style import inliers_of
from s2match.outputs.report.colouring import colourings, colours
from s2match.outputs.report.embedding import photo
from s2match.outputs.report.layers import MapImages
from s2match.result import PairResult

# Most points on the map; more make the page large and the map slow.
MOST_POINTS = 30_000

# Columns of the points, float32, NaN where there is no value.
FIELDS = (
    # pixels of the reference at the matched size, GDAL frame
    "x",
    "y",
    # pixels of the target's file
    "target_x",
    "target_y",
    "confidence",
    # 1 or 0
    "inlier",
    # distance from the position by the model to the matched one, target pixels
    "residual",
    # from the position by the georeference (without one, the same pixel) to the matched one, in the unit of "shift"
    "shift_x",
    "shift_y",
)

# Maps in degrees need more decimals than maps in metres.
_DEGREES_PER_PIXEL = 0.01


def map_data(result: PairResult, images: MapImages) -> dict[str, Any]:
    """Images and points of the map as JSON types.

    Args:
        result: The result.
        images: The images.

    Returns:
        The data that ``report.js`` reads. Points are base64 of little-endian float32, one column of :data:`FIELDS`
        after the other. Corners and points are in pixels of the reference; corners are (y, x).
    """
    drawn = thin_mask(result.matches, MOST_POINTS)
    residual_px, shifts, shift = _residual_px(result), _shifts(result), _shift_data(result)
    columns = np.ascontiguousarray(_columns(result, residual_px, shifts)[:, drawn], "<f4")
    ways = colourings(result, residual_px, np.linalg.norm(shifts, axis=1), shift["unit"])
    return {
        "fields": FIELDS,
        "count": int(drawn.sum()),
        "points": base64.b64encode(columns.tobytes()).decode(),
        "layers": [{"name": layer.name, "title": layer.title, "image": photo(layer.image)} for layer in images.layers],
        "bounds": _corners(images.low, images.high),
        "focus": _corners(*_focus(result, images)),
        **_place_data(result.reference),
        "target_pixel_m": _pixel_m(result.target),
        "shift": shift,
        "model_accepted": result.registration is not None,
        "colours": colours(),
        "colourings": {way.name: replace(way, steps=way.steps[drawn]).facts for way in ways},
    }


def count_text(drawn: int, total: int) -> str:
    """Number of points on the map, and of all matches."""
    return f"{drawn} points" if drawn == total else f"{drawn} points of {total}, spread evenly"


def _corners(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[list[float]]:
    return [[float(y), float(x)] for x, y in (low, high)]


def _focus(result: PairResult, images: MapImages) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the inliers; of all points without a model, and of the images without points."""
    xy = result.matches.xy0
    inliers = inliers_of(result)
    xy = xy[inliers] if inliers.any() else xy
    return (xy.min(axis=0), xy.max(axis=0)) if len(xy) > 1 else (images.low, images.high)


def _columns(result: PairResult, residual_px: NDArray[np.float64], shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(F, N) values of :data:`FIELDS`."""
    matches = result.matches
    return np.vstack(
        [
            matches.xy0.T,
            to_file(result.target, matches.xy1).T,
            matches.confidence[None],
            inliers_of(result)[None],
            residual_px[None],
            shifts.T,
        ]
    )


def _residual_px(result: PairResult) -> NDArray[np.float64]:
    """(N,) distances from the position by the model to the matched one; NaN without a model."""
    registration = result.registration
    return np.full(len(result.matches), np.nan) if registration is None else registration.residual_px


def _shifts(result: PairResult) -> NDArray[np.float64]:
    """(N, 2) shift against the georeference; without one against the same pixel, if both images have the same size."""
    matches, errors = result.matches, result.errors
    if errors is not None:
        return np.stack([errors.east_m, errors.north_m], axis=1)
    same = same_pixels(result.reference, result.target)
    return matches.xy1 - matches.xy0 if same else np.full((len(matches), 2), np.nan)


def _shift_data(result: PairResult) -> dict[str, Any]:
    """Unit of the shifts, their directions along both axes, and a native pixel in that unit."""
    errors = result.errors
    if errors is None:
        return {"unit": "px", "names": [["right", "left"], ["down", "up"]], "native_pixel": None, "decimals": 2}
    names = [["east", "west"], ["north", "south"]] if errors.axes.in_metres else [["in x", "in −x"], ["in y", "in −y"]]
    return {"unit": errors.axes.unit, "names": names, "native_pixel": errors.native_pixel_m, "decimals": 1}


def _place_data(image: HasGrid) -> dict[str, Any]:
    """Maps from pixels of an image to its file and to its map, and the size of a pixel."""
    file, transform = file_affine(image), image.transform
    fine = transform is not None and abs(transform.a) < _DEGREES_PER_PIXEL
    return {
        "pixel_m": _pixel_m(image),
        "file": None if file is None else list(file)[:6],
        "transform": None if transform is None else list(transform)[:6],
        "crs": GroundAxes(image.crs).title,
        "decimals": 6 if fine else 1,
    }


def _pixel_m(image: HasGrid) -> float | None:
    """Side of a pixel in metres; None where the unit is another one."""
    return pixel_m(image) if image.georeferenced and ground_axes(image).in_metres else None
