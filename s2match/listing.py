"""Tables of scenes, each with the index that picks it."""

from collections.abc import Sequence
from dataclasses import dataclass

from s2match.catalog import Scene
from s2match.raster import image_size


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
