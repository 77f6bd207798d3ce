"""Fine matching: sub-pixel points of coarse matches, from windows of the target.

LoFTR refines once, in a window around the coarse cell. Further iterations re-centre the windows on the local affine
prediction (:mod:`s2match.loftr.local_affine`), because the expectation of an uncertain heatmap is biased towards the
centre of its window.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from s2match.loftr.fine_transformer import FineTransformer, blocks_of_windows
from s2match.loftr.heatmaps import expectation_px, variance_px2
from s2match.loftr.local_affine import LocalFit, fit_local_affine, match_weights

# A window is re-centred on the local fit when the residual is below, and the precision (px⁻²) above these.
_RECENTRE_MAX_RESIDUAL_PX, _RECENTRE_MIN_PRECISION = 6.0, 0.08

# A match is kept after the last iteration when the residual is below, and the precision (px⁻²) above these.
_KEEP_MAX_RESIDUAL_PX, _KEEP_MIN_PRECISION = 3.0, 0.02

# A window is evaluated again only when its centre has moved further than this along an axis.
_MIN_MOVE_PX = 0.1


@dataclass(frozen=True)
class FineQueries:
    """Coarse matches to refine.

    Attributes:
        cells: (N,) row-major cells of image 0.
        points0: (N, 2) points (x, y) of image 0 in pixels.
        confidence: (N,) coarse confidence.
        coarse0: (N, C) coarse tokens of image 0.
        coarse1: (N, C) coarse tokens of image 1.
    """

    cells: Tensor
    points0: Tensor
    confidence: Tensor
    coarse0: Tensor
    coarse1: Tensor

    def subset(self, indices: Tensor, confidence: Tensor) -> "FineQueries":
        """The matches at (M,) indices, with another confidence (M,)."""
        return FineQueries(
            self.cells[indices], self.points0[indices], confidence, self.coarse0[indices], self.coarse1[indices]
        )


@dataclass(frozen=True)
class FinePrediction:
    """Fine matches of N windows.

    Attributes:
        centres: (N, 2) window centres (x, y) in image 1, pixels.
        points: (N, 2) expected points (x, y) in image 1, pixels.
        variance_px2: (N,) variance of the heatmaps, x and y summed.
    """

    centres: Tensor
    points: Tensor
    variance_px2: Tensor


@dataclass(frozen=True)
class FineMatching:
    """Fine matching of N coarse matches in windows of image 1.

    Attributes:
        transformer: Network that compares windows.
        prepared0: (N, 25, C) prepared windows of image 0.
        cut1: Returns the (M, 25, C) windows around (M, 2) points of image 1.
        queries: The coarse matches.
    """

    transformer: FineTransformer
    prepared0: Tensor
    cut1: Callable[[Tensor], Tensor]
    queries: FineQueries

    def iterate(self, points1: Tensor, grid: tuple[int, int], fine_iterations: int) -> LocalFit:
        """Local affine fits after iterated fine matching.

        Args:
            points1: (N, 2) initial window centres (x, y) in image 1, pixels.
            grid: Rows and columns of the cells of image 0.
            fine_iterations: Number of iterations.
        """
        prediction = self.predict(points1)
        local_fit = self._fit_local_affine(prediction, grid)
        for _ in range(fine_iterations - 1):
            prediction = self._update(prediction, self._next_centres(prediction, local_fit))
            local_fit = self._fit_local_affine(prediction, grid)
        return local_fit

    def predict(self, centres: Tensor, indices: Tensor | None = None) -> FinePrediction:
        """Fine matches in windows around centres.

        Args:
            centres: (M, 2) window centres (x, y) in image 1, pixels.
            indices: (M,) indices of their matches; None: all matches.
        """
        prepared0, coarse1 = (
            values if indices is None else values[indices] for values in (self.prepared0, self.queries.coarse1)
        )
        points, variance = centres.clone(), centres.new_empty(len(centres))
        for block in blocks_of_windows(centres):
            prepared1 = self.transformer.prepare(self.cut1(centres[block]), coarse1[block])
            heatmap = self.transformer.heatmaps(prepared0[block], prepared1)
            expected = expectation_px(heatmap)
            points[block] += expected
            variance[block] = variance_px2(heatmap, expected)
        return FinePrediction(centres, points, variance)

    def _update(self, prediction: FinePrediction, centres: Tensor) -> FinePrediction:
        """The prediction, recomputed for windows whose centre moved from its old place to ``centres``, (N, 2)."""
        moved = ((centres - prediction.centres).abs().amax(1) > _MIN_MOVE_PX).nonzero()[:, 0]
        updated = self.predict(centres[moved], moved)
        return FinePrediction(
            prediction.centres.index_copy(0, moved, updated.centres),
            prediction.points.index_copy(0, moved, updated.points),
            prediction.variance_px2.index_copy(0, moved, updated.variance_px2),
        )

    def _fit_local_affine(self, prediction: FinePrediction, grid: tuple[int, int]) -> LocalFit:
        weights = match_weights(self.queries.confidence, prediction.variance_px2)
        return fit_local_affine(self.queries.cells, prediction.points - self.queries.points0, weights, grid)

    def _next_centres(self, prediction: FinePrediction, local_fit: LocalFit) -> Tensor:
        """(N, 2) next window centres (x, y): the local fit where it is reliable, else the predicted point."""
        reliable = (local_fit.raw_residual_px < _RECENTRE_MAX_RESIDUAL_PX) & (
            local_fit.precision > _RECENTRE_MIN_PRECISION
        )
        return torch.where(reliable[:, None], self.queries.points0 + local_fit.displacement, prediction.points)


def is_consistent(local_fit: LocalFit) -> Tensor:
    """(N,) whether each match is consistent with the local fit of its neighbours."""
    return (local_fit.raw_residual_px < _KEEP_MAX_RESIDUAL_PX) & (local_fit.precision > _KEEP_MIN_PRECISION)
