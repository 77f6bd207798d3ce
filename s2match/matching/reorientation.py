"""The target resampled along the axes of the reference, and its matches mapped back to the target's own pixels."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.image_size import MIN_SIDE_PX
from s2match.core.matches import Matches
from s2match.core.point_maps import PointMap, jacobian
from s2match.core.raster import HasGrid, Patch, Raster, grid_of
from s2match.core.window import Window
from s2match.registration.model import apply_matrix
from s2match.resampling.reproject import empty_patch, source_window, warp

# Margin around the reference, relative to its sides: a similarity of reduced images is a few per cent off.
_MARGIN = 0.1


@dataclass(frozen=True)
class ReorientedGrid:
    """Pixels onto which a target is resampled.

    Attributes:
        target: Grid of the target.
        size: Width and height in pixels.
        to_target: 3×3 affine map from these pixels to those of the target, GDAL frame.
    """

    target: Grid
    size: tuple[int, int]
    to_target: NDArray[np.float64]

    @property
    def grid(self) -> Grid:
        """The pixels as a grid without a georeference."""
        return replace(self.target, size=self.size, transform=None, crs=None, source=None)

    @property
    def turn_deg(self) -> float:
        """Clockwise turn of the target against these pixels, in (-180, 180] degrees."""
        return math.degrees(math.atan2(self.to_target[1, 0], self.to_target[0, 0]))

    @property
    def scale(self) -> float:
        """Pixels of the target along one of these pixels."""
        return math.sqrt(abs(np.linalg.det(self.to_target[:2, :2])))

    def enlarged(self, previews: tuple[HasGrid, HasGrid], grids: tuple[HasGrid, HasGrid]) -> Self:
        """The same ground for the images that previews are reduced from.

        Args:
            previews: Reference and target at the sizes of these pixels.
            grids: Reference and target at their full sizes.
        """
        (small0, small1), (large0, large1) = ((np.array(image.size) for image in pair) for pair in (previews, grids))
        width, height = np.round(self.size * large0 / small0).astype(int).tolist()
        # the number of pixels is whole, so that their size follows from it
        factors = np.array(self.size) / (width, height)
        to_target = np.diag([*(large1 / small1), 1]) @ self.to_target @ np.diag([*factors, 1])
        return replace(self, target=grid_of(grids[1]), size=(width, height), to_target=to_target)

    def read(self, window: Window, read_target: Callable[[Window], Patch]) -> Patch:
        """Resample the target onto a window of these pixels.

        Args:
            window: The window, in these pixels.
            read_target: Returns the pixels of a window of the target.
        """
        # the target's pixels serve as map coordinates of both grids
        source = replace(self.target, transform=Affine.identity(), crs=None, source=None)
        transform = Affine(*map(float, self.to_target[:2].ravel()))
        onto = replace(self.grid, transform=transform, source=source)
        covered = source_window(onto, window)
        return empty_patch(window) if covered is None else warp(read_target(covered), covered, onto, window)

    def resample(self, target: Raster) -> Raster:
        """The target's pixels, resampled onto all of these pixels."""

        def cut(window: Window) -> Patch:
            part = slice(window.y, window.y + window.height), slice(window.x, window.x + window.width)
            return Patch(target.image[part], target.valid[part])

        patch = self.read(Window(0, 0, *self.size), cut)
        return Raster(self.grid, patch.image, patch.valid)

    def mapped_back(self, matches: Matches) -> Matches:
        """Matches with these pixels, as matches with the target; their origin has its turn and scale."""
        mapped = map_target(matches, self.to_target)
        inside = np.asarray(((mapped.xy1 >= 0) & (mapped.xy1 < self.target.size)).all(axis=1))
        origin = replace(matches.origin, turn_deg=self.turn_deg, scale=self.scale)
        return replace(mapped.subset(inside), origin=origin)


def reorient(reference: HasGrid, target: HasGrid, matrix: NDArray[np.float64]) -> ReorientedGrid | None:
    """The target along the axes of the reference, where it shows the reference's ground and a margin around it.

    Args:
        reference: The reference.
        target: The target.
        matrix: 3×3 affine map from pixels of the reference to pixels of the target, GDAL frame.

    Returns:
        The pixels; None if they are too few to be matched.
    """
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * np.array(target.size, float)
    footprint = apply_matrix(np.asarray(np.linalg.inv(matrix), np.float64), corners)
    margin = _MARGIN * np.array(reference.size)
    low = np.floor(np.maximum(footprint.min(axis=0), -margin))
    high = np.ceil(np.minimum(footprint.max(axis=0), reference.size + margin))
    if (high - low < MIN_SIDE_PX).any():
        return None
    (x, y), (width, height) = low.tolist(), (high - low).astype(int).tolist()
    shift = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
    return ReorientedGrid(grid_of(target), (width, height), matrix @ shift)


def nearest_similarity(map_points: PointMap, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """3×3 similarity nearest to the linear part of a map at a point, with the same image of the point.

    Args:
        map_points: The map, of points (N, 2), (x, y).
        xy: (2,) the point.
    """
    linear = jacobian(map_points, xy[None])[0]
    cosine, sine = (linear[0, 0] + linear[1, 1]) / 2, (linear[1, 0] - linear[0, 1]) / 2
    matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    matrix[:2, 2] = map_points(xy[None])[0] - matrix[:2, :2] @ xy
    return matrix


def map_target(matches: Matches, matrix: NDArray[np.float64]) -> Matches:
    """Matches with the points of the target mapped by a 3×3 affine map, and their lengths in target pixels scaled."""
    scale = math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    residual_px = None if matches.raw_residual_px is None else matches.raw_residual_px * scale
    linear, covariance = matrix[:2, :2], matches.covariance_px2
    return replace(
        matches,
        xy1=apply_matrix(matrix, matches.xy1),
        raw_residual_px=residual_px,
        covariance_px2=None if covariance is None else linear @ covariance @ linear.T,
    )
