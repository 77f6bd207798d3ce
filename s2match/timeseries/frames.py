"""A place of the series on every date, before and after the correction."""

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.window import Window
from s2match.correction.pixel_map import PixelMap, output_grid
from s2match.io.reader import read_window
from s2match.timeseries.blink_place import choose_place
from s2match.timeseries.date_models import common_grids, corrected_shift, file_of, model_of
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateStatus

# Side of the place in pixels of the file, most dates, and pixels beyond the place that a kernel needs.
_SIDE_PX, _MOST, _MARGIN_PX = 160, 24, 2

# A date is left out if it shows less than this fraction of the place.
_LEAST_VALID = 0.9

# A date with its images before and after the correction, (H, W) or (H, W, 3) uint8 each.
Frame = tuple[str, NDArray[np.uint8], NDArray[np.uint8]]


def frames_of(result: SeriesResult) -> list[Frame]:
    """A place that is clear on most dates, on up to 24 placed dates of the reference's footprint.

    Returns:
        Label, image before and image after the correction of each date, (H, W, 3) uint8 on the grid of the corrected
        files, in the order of the series. Dates on which much of the place is cloud, or a tenth nodata, are left out.
    """
    reference = result.options.reference
    assert reference is not None, "a finished series has a reference"
    grids = common_grids(result)
    indexes = [
        row.index for row in result.dates if row.status is DateStatus.PLACED and grids[row.index] == grids[reference]
    ]
    if not indexes:
        return []
    onto = file_of(result, grids[reference])
    place = choose_place(result, onto, _chosen(result, indexes), _SIDE_PX)
    frames = []
    for index in place.dates:
        file = file_of(result, index)
        before = _seen(np.zeros(2), onto, file, place.window)
        after = _seen(corrected_shift(result, index), onto, file, place.window)
        if before is not None and after is not None:
            frames.append((result.images[index].title, before, after))
    return frames


def _chosen(result: SeriesResult, indexes: list[int]) -> list[int]:
    """At most 24 of the dates: twelve with the largest shifts that are corrected, the others spread evenly."""
    lengths = {index: float(np.linalg.norm(corrected_shift(result, index))) for index in indexes}
    largest = sorted(indexes, key=lambda index: -lengths[index])[: _MOST // 2]
    others = [index for index in indexes if index not in largest]
    count = min(_MOST - len(largest), len(others))
    spread = np.linspace(0, len(others) - 1, count).round().astype(int) if count else ()
    return sorted({*largest, *(others[k] for k in spread)})


def _seen(shift: NDArray[np.float64], onto: Grid, file: Grid, window: Window) -> NDArray[np.uint8] | None:
    """A window of a grid in a file with a shift, H×W×3 with 0 as no data; None if the file hardly shows it."""
    model = model_of(shift, onto, file)
    x, y = np.broadcast_arrays(*PixelMap(model, file, output_grid(model)).positions(window))
    low, high = (np.array([f(x), f(y)]) for f in (np.min, np.max))
    source = Window.covering(low - _MARGIN_PX, high + _MARGIN_PX, file.size)
    if source is None:
        return None
    patch = read_window(file, source)
    maps = (x - source.x - 0.5).astype(np.float32), (y - source.y - 0.5).astype(np.float32)
    valid = cv2.remap(patch.valid.astype(np.uint8), *maps, cv2.INTER_NEAREST) > 0
    if valid.mean() < _LEAST_VALID:
        return None
    pixels = cv2.remap(patch.image, *maps, cv2.INTER_CUBIC)
    return np.asarray(np.where(valid[..., None], np.maximum(pixels, 1), 0), np.uint8)
