"""Areas of interest as a user gives them: a bounding box, or a file of polygons."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s2match.errors import OptionError

# West, south, east, north.
Box = tuple[float, float, float, float]

# CRS of a box without one.
DEGREES = "EPSG:4326"

_LARGEST_LONGITUDE, _LARGEST_LATITUDE = 360.0, 90.0


@dataclass(frozen=True)
class AreaOfInterest:
    """The ground that is matched.

    Attributes:
        where: A box (west, south, east, north), or the path of a file of polygons. In degrees, a box whose west is east
            of its east crosses the 180th meridian.
        crs: Code of the CRS of a box; None for degrees (WGS 84).
    """

    where: Box | str
    crs: str | None = None

    def __post_init__(self) -> None:
        """Refuse a box that is none.

        Raises:
            OptionError: The box is empty, is not in degrees, or the area is neither a box nor a path.
        """
        if isinstance(self.where, str):
            if self.crs is not None:
                raise OptionError(f"A reference system has no effect with {self.where}, which has its own.")
            return
        west, south, east, north = self.where
        if south >= north or west == east or (west > east and self.crs is not None):
            raise OptionError(f"{self} is empty: give its west, south, east and north.")
        if self.crs is None and (
            max(abs(west), abs(east)) > _LARGEST_LONGITUDE or max(abs(south), abs(north)) > _LARGEST_LATITUDE
        ):
            raise OptionError(f"{self} is not in degrees: name its reference system by --aoi_crs (aoi_crs in Python).")

    def __str__(self) -> str:
        """The area in a message."""
        name = self.where if isinstance(self.where, str) else " ".join(f"{side:.9g}" for side in self.where)
        return f"The area of interest {name}"

    @property
    def box(self) -> Box | None:
        """The box, with an east that lies east of its west; None for a file."""
        if isinstance(self.where, str):
            return None
        west, south, east, north = self.where
        return (west, south, east + 360.0 if west > east else east, north)


def area_of(where: "Sequence[float] | str | os.PathLike[str]", crs: str | None) -> AreaOfInterest:
    """The area of interest that a user gives.

    Args:
        where: West, south, east and north, or the path of a file of polygons.
        crs: Code of the CRS of a box; None for degrees.

    Raises:
        OptionError: It is neither, or the box is empty.
    """
    if isinstance(where, str | os.PathLike):
        return AreaOfInterest(str(Path(where)), crs)
    try:
        west, south, east, north = map(float, where)
    except (TypeError, ValueError):
        west = south = east = north = math.nan
    if not all(map(math.isfinite, (west, south, east, north))):
        raise OptionError(
            f"The area of interest {where!r} is neither a box (west, south, east, north) nor a file of polygons."
        )
    return AreaOfInterest((west, south, east, north), crs)
