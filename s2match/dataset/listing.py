"""Tables of scenes, each with the index that picks it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from s2match.core.scene import Scene
from s2match.errors import S2MatchError
from s2match.io.reader import image_size, nodata_share, read_grid
from s2match.util.atomic_write import atomic_write


@dataclass(frozen=True)
class IndexRow:
    """One line of the index table."""

    index: int
    file: str
    tile: str
    date: str
    width: int
    height: int
    megabytes: float


@dataclass(frozen=True)
class ListedImage:
    """An image of a dataset, with what its pixels say.

    Attributes:
        index: What picks it.
        file: Its name.
        tile: None where the name does not say.
        date: Day it was taken, YYYY-MM-DD; likewise.
        width_px: None where the file cannot be read.
        height_px: Likewise.
        nodata_share: Share of its pixels, 0 to 1, that have no data; likewise.
        error: Why the file cannot be read; None where it can.
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
        """What :func:`image_table` shows of it."""
        size = "unreadable" if self.error is not None else f"{self.width_px} x {self.height_px}"
        share = "" if self.nodata_share is None else f"{self.nodata_share:.0%}"
        return str(self.index), self.tile or "", self.date or "", size, share, self.file


def listed(index: int, scene: Scene) -> ListedImage:
    """Describe an image of a dataset; one that cannot be read is described, too."""
    named = ListedImage(index, scene.path.name, scene.tile, scene.date)
    try:
        grid = read_grid(scene)
        return replace(named, width_px=grid.size[0], height_px=grid.size[1], nodata_share=nodata_share(grid))
    except S2MatchError as error:
        return replace(named, error=str(error))


def image_table(images: Sequence[ListedImage]) -> str:
    """Lay images out as a table of plain text."""
    head = ("index", "tile", "date", "size", "nodata", "file")
    return lay_out([head, *(image.cells for image in images)], "><<>><")


def write_list(images: Sequence[ListedImage], path: Path) -> None:
    """Write images as JSON: a list of objects with the attributes of :class:`ListedImage`.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_write(path) as partial:
        partial.write_text(json.dumps([asdict(image) for image in images], indent=2) + "\n", encoding="utf-8")


def index_rows(scenes: Sequence[Scene]) -> tuple[IndexRow, ...]:
    """Describe scenes by the index that picks them.

    Raises:
        UnreadableImageError: A file is not an image.
    """
    return tuple(_index_row(index, scene) for index, scene in enumerate(scenes))


def index_table(rows: Sequence[IndexRow]) -> str:
    """Lay rows out as a table of plain text."""
    cells = [
        (str(row.index), row.file, row.tile, row.date, f"{row.width} × {row.height}", f"{row.megabytes:.1f}")
        for row in rows
    ]
    return lay_out([("index", "file", "tile", "date", "size in pixels", "MB"), *cells], "><<<>>")


def lay_out(lines: Sequence[tuple[str, ...]], sides: str) -> str:
    """Align the cells of a table in columns.

    Args:
        lines: The header and the rows, all of the same length.
        sides: A character per column: ``<`` for text, to the left, or ``>`` for numbers, to the right.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)).rstrip()
        for line in lines
    )


def _index_row(index: int, scene: Scene) -> IndexRow:
    width, height = image_size(scene)
    megabytes = scene.path.stat().st_size / 1e6
    return IndexRow(index, scene.path.name, scene.tile or "–", scene.date or "–", width, height, megabytes)
