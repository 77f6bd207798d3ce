"""Polygons in a bounding box."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from rasterio.crs import CRS

from s2match.core.bounds import Bounds

# Tolerance for the rounding of coordinates, relative to the longer side of a box.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Polygons:
    """Geometries of a vector file in a bounding box.

    Attributes:
        bounds: The box.
        crs: CRS of the box and of the geometries.
        tree: Spatial index of the geometries (:func:`s2match.io.polygons.read_geometries`).
    """

    bounds: Bounds
    crs: CRS
    tree: shapely.STRtree

    def __bool__(self) -> bool:
        """Whether there is a geometry in the box."""
        return len(self.tree) > 0

    def covers(self, bounds: Bounds, crs: CRS) -> bool:
        """Whether another box lies in this one, in the same CRS."""
        (left, bottom, right, top), (x0, y0, x1, y1) = self.bounds, bounds
        tolerance = _ROUNDING * max(right - left, top - bottom)
        inside_x = left - tolerance <= x0 and x1 <= right + tolerance
        inside_y = bottom - tolerance <= y0 and y1 <= top + tolerance
        return inside_x and inside_y and crs == self.crs

    def geometries_in(self, bounds: Bounds) -> list[Any]:
        """The geometries that intersect a part of the box, in the order of the file."""
        indices = self.tree.query(shapely.box(*bounds), predicate="intersects")
        return list(self.tree.geometries[np.sort(indices)])
