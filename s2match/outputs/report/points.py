"""The matches of a result as data of the page's map."""

import base64
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex
from numpy.typing import NDArray

from s2match.core.georeference import predict
from s2match.core.ground_axes import ground_axes, pixel_m
from s2match.core.projection import crs_text
from s2match.core.raster import HasGrid, Raster
from s2match.matching.thinning import thin_mask
from s2match.outputs.figures.style import BLUE, SKY, VERMILION, YELLOW, inliers_of, stretched
from s2match.outputs.report.embedding import photo
from s2match.result import PairResult

# Most points on the map; more make the page large and the map slow.
MOST_POINTS = 30_000

# Columns of the points, float32, NaN where there is no value.
FIELDS = (
    # pixels of the matched size, GDAL frame
    "reference_x",
    "reference_y",
    "target_x",
    "target_y",
    "confidence",
    # 1 or 0
    "inlier",
    # from the position by the model to the matched one, target pixels
    "residual_x",
    "residual_y",
    # from the position by the georeference (without one, from the same pixel) to the matched one, reference pixels
    "shift_x",
    "shift_y",
    # that shift on the ground, metres
    "east",
    "north",
)

# From dark to light, readable by colour-blind people and over a grey image.
_RAMP = LinearSegmentedColormap.from_list("points", [BLUE, SKY, YELLOW])
_COLOURS = 48


def map_data(result: PairResult) -> dict[str, Any]:
    """Images and points of the map as JSON types.

    Args:
        result: The result.

    Returns:
        The data that ``map.js`` reads. Points are base64 of little-endian float32, one column of :data:`FIELDS` after
        the other.
    """
    drawn = thin_mask(result.matches, MOST_POINTS)
    columns = np.ascontiguousarray(_columns(result)[:, drawn], "<f4")
    registration, errors = result.registration, result.errors
    return {
        "fields": FIELDS,
        "count": int(drawn.sum()),
        "total": len(result.matches),
        "points": base64.b64encode(columns.tobytes()).decode(),
        "reference": _image(result.reference, result.previews[0]),
        "target": _image(result.target, result.previews[1]),
        "model_accepted": registration is not None,
        "least_confidence": result.matches.origin.confidence,
        "native_pixel_m": errors.native_pixel_m if errors is not None and errors.axes.in_metres else None,
        "colours": [to_hex(colour) for colour in _RAMP(np.linspace(0, 1, _COLOURS))],
        "outlier_colour": VERMILION,
    }


def _columns(result: PairResult) -> NDArray[np.float64]:
    """(F, N) values of :data:`FIELDS`."""
    matches, errors = result.matches, result.errors
    residual = ground = np.full((len(matches), 2), np.nan)
    if result.registration is not None:
        residual = matches.xy1 - result.registration.apply(matches.xy0)
    if errors is not None and errors.axes.in_metres:
        ground = np.stack([errors.east_m, errors.north_m], axis=1)
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
    """(N, 2) shift against the georeference; without one against the same pixel, if both images have the same size."""
    matches, reference, target = result.matches, result.reference, result.target
    if result.errors is not None:
        return predict(matches.xy1, target, reference) - matches.xy0
    if (reference.size, reference.native_size) == (target.size, target.native_size):
        return matches.xy1 - matches.xy0
    return np.full((len(matches), 2), np.nan)


def _image(image: HasGrid, preview: Raster) -> dict[str, Any]:
    located = image.georeferenced
    metric = located and ground_axes(image).in_metres
    return {
        "title": image.scene.title,
        "size": image.size,
        "image": photo(stretched(preview)),
        "pixel_m": pixel_m(image) if metric else None,
        "crs": crs_text(image.crs) if located else None,
        "transform": list(image.transform)[:6] if located and image.transform is not None else None,
    }
