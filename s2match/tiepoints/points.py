"""Tie points: the matches of a pair in pixels of the original files, and in map coordinates."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from s2match.core.file_pixels import file_pixels_per_pixel, from_file, to_file, whole_file
from s2match.core.georeference import comparable, predict
from s2match.core.grid import Grid
from s2match.core.ground_errors import ground_errors
from s2match.core.matches import Matches, Provenance
from s2match.core.projection import apply_transform
from s2match.core.raster import HasGrid
from s2match.registration.model import Registration


class MatchedPair(Protocol):
    """Two images, their matches and an optional model, such as a :class:`s2match.result.PairResult`."""

    @property
    def reference(self) -> HasGrid:
        """The image whose points are ``matches.xy0``, at the size it was matched at."""

    @property
    def target(self) -> HasGrid:
        """The image whose points are ``matches.xy1``, at the size it was matched at."""

    @property
    def matches(self) -> Matches:
        """All matches."""

    @property
    def registration(self) -> Registration | None:
        """The model fitted to the matches; None if there is none."""


@dataclass(frozen=True)
class TiePoints:
    """Points of two image files that show the same features.

    A shift is a correction: target point + shift = position according to the reference. Its sign is opposite to that of
    :class:`s2match.core.ground_errors.GroundErrors`.

    Attributes:
        reference: Every pixel of the reference's file.
        target: Every pixel of the target's file.
        xy0_px: (N, 2) positions (x, y) in the reference's file, pixels, GDAL frame.
        xy1_px: (N, 2) positions (x, y) in the target's file, pixels, GDAL frame.
        confidence: (N,) confidence in [0, 1].
        similarity: (N,) as in :class:`s2match.core.matches.Matches`; None if the points were not refined.
        raw_residual_px: (N,) as in ``Matches``, but in pixels of the target's file; None if it is unknown.
        correlated: (N,) bool, as in ``Matches``; None if the matches were not densified.
        residual_xy_px: (N, 2) vectors (x, y) from each point of the target to its position by the model, in pixels of
            the target's file; None without a model.
        outlier: (N,) bool, further from the model than its threshold; None without a model.
        covariance_px2: (N, 2, 2) as in ``Matches``, but in square pixels of the target's file; None if it is unknown.
    """

    reference: Grid
    target: Grid
    xy0_px: NDArray[np.float64]
    xy1_px: NDArray[np.float64]
    confidence: NDArray[np.float64]
    similarity: NDArray[np.float64] | None = None
    raw_residual_px: NDArray[np.float64] | None = None
    correlated: NDArray[np.bool_] | None = None
    residual_xy_px: NDArray[np.float64] | None = None
    outlier: NDArray[np.bool_] | None = None
    covariance_px2: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        """Number of points."""
        return len(self.confidence)

    @property
    def reference_map(self) -> NDArray[np.float64] | None:
        """(N, 2) map coordinates of the reference's points in its own CRS; None without a georeference."""
        return _on_map(self.reference, self.xy0_px)

    @property
    def target_map(self) -> NDArray[np.float64] | None:
        """(N, 2) map coordinates of the target's points in its own CRS; None without a georeference."""
        return _on_map(self.target, self.xy1_px)

    @property
    def shift_px(self) -> NDArray[np.float64] | None:
        """(N, 2) shifts (right, down) in pixels of the target's file, against the georeference.

        Without a georeference, shifts to the same pixel positions; None if the files then differ in size.
        """
        if comparable(self.reference, self.target):
            return predict(self.xy0_px, self.reference, self.target) - self.xy1_px
        return self.xy0_px - self.xy1_px if self.reference.size == self.target.size else None

    @property
    def shift_m(self) -> NDArray[np.float64] | None:
        """(N, 2) shifts (east, north) in metres, along the axes of ground errors; None without a CRS."""
        errors = ground_errors(self.reference, self.target, self.xy0_px, self.xy1_px)
        if errors is None or not errors.axes.in_metres:
            return None
        return -np.stack([errors.east_m, errors.north_m], axis=1)

    @property
    def residual_m(self) -> NDArray[np.float64] | None:
        """(N,) distances from the model in metres; None without a model or a CRS of the target."""
        if self.residual_xy_px is None:
            return None
        errors = ground_errors(self.target, self.target, self.xy1_px, self.xy1_px + self.residual_xy_px)
        return None if errors is None or not errors.axes.in_metres else errors.distance_m


def tie_points_of(result: MatchedPair) -> TiePoints:
    """All matches of a pair as tie points, outliers included; the files are not opened.

    Args:
        result: A matched pair.

    Returns:
        A point for each match, in the order of the matches.
    """
    matches, registration = result.matches, result.registration
    xy1_px = to_file(result.target, matches.xy1)
    residual_xy_px = None
    if registration is not None:
        residual_xy_px = to_file(result.target, registration.apply(matches.xy0)) - xy1_px
    return TiePoints(
        whole_file(result.reference),
        whole_file(result.target),
        to_file(result.reference, matches.xy0),
        xy1_px,
        matches.confidence,
        matches.similarity,
        None if matches.raw_residual_px is None else matches.raw_residual_px * file_pixels_per_pixel(result.target),
        matches.correlated,
        residual_xy_px,
        None if registration is None else ~registration.inliers,
        None if matches.covariance_px2 is None else matches.covariance_px2 * file_pixels_per_pixel(result.target) ** 2,
    )


def as_matches(points: TiePoints, reference: HasGrid, target: HasGrid, origin: Provenance) -> Matches:
    """Tie points as matches between two grids, to fit a model to: the inverse of :func:`tie_points_of`.

    Args:
        points: Tie points of the files of both grids.
        reference: The grid of the reference.
        target: The grid of the target.
        origin: Where the points come from.
    """
    return Matches(
        from_file(reference, points.xy0_px),
        from_file(target, points.xy1_px),
        points.confidence,
        origin,
        None if points.raw_residual_px is None else points.raw_residual_px / file_pixels_per_pixel(target),
        points.similarity,
        points.correlated,
        None if points.covariance_px2 is None else points.covariance_px2 / file_pixels_per_pixel(target) ** 2,
    )


def _on_map(grid: Grid, xy: NDArray[np.float64]) -> NDArray[np.float64] | None:
    if not grid.georeferenced:
        return None
    assert grid.transform is not None
    return apply_transform(grid.transform, xy)
