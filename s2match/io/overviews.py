"""Overviews of a file: choice of the stored resolution, and positions of its samples."""

import logging
from dataclasses import dataclass
from itertools import takewhile

import rasterio

from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath, image_path
from s2match.core.overview_sampling import OverviewSampling
from s2match.io.borders import reading
from s2match.io.file_tree import open_stream
from s2match.io.jp2_codestream import tile_size
from s2match.io.measured_sampling import measured_sampling
from s2match.io.open_file import opened
from s2match.io.remote import is_remote

_LOG = logging.getLogger(__name__)

# Fewest samples along a tile of JPEG 2000 of a level that is used. Filters end at the edges of tiles and shift details
# there: up to 0.05 px at half as many samples.
_TILE_SAMPLES = 32

# Methods of GDAL whose samples lie in the middle of their blocks, within 0.02 pixels of the file on ramps of 1098 px.
_CENTRED_METHODS = ("AVERAGE", "BILINEAR", "CUBIC", "LANCZOS", "RMS")


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


def _file_axes(file: rasterio.DatasetReader, grid: Grid) -> FileAxes:
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


def level_of(path: ImagePath, grid: Grid, sampling: OverviewSampling | None) -> tuple[StoredLevel, FileAxes]:
    """The stored resolution from which windows of a grid along the file's axes are read, and the grid in the file.

    Args:
        path: The file, or the file of a band.
        grid: The grid.
        sampling: Positions of the samples of its overviews; None if it has none.
    """
    with opened(path) as file:
        axes = _file_axes(file, grid)
        level = _choose_level(file, min(axes.pixels), sampling)
    name = "full resolution" if level.overview is None else f"overview {level.overview}"
    _LOG.debug("%s is read from %s at %d x %d px", path.name, name, *grid.size)
    return level, axes


def overview_sampling(file: rasterio.DatasetReader) -> OverviewSampling | None:
    """Positions of the samples of overviews, by their format, their tags, or their pixels; None without overviews."""
    if not file.overviews(1):
        return None
    if _in_codestream(file):
        return OverviewSampling.FIRST
    with opened(image_path(file.name), 0) as level:
        tag = level.tags(1).get("RESAMPLING", "")
        sampling = _by_tag(tag) if tag else measured_sampling(file, level)
    _LOG.info("%s: samples of overviews are %s (%s)", image_path(file.name).name, sampling, tag or "measured")
    return sampling


def _by_tag(tag: str) -> OverviewSampling:
    if tag == "NEAREST":
        return OverviewSampling.NEAREST
    return OverviewSampling.CENTRED if tag.startswith(_CENTRED_METHODS) else OverviewSampling.UNKNOWN


def _choose_level(file: rasterio.DatasetReader, scale: float, sampling: OverviewSampling | None) -> StoredLevel:
    """The coarsest resolution whose samples are at most ``scale`` pixels of the file apart.

    Args:
        file: The file.
        scale: Pixels of the file per pixel of the grid.
        sampling: Positions of the samples of its overviews; None if it has none.
    """
    full = StoredLevel(None, (1.0, 0.0), (1.0, 0.0))
    # overviews without a filter save time and lose accuracy: they are worth it where bytes are slow
    unusable = sampling is OverviewSampling.NEAREST and not is_remote(image_path(file.name))
    if sampling is None or sampling is OverviewSampling.UNKNOWN or unusable:
        return full
    tiles = _jp2_tiles(file) if sampling is OverviewSampling.FIRST else None
    factors = list(takewhile(lambda f: f <= scale and _tiles_are_large(file, tiles, f), file.overviews(1)))
    if not factors:
        return full
    overview = len(factors) - 1
    if sampling is OverviewSampling.FIRST:
        axis = (1 / factors[-1], 0.5 - 0.5 / factors[-1])
        return StoredLevel(overview, axis, axis)
    with opened(image_path(file.name), overview) as level:
        scales = level.width / file.width, level.height / file.height
    first = sampling is OverviewSampling.NEAREST
    columns, rows = ((by, 0.5 - 0.5 * by if first else 0.0) for by in scales)
    return StoredLevel(overview, columns, rows)


def _in_codestream(file: rasterio.DatasetReader) -> bool:
    """Whether the overviews are the resolution levels of a JPEG 2000 codestream."""
    return file.driver.startswith("JP2") and not any(name.endswith(".ovr") for name in file.files)


def _jp2_tiles(file: rasterio.DatasetReader) -> tuple[int, int] | None:
    """(width, height) of the tiles of a JPEG 2000 file; those that GDAL reports for a remote one."""
    stream = open_stream(image_path(file.name))
    if stream is not None:
        with reading(image_path(file.name), text=True), stream:
            return tile_size(stream)
    height, width = file.block_shapes[0]
    return width, height


def _tiles_are_large(file: rasterio.DatasetReader, tiles: tuple[int, int] | None, factor: int) -> bool:
    """Whether the tiles of a codestream, if there are several, contain enough samples of a level."""
    sides = zip(tiles or (file.width, file.height), (file.width, file.height), strict=True)
    return all(tile >= whole or tile / factor >= _TILE_SAMPLES for tile, whole in sides)
