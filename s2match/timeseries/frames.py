"""A place of the series on every date, before and after the correction."""

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.image_size import fit_size
from s2match.core.raster import Patch
from s2match.core.window import Window
from s2match.correction.pixel_map import PixelMap, output_grid
from s2match.io.reader import read_whole, read_window
from s2match.matching.greyscale import prepare
from s2match.timeseries.correction import file_of, grid_image, model_of
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateStatus

# Side of the place in pixels of the file, and most dates.
_SIDE_PX, _MOST = 160, 24

# Longer side of the image in which the place is chosen, and pixels beyond the place that a kernel needs.
_CHOOSING_PX, _MARGIN_PX = 512, 2

# A date is left out if it shows less than this fraction of the place.
_LEAST_VALID = 0.5

# A date with its images before and after the correction, (H, W) or (H, W, 3) uint8 each.
Frame = tuple[str, NDArray[np.uint8], NDArray[np.uint8]]


def frames_of(result: SeriesResult) -> list[Frame]:
    """The place with the most structure in the reference, on up to 24 placed dates of its footprint.

    Returns:
        Label, grey image before and grey image after the correction of each date, (H, W) uint8 on the pixels of the
        reference, in the order of the series. Dates on which cloud or nodata hides half of the place are left out.
    """
    reference = result.options.reference
    assert reference is not None, "a finished series has a reference"
    onto = file_of(result, reference)
    window = _place(onto)
    indexes = [
        row.index
        for row in result.dates
        if row.status is DateStatus.PLACED and grid_image(result, row.index) == grid_image(result, reference)
    ]
    chosen = sorted(
        {indexes[k] for k in np.linspace(0, len(indexes) - 1, min(_MOST, len(indexes))).round().astype(int)}
    )
    frames = []
    for index in chosen:
        file = file_of(result, index)
        before = _seen(np.zeros(2), onto, file, window)
        after = _seen(result.adjustment.shifts[index], onto, file, window)
        if before is not None and after is not None:
            frames.append((result.images[index].title, before, after))
    return frames


def _place(grid: Grid) -> Window:
    """The window of a file whose grey levels vary most."""
    small = read_whole(grid.resized(fit_size(grid.size, min(_CHOOSING_PX, max(grid.size)))))
    scale = grid.size[0] / small.size[0]
    side = max(1, round(min(_SIDE_PX, *grid.size) / scale))
    image = prepare(small)
    edges = np.abs(cv2.Laplacian(image.grey, cv2.CV_32F)) * cv2.erode(image.valid.astype(np.uint8), np.ones((3, 3)))
    # saturated and empty pixels have no edges
    sums = cv2.boxFilter(edges, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    width, height = (min(_SIDE_PX, length) for length in grid.size)
    x, y = (
        int(np.clip(round((middle + 0.5) * scale - length / 2), 0, whole - length))
        for middle, length, whole in zip((column, row), (width, height), grid.size, strict=True)
    )
    return Window(x, y, width, height)


def _seen(shift: NDArray[np.float64], onto: Grid, file: Grid, window: Window) -> NDArray[np.uint8] | None:
    """A window of the reference in a file with a shift, grey; None if the file hardly shows it."""
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
    return (prepare(Patch(pixels, valid)).grey * 255).round().astype(np.uint8)
