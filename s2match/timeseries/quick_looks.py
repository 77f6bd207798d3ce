"""Quick looks: what planning needs to know of an image, from a small reading of it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.image_size import fit_size
from s2match.core.mask import Masking
from s2match.core.radiometry import AS_FILES_SAY, ReadOptions
from s2match.errors import NoValidPixelsError, S2MatchError
from s2match.io.reader import read_grid, read_whole, with_radiometry
from s2match.timeseries.images import SeriesImage

# Longest side of the small version whose clear pixels are counted. In coarser versions small clouds are not saturated.
_SIDE_PX = 512

# Rows and columns of the cells in which clear pixels are counted.
CELLS = 16

# Files that are read at once; some formats take the memory of a whole image.
_READERS = 4


@dataclass(frozen=True)
class QuickLook:
    """What planning needs to know of an image.

    Attributes:
        grid: The pixels of the file and their georeference.
        clear_share: Fraction of the image's pixels that are valid, not masked and not saturated cloud, 0 to 1.
        clear_cells: (CELLS, CELLS) the same fraction in each cell of a regular division of the image; None: everywhere
            ``clear_share``.
    """

    grid: Grid
    clear_share: float
    clear_cells: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


def quick_look(image: SeriesImage, options: ReadOptions = AS_FILES_SAY) -> QuickLook:
    """Read a small version of an image and count its clear pixels.

    Saturated cloud is counted as not clear where the radiometry and the georeference of the file allow to detect it.

    Args:
        image: The image; its own masks are applied.
        options: Options that override what the file declares about its numbers.

    Raises:
        S2MatchError: The image or one of its masks cannot be read, or a mask has no place on the image.
    """
    grid = read_grid(image.scene)
    try:
        clear = read_whole(small_version(image, with_radiometry(grid, options))).valid
    except NoValidPixelsError:
        return QuickLook(grid, 0.0)
    cells = cv2.resize(clear.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return QuickLook(grid, float(clear.mean()), cells)


def small_version(image: SeriesImage, file: Grid) -> Grid:
    """A small version of an image, in which only clear pixels are valid.

    Args:
        image: The image; its own masks are applied.
        file: Every pixel of its file, with its radiometry.
    """
    clouds = file.radiometry is not None and file.radiometry.saturated is not None and file.crs is not None
    masked = replace(file, masking=Masking(image.own_masks, clouds))
    return masked.resized(fit_size(file.size, min(_SIDE_PX, max(file.size))))


def quick_looks(images: Sequence[SeriesImage], options: ReadOptions = AS_FILES_SAY) -> tuple[QuickLook | str, ...]:
    """The quick look of each image; for an image that cannot be read, the reason.

    Args:
        images: The images.
        options: Options that override what the files declare about their numbers.
    """

    def look(image: SeriesImage) -> QuickLook | str:
        try:
            return quick_look(image, options)
        except S2MatchError as error:
            return str(error)

    with ThreadPoolExecutor(_READERS) as readers:
        return tuple(readers.map(look, images))
