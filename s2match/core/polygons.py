"""Polygons on a box of ground."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.crs import CRS

from s2match.core.bounds import Bounds

# Less of a box than this is the rounding of coordinates.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Drawing:
    """What a vector file draws on a box of ground, for any part of it.

    Attributes:
        bounds: The box.
        crs: Of the box and of the geometries.
        tree: Shapely's index of the geometries, those of :func:`read_geometries`.
    """

    bounds: Bounds
    crs: CRS
    tree: Any

    def __bool__(self) -> bool:
        """Whether anything is drawn on the box."""
        return len(self.tree) > 0

    def covers(self, bounds: Bounds, crs: CRS) -> bool:
        """Whether another box is a part of this one, in the same CRS."""
        (left, bottom, right, top), (x0, y0, x1, y1) = self.bounds, bounds
        slack = _ROUNDING * max(right - left, top - bottom)
        inside = left - slack <= x0 and bottom - slack <= y0 and x1 <= right + slack and y1 <= top + slack
        return inside and crs == self.crs

    def geometries_in(self, bounds: Bounds) -> list[Any]:
        """The geometries that touch a part of the box."""
        import shapely

        found = self.tree.query(shapely.box(*bounds), predicate="intersects")
        return list(self.tree.geometries[np.sort(found)])
