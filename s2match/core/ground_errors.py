"""Errors of matches on the ground, measured against the georeference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.georeference import comparable
from s2match.core.ground_axes import IN_METRES, GroundAxes, file_pixel_m, ground_axes
from s2match.core.projection import apply_transform, reproject, wrapped
from s2match.core.raster import HasGrid


@dataclass(frozen=True)
class GroundErrors:
    """Distances between the two points of each match on the ground, by the georeferences of both images.

    The vector of a match points from its place on the ground by the reference to its place by the target:
    ``east_m > 0`` means that the target is displaced to the east. If the axes are not in metres, east is x of the map,
    north is y, and all values are in units of the map.

    Attributes:
        east_m: (N,) eastward component in metres; NaN where the reference system cannot express a point.
        north_m: (N,) northward component in metres, likewise.
        native_pixel_m: Side of a square as large as a native pixel of the reference image, in metres.
        axes: The axes east and north, and the unit.
    """

    east_m: NDArray[np.float64]
    north_m: NDArray[np.float64]
    native_pixel_m: float
    axes: GroundAxes = IN_METRES

    @property
    def distance_m(self) -> NDArray[np.float64]:
        """(N,) horizontal distances in metres; NaN for points without an error."""
        return np.hypot(self.east_m, self.north_m)

    @property
    def median_m(self) -> tuple[float, float]:
        """Median shift (east, north) in metres."""
        errors = self.finite
        return float(np.median(errors.east_m)), float(np.median(errors.north_m))

    @property
    def rmse_m(self) -> float:
        """Root mean square of the distances in metres."""
        return float(np.sqrt(np.mean(self.finite.distance_m**2)))

    @property
    def ce90_m(self) -> float:
        """Circular error (CE90) in metres: the distance that 90 % of the matches do not exceed."""
        return float(np.percentile(self.finite.distance_m, 90))

    @property
    def from_mean_m(self) -> NDArray[np.float64]:
        """(N,) distances of the finite errors from their mean, in metres: their scatter without the shift."""
        errors = self.finite
        return np.asarray(np.hypot(errors.east_m - errors.east_m.mean(), errors.north_m - errors.north_m.mean()))

    @property
    def finite(self) -> "GroundErrors":
        """The errors of the matches that have one."""
        finite = np.isfinite(self.east_m) & np.isfinite(self.north_m)
        return self if finite.all() else self.subset(np.asarray(finite))

    def subset(self, chosen: NDArray[np.bool_]) -> "GroundErrors":
        """The errors of the matches that an (N,) mask selects."""
        return GroundErrors(self.east_m[chosen], self.north_m[chosen], self.native_pixel_m, self.axes)


def ground_errors(
    reference: HasGrid, target: HasGrid, xy0: NDArray[np.float64], xy1: NDArray[np.float64]
) -> GroundErrors | None:
    """Errors of matches against the georeferences of both images.

    Both points of a match are mapped to the ground and compared along the :func:`ground_axes` of the reference.

    Args:
        reference: Image of ``xy0``.
        target: Image of ``xy1``.
        xy0: (N, 2) pixel positions (x, y) in the reference, GDAL frame.
        xy1: (N, 2) pixel positions of the same features in the target, GDAL frame.

    Returns:
        The errors; None if the georeferences cannot be compared.
    """
    if not comparable(reference, target):
        return None
    assert reference.transform is not None and target.transform is not None
    axes = ground_axes(reference)
    ground0 = reproject(apply_transform(reference.transform, xy0), reference.crs, axes.crs)
    ground1 = reproject(apply_transform(target.transform, xy1), target.crs, axes.crs)
    shift = wrapped(ground1 - ground0, axes.crs, 0.0)
    return GroundErrors(shift[:, 0], shift[:, 1], file_pixel_m(reference), axes)
