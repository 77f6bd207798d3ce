"""Stored resolutions of a file, and where their samples lie."""

from dataclasses import dataclass
from pathlib import Path

import rasterio

from s2match.core.grid import Grid
from s2match.io.jp2_codestream import tile_size
from s2match.io.open_file import opened

# Samples along a tile of JPEG 2000, below which the edges of tiles, where filters end, bend a level: with half so many
# details lie up to 0.05 px off.
_TILE_SAMPLES = 32


@dataclass(frozen=True)
class StoredLevel:
    """One stored resolution of a file.

    Attributes:
        overview: Index for ``overview_level``; None for full resolution.
        columns: Full-resolution position to position at this level, as (scale, offset) of x.
        rows: The same of y.
    """

    overview: int | None
    columns: tuple[float, float]
    rows: tuple[float, float]


def file_pixels_per_pixel(grid: Grid) -> tuple[float, float]:
    """Pixels of the file for each pixel of a grid, across and down."""
    across, down = (native / side for native, side in zip(grid.native_size, grid.size, strict=True))
    return across, down


def level_of(grid: Grid) -> StoredLevel:
    """The stored resolution that windows of a grid along the file's own axes are read from."""
    with opened(grid.scene.path) as file:
        return _choose_level(file, min(file_pixels_per_pixel(grid)))


def _choose_level(file: rasterio.DatasetReader, scale: float) -> StoredLevel:
    """The coarsest resolution whose samples are no further apart than ``scale`` pixels of the file."""
    chosen = StoredLevel(None, (1.0, 0.0), (1.0, 0.0))
    codestream = file.driver.startswith("JP2") and not Path(f"{file.name}.ovr").exists()
    tiles = tile_size(Path(file.name)) if codestream else None
    for overview, factor in enumerate(file.overviews(1)):
        if factor > scale or not _tiles_are_large(file, tiles, factor):
            break
        if codestream:
            # The low-pass band of JPEG 2000 keeps the even samples (ISO/IEC 15444-1, annex F), so sample k of a level
            # is centred on x = k * factor + 0.5 of the full image, not on the middle of its block.
            line = (1 / factor, 0.5 - 0.5 / factor)
            chosen = StoredLevel(overview, line, line)
        elif (level := _averaged_size(file, overview)) is not None:
            chosen = StoredLevel(overview, (level[0] / file.width, 0.0), (level[1] / file.height, 0.0))
    return chosen


def _tiles_are_large(file: rasterio.DatasetReader, tiles: tuple[int, int] | None, factor: int) -> bool:
    """Whether tiles that are encoded each by itself hold so many samples of a level that their edges do not show."""
    sides = zip(tiles or (file.width, file.height), (file.width, file.height), strict=True)
    return all(tile >= whole or tile / factor >= _TILE_SAMPLES for tile, whole in sides)


def _averaged_size(file: rasterio.DatasetReader, overview: int) -> tuple[int, int] | None:
    """Size of an overview that says it was averaged; the samples of others lie anywhere in their blocks."""
    with opened(Path(file.name), overview) as level:
        averaged = level.tags(1).get("RESAMPLING", "").startswith("AVERAGE")
        return (level.width, level.height) if averaged else None
