"""The images of a dataset as a table, each with the index that picks it."""

import json
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from s2match.core.scene import Scene
from s2match.errors import sentence_of
from s2match.io.open_file import opened
from s2match.io.reader import nodata_share, read_grid

_HEAD = ("index", "tile", "date", "size", "nodata", "file")
# Alignment of each column: numbers to the right.
_ALIGNMENT = "><<>><"

# Files that are read at once; some formats take the memory of a whole image.
_READERS = 4


@dataclass(frozen=True)
class ListedImage:
    """An image of a dataset.

    Attributes:
        index: Its index, from 0.
        file: Its file name.
        tile: Sentinel-2 tile; None if the file name does not contain it.
        date: Sensing date, YYYY-MM-DD; None if the file name does not contain it.
        width_px: Width of the file; None if it cannot be read.
        height_px: Height of the file; None if it cannot be read.
        nodata_share: Share of pixels without data, 0 to 1; None if the file cannot be read.
        error: Why the file cannot be read; None if it can.
    """

    index: int
    file: str
    tile: str | None
    date: str | None
    width_px: int | None = None
    height_px: int | None = None
    nodata_share: float | None = None
    error: str | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """Cells of the image in :func:`image_table`."""
        size = "unreadable" if self.error is not None else f"{self.width_px} x {self.height_px}"
        share = "" if self.nodata_share is None else f"{self.nodata_share:.0%}"
        return str(self.index), self.tile or "", self.date or "", size, share, self.file


def list_images(scenes: Sequence[Scene], *, show_progress: bool = False) -> list[ListedImage]:
    """Describe the images of a dataset; a file that cannot be read is listed with the reason.

    Args:
        scenes: The scenes; their order gives the index.
        show_progress: Show a progress bar on standard error where that is a terminal.

    Returns:
        A description of each scene.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        images = readers.map(_describe, range(len(scenes)), scenes)
        return list(_with_bar(images, len(scenes)) if show_progress and sys.stderr.isatty() else images)


def image_table(images: Sequence[ListedImage]) -> str:
    """Lay images out as a table of text with aligned columns."""
    lines = [_HEAD, *(image.cells for image in images)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, _ALIGNMENT, widths, strict=True)).rstrip()
        for line in lines
    )


def write_list(images: Sequence[ListedImage], path: Path) -> None:
    """Write images as JSON: a list of objects with the attributes of :class:`ListedImage`.

    Args:
        images: The images.
        path: The file.

    Raises:
        OutputError: The file cannot be written.
    """
    # a list on the screen needs none of it
    from s2match.util.atomic_write import write_text

    write_text(path, json.dumps([asdict(image) for image in images], indent=2) + "\n")


def _with_bar(images: Iterable[ListedImage], count: int) -> Iterable[ListedImage]:
    """The images, with a progress bar while they are drawn."""
    # imported while files are read
    from tqdm import tqdm

    bar: Iterable[ListedImage] = tqdm(images, desc="Reading", total=count, leave=False)
    return bar


def _describe(index: int, scene: Scene) -> ListedImage:
    image = ListedImage(index, scene.path.name, scene.tile, scene.date)
    try:
        # a file that is open is shared, and opening takes time
        with opened(scene.path):
            grid = read_grid(scene)
            return replace(image, width_px=grid.size[0], height_px=grid.size[1], nodata_share=nodata_share(grid))
    # one file must not end the list, whatever is wrong with it
    except Exception as error:
        return replace(image, error=sentence_of(error))
