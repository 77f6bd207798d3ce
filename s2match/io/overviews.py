"""Overviews of a file: choice of the stored resolution, and positions of its samples."""

import logging
from dataclasses import dataclass

import rasterio

from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath, image_path
from s2match.io.file_tree import open_stream
from s2match.io.jp2_codestream import tile_size
from s2match.io.open_file import opened

_LOG = logging.getLogger(__name__)

# Fewest samples along a tile of JPEG 2000 of a level that is used. Filters end at the edges of tiles and shift details
# there: up to 0.05 px at half as many samples.
_TILE_SAMPLES = 32


@dataclass(frozen=True)
class StoredLevel:
    """One stored resolution of a file.

    Attributes:
        overview: Index of the overview; None for full resolution.
        columns: (scale, offset) from x at full resolution to x at this level.
        rows: (scale, offset) from y at full resolution to y at this level.
    """

    overview: int | None
    columns: tuple[float, float]
    rows: tuple[float, float]


@dataclass(frozen=True)
class FileAxes:
    """The place of a grid along a file's axes in the pixels of the file.

    Attributes:
        corner: (x, y) where the grid begins.
        pixels: Pixels of the file per pixel of the grid, (x, y).
    """

    corner: tuple[float, float]
    pixels: tuple[float, float]


def file_axes(file: rasterio.DatasetReader, grid: Grid) -> FileAxes:
    """The place of a grid in a file, which may be that of a band with other pixels than the image.

    Args:
        file: The file at full resolution, with the footprint of the image.
        grid: The grid, along the axes of the file.
    """
    whole = grid.file_size or grid.native_size
    across, down = file.width / whole[0], file.height / whole[1]
    return FileAxes(
        (grid.corner[0] * across, grid.corner[1] * down),
        (across * grid.native_size[0] / grid.size[0], down * grid.native_size[1] / grid.size[1]),
    )


def level_of(path: ImagePath, grid: Grid) -> StoredLevel:
    """The stored resolution from which windows of a grid along the file's axes are read.

    Args:
        path: The file, or the file of a band.
        grid: The grid.
    """
    with opened(path) as file:
        level = _choose_level(file, min(file_axes(file, grid).pixels))
    name = "full resolution" if level.overview is None else f"overview {level.overview}"
    _LOG.debug("%s is read from %s at %d x %d px", path.name, name, *grid.size)
    return level


def _choose_level(file: rasterio.DatasetReader, scale: float) -> StoredLevel:
    """The coarsest resolution whose samples are at most ``scale`` pixels of the file apart."""
    chosen = StoredLevel(None, (1.0, 0.0), (1.0, 0.0))
    codestream = file.driver.startswith("JP2") and not any(name.endswith(".ovr") for name in file.files)
    tiles = _jp2_tiles(file) if codestream else None
    for overview, factor in enumerate(file.overviews(1)):
        if factor > scale or not _tiles_are_large(file, tiles, factor):
            break
        if codestream:
            # The low-pass band of JPEG 2000 keeps the even samples (ISO/IEC 15444-1, annex F), so sample k of a level
            # is centred on x = k * factor + 0.5 of the full image, not on the middle of its block.
            axis = (1 / factor, 0.5 - 0.5 / factor)
            chosen = StoredLevel(overview, axis, axis)
        elif (level := _averaged_size(file, overview)) is not None:
            chosen = StoredLevel(overview, (level[0] / file.width, 0.0), (level[1] / file.height, 0.0))
    return chosen


def _jp2_tiles(file: rasterio.DatasetReader) -> tuple[int, int] | None:
    """(width, height) of the tiles of a JPEG 2000 file; those that GDAL reports for a remote one."""
    stream = open_stream(image_path(file.name))
    if stream is not None:
        with stream:
            return tile_size(stream)
    height, width = file.block_shapes[0]
    return width, height


def _tiles_are_large(file: rasterio.DatasetReader, tiles: tuple[int, int] | None, factor: int) -> bool:
    """Whether the tiles of a codestream, if there are several, contain enough samples of a level."""
    sides = zip(tiles or (file.width, file.height), (file.width, file.height), strict=True)
    return all(tile >= whole or tile / factor >= _TILE_SAMPLES for tile, whole in sides)


def _averaged_size(file: rasterio.DatasetReader, overview: int) -> tuple[int, int] | None:
    """(width, height) of an averaged overview, by its tags; None for others, whose sample positions are unknown."""
    with opened(image_path(file.name), overview) as level:
        averaged = level.tags(1).get("RESAMPLING", "").startswith("AVERAGE")
        return (level.width, level.height) if averaged else None
