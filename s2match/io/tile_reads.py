"""Read all bands of a window, with several threads where errors are not lost."""

import itertools

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from s2match.core.window import Window
from s2match.util.threads import processors


def read_all_bands(file: rasterio.DatasetReader, window: Window) -> NDArray[np.generic]:
    """The pixels of all bands of a window, which have one type.

    Tiles of JPEG 2000 are read one after another: OpenJPEG decodes each in several threads. Of several tiles GDAL would
    decode each in a thread of its own, and lose the errors of damaged ones.

    Args:
        file: The file.
        window: The window, inside the file.

    Returns:
        B×H×W numbers.

    Raises:
        UnreadableImageError: The file is damaged.
    """
    if not file.driver.startswith("JP2"):
        return np.asarray(file.read(window=RasterioWindow(window.x, window.y, window.width, window.height)))
    values = np.empty((file.count, window.height, window.width), file.dtypes[0])
    rows, columns = file.block_shapes[0]
    with rasterio.Env(GDAL_NUM_THREADS=str(processors())):
        for y, height in _parts(window.y, window.height, rows):
            for x, width in _parts(window.x, window.width, columns):
                top, left = y - window.y, x - window.x
                part = file.read(window=RasterioWindow(x, y, width, height))
                values[:, top : top + height, left : left + width] = part
    return values


def _parts(start: int, length: int, side: int) -> list[tuple[int, int]]:
    """Starts and lengths of the parts of a range that lie in one tile each."""
    edges = [start, *range((start // side + 1) * side, start + length, side), start + length]
    return [(first, last - first) for first, last in itertools.pairwise(edges)]
