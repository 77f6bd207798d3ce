"""The points of a result as the map of a page reads them."""

import base64
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex
from numpy.typing import NDArray

from s2match.core.georeference import predict
from s2match.core.ground_axes import ground_axes, pixel_m
from s2match.core.raster import HasGrid, Raster
from s2match.matching.thinning import thin_mask
from s2match.outputs.figures.style import BLUE, SKY, VERMILION, YELLOW, inliers_of, stretched
from s2match.outputs.report.embedding import photo
from s2match.result import PairResult

# More points than these make a page heavy and a map slow.
MOST_POINTS = 30_000

# What the page knows of a point, each a column of float32; NaN where it is not known.
FIELDS = (
    # pixels, GDAL frame
    "reference_x",
    "reference_y",
    "target_x",
    "target_y",
    "confidence",
    # 1 or 0
    "inlier",
    # from where the model says to where the point lies, target pixels
    "residual_x",
    "residual_y",
    # from where the georeference, or without one the pixel itself, says to where it lies, reference pixels
    "shift_x",
    "shift_y",
    # the same on the ground, metres
    "east",
    "north",
)

# From dark to light for every eye, and none the grey of the image below.
_RAMP = LinearSegmentedColormap.from_list("points", [BLUE, SKY, YELLOW])
_COLOURS = 48


def map_data(result: PairResult) -> dict[str, Any]:
    """Everything the map shows, as JSON types.

    Points are base64 of little-endian float32, one column of :data:`FIELDS` after the other.
    """
    shown = thin_mask(result.matches, MOST_POINTS)
    columns = np.ascontiguousarray(_columns(result)[:, shown], "<f4")
    registration, errors = result.registration, result.errors
    return {
        "fields": FIELDS,
        "count": int(shown.sum()),
        "total": len(result.matches),
        "points": base64.b64encode(columns.tobytes()).decode(),
        "reference": _image(result.reference, result.previews[0]),
        "target": _image(result.target, result.previews[1]),
        "registered": registration is not None,
        "least_confidence": result.matches.origin.confidence,
        "native_pixel_m": errors.native_pixel_m if errors is not None and errors.axes.in_metres else None,
        "colours": [to_hex(colour) for colour in _RAMP(np.linspace(0, 1, _COLOURS))],
        "outlier_colour": VERMILION,
    }


def _columns(result: PairResult) -> NDArray[np.float64]:
    """(F, N) of :data:`FIELDS`."""
    matches = result.matches
    unknown = np.full((len(matches), 2), np.nan)
    residual = unknown if result.registration is None else matches.xy1 - result.registration.apply(matches.xy0)
    errors = result.errors
    ground = (
        unknown if errors is None or not errors.axes.in_metres else np.stack([errors.east_m, errors.north_m], axis=1)
    )
    return np.vstack(
        [
            matches.xy0.T,
            matches.xy1.T,
            matches.confidence[None],
            inliers_of(result)[None],
            residual.T,
            _shift_px(result).T,
            ground.T,
        ]
    )


def _shift_px(result: PairResult) -> NDArray[np.float64]:
    """(N, 2) against the georeference, or where there is none against equal pixel positions of equal grids."""
    matches, reference, target = result.matches, result.reference, result.target
    if result.errors is not None:
        return predict(matches.xy1, target, reference) - matches.xy0
    if (reference.size, reference.native_size) == (target.size, target.native_size):
        return matches.xy1 - matches.xy0
    return np.full((len(matches), 2), np.nan)


def _image(placed: HasGrid, shown: Raster) -> dict[str, Any]:
    known = placed.georeferenced
    metric = known and ground_axes(placed).in_metres
    return {
        "title": placed.scene.title,
        "size": placed.size,
        "image": photo(stretched(shown)),
        "pixel_m": pixel_m(placed) if metric else None,
        "crs": placed.crs.to_string() if known and placed.crs is not None else None,
        "transform": list(placed.transform)[:6] if known and placed.transform is not None else None,
    }
