"""LoFTR's fine stage: where exactly a match lies, seen in windows of the target and looked for as often as is asked."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from s2match.loftr.fine_transformer import FineNetwork, blocks_of_windows
from s2match.loftr.heatmaps import expectation_px, variance_px2
from s2match.loftr.local_affine import LocalFit, fit_locally, weights_of

# A match looks where its neighbours say when it is this near to that and they support it by this much.
_LED_PX, _LED_SUPPORT = 6.0, 0.08

# It is kept in the end when it is this near, and any support it.
_KEPT_PX, _KEPT_SUPPORT = 3.0, 0.02

# A window is not looked at again before its middle has moved this far.
_MOVED_PX = 0.1


@dataclass(frozen=True)
class FineQueries:
    """Coarse matches, whose points are to be found.

    Attributes:
        cells: (N,) cells of image 0.
        points0: (N, 2) their points (x, y).
        confidence: (N,).
        context0: (N, C) tokens of the cells of image 0.
        context1: (N, C) those of image 1.
    """

    cells: Tensor
    points0: Tensor
    confidence: Tensor
    context0: Tensor
    context1: Tensor


@dataclass(frozen=True)
class FinePrediction:
    """What the fine stage saw.

    Attributes:
        middles: (N, 2) points (x, y) of image 1 about which it looked.
        points: (N, 2) points it expects.
        variance_px2: (N,) how far it spreads them.
    """

    middles: Tensor
    points: Tensor
    variance_px2: Tensor


@dataclass(frozen=True)
class FineStage:
    """Looks for the points of some matches in windows of image 1.

    Attributes:
        network: What compares windows.
        prepared0: (N, 25, C) windows of image 0, prepared by it.
        cut1: Cuts windows about points of image 1.
        found: The matches.
    """

    network: FineNetwork
    prepared0: Tensor
    cut1: Callable[[Tensor], Tensor]
    found: FineQueries

    def iterate(self, points1: Tensor, grid: tuple[int, int], fine_iterations: int) -> LocalFit:
        """Look again and again where the neighbours of each match say.

        Args:
            points1: (N, 2) points (x, y) of image 1 to begin with.
            grid: Rows and columns of the cells of image 0.
            fine_iterations: How often.
        """
        prediction = self.predict(points1)
        local_fit = self._fit_locally(prediction, grid)
        for _ in range(fine_iterations - 1):
            prediction = self._predict_moved(prediction, self._led(prediction, local_fit))
            local_fit = self._fit_locally(prediction, grid)
        return local_fit

    def predict(self, middles: Tensor, some: Tensor | None = None) -> FinePrediction:
        """Look about (N, 2) points (x, y) of image 1, for all matches or some, (N,) their indices."""
        prepared0, context1 = (
            values if some is None else values[some] for values in (self.prepared0, self.found.context1)
        )
        points, variance = middles.clone(), middles.new_empty(len(middles))
        for block in blocks_of_windows(middles):
            prepared1 = self.network.prepare(self.cut1(middles[block]), context1[block])
            heatmap = self.network.heatmaps(prepared0[block], prepared1)
            expected = expectation_px(heatmap)
            points[block] += expected
            variance[block] = variance_px2(heatmap, expected)
        return FinePrediction(middles, points, variance)

    def _predict_moved(self, prediction: FinePrediction, middles: Tensor) -> FinePrediction:
        """Look about (N, 2) points; where they have hardly moved, what was seen stands."""
        moved = ((middles - prediction.middles).abs().amax(1) > _MOVED_PX).nonzero()[:, 0]
        again = self.predict(middles[moved], moved)
        return FinePrediction(
            prediction.middles.index_copy(0, moved, again.middles),
            prediction.points.index_copy(0, moved, again.points),
            prediction.variance_px2.index_copy(0, moved, again.variance_px2),
        )

    def _fit_locally(self, prediction: FinePrediction, grid: tuple[int, int]) -> LocalFit:
        weights = weights_of(self.found.confidence, prediction.variance_px2)
        return fit_locally(self.found.cells, prediction.points - self.found.points0, weights, grid)

    def _led(self, prediction: FinePrediction, local_fit: LocalFit) -> Tensor:
        """(N, 2) points (x, y) of image 1 to look about next: where the neighbours say, else what was seen."""
        led = (local_fit.scatter < _LED_PX) & (local_fit.support > _LED_SUPPORT)
        return torch.where(led[:, None], self.found.points0 + local_fit.displacement, prediction.points)


def is_kept(local_fit: LocalFit) -> Tensor:
    """(N,) whether the neighbours support a match."""
    return (local_fit.scatter < _KEPT_PX) & (local_fit.support > _KEPT_SUPPORT)
