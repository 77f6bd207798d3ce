"""The area of interest on images: the part of a grid that it covers, and the pixels outside of it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.area import DEGREES, AreaOfInterest
from s2match.core.bounds import Bounds
from s2match.core.footprint import share_ground
from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath, image_path
from s2match.core.polygons import Polygons
from s2match.core.projection import apply_transform, crs_named
from s2match.core.window import Window
from s2match.errors import MaskError, NoOverlapError, OptionError
from s2match.io.mask_raster import frame_of
from s2match.io.polygons import SUFFIXES, clip_and_reproject, read_geometries

# Distances below this, in pixels, are the rounding of coordinates.
_ROUNDING_PX = 1e-6


def crop_to_area(grids: tuple[Grid, Grid], area: AreaOfInterest) -> tuple[Grid, Grid]:
    """The parts of two images that the bounding box of an area covers.

    Args:
        grids: The grids of all pixels of the images.
        area: The area.

    Raises:
        OptionError: An image has no CRS, or the CRS of the area is unknown.
        NoOverlapError: The area does not touch an image, or no ground that both show.
        MaskError: A file of polygons cannot be read.
    """
    windows = []
    for grid in grids:
        if grid.transform is None or grid.crs is None:
            raise OptionError(
                f"An area of interest needs images with a reference system, and {grid.scene.path.name} has none."
            )
        windows.append(area_window(area, grid))
        if windows[-1] is None:
            raise NoOverlapError(f"{area} does not touch {grid.scene.path.name}.")
    first, second = (grid.cropped(window) for grid, window in zip(grids, windows, strict=True) if window is not None)
    if not share_ground(first, second):
        raise NoOverlapError(f"{area} touches no ground that both images show.")
    return first, second


def check_touches_any(area: AreaOfInterest, grids: Iterable[Grid]) -> None:
    """Check that an area touches one of several images.

    Raises:
        OptionError: The CRS of the area is unknown.
        NoOverlapError: It touches none.
        MaskError: A file of polygons cannot be read.
    """
    if not any(grid.crs is not None and area_window(area, grid) is not None for grid in grids):
        raise NoOverlapError(f"{area} touches none of the images.")


def within_area(grid: Grid, area: AreaOfInterest) -> Grid:
    """A grid whose pixels are masked where their centres lie outside of an area.

    Raises:
        OptionError: The CRS of the area is unknown.
        MaskError: A file of polygons cannot be read.
    """
    frame = frame_of(grid)
    polygons = Polygons(frame.bounds, frame.crs, shapely.STRtree(_polygons(area, frame.bounds, frame.crs)))
    return replace(grid, masking=replace(grid.masking, area=polygons))


def area_window(area: AreaOfInterest, grid: Grid) -> Window | None:
    """The window of the pixels of a grid whose centres lie in the bounding box of an area; None for no pixel."""
    assert grid.transform is not None and grid.crs is not None
    to_pixels = ~grid.transform

    def pixels_of(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return apply_transform(to_pixels, xy)

    polygons = [shapely.transform(one, pixels_of) for one in _polygons(area, frame_of(grid).bounds, grid.crs)]
    image = shapely.box(0, 0, *grid.size)
    inside = [part for one in polygons if not (part := shapely.intersection(one, image)).is_empty]
    if not inside:
        return None
    left, top, right, bottom = shapely.total_bounds(inside)
    first = np.ceil(np.array([left, top]) - 0.5 - _ROUNDING_PX).astype(int)
    last = np.floor(np.array([right, bottom]) + 0.5 + _ROUNDING_PX).astype(int)
    return Window.from_corners(first, last) if (first < last).all() else None


def _polygons(area: AreaOfInterest, bounds: Bounds, crs: CRS) -> list[Any]:
    """The polygons of an area in a box of map coordinates, clipped to a somewhat larger one."""
    box = area.box
    if box is None:
        geometries = _read(image_path(str(area.where)), area, bounds, crs)
    else:
        box_crs = crs_named(area.crs or DEGREES)
        if box_crs is None:
            raise OptionError(f"The reference system {area.crs!r} of the area of interest is unknown.")
        shape = np.array([shapely.box(*box)])
        geometries = clip_and_reproject(lambda outer: shape, box_crs, bounds, crs)
    parts = shapely.get_parts(shapely.get_parts(geometries))
    return [part for part in parts if part.geom_type == "Polygon"]


def _read(path: ImagePath, area: AreaOfInterest, bounds: Bounds, crs: CRS) -> list[Any]:
    """The geometries of a file of polygons in a box.

    Raises:
        MaskError: It is no such file, or has no polygon there.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise MaskError(f"{area} is no file of polygons: its suffix must be one of {', '.join(SUFFIXES)}.")
    geometries = read_geometries(path, bounds, crs, "area of interest")
    if geometries and not any("Polygon" in one.geom_type or "Collection" in one.geom_type for one in geometries):
        raise MaskError(f"{area} has lines or points, and no polygons.")
    return geometries
