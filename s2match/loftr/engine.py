"""kornia's LoFTR with less time and memory: same network and weights, same matches up to rounding.

Differences to kornia:

- Backbone: BatchNorm is folded into the convolutions, images are in channels-last layout, and features are computed
  once per image (:mod:`s2match.loftr.backbone`). It runs in half precision if that is faster on the device.
- Transformers: linear attention multiplies in another order (:mod:`s2match.loftr.linear_attention`).
- Masks: tokens of invalid cells are removed instead of masked. The result is the same, because a masked token adds
  nothing to a sum or a softmax.
- Products with a matrix: in float32 on a CPU by oneDNN instead of MKL (:mod:`s2match.loftr.products`).
- Memory: what a layer frees is kept for the next (:mod:`s2match.util.allocator`).
- Coarse matching: dual softmax in blocks of rows, without the score matrix (:mod:`s2match.loftr.coarse_matching`).
- Fine matching: with few matches the fine features are computed in their windows only.
"""

import copy
import logging
from dataclasses import dataclass, replace

import torch
from kornia.feature import LoFTR
from torch import Tensor

from s2match.core.matches import CELL_PX
from s2match.loftr.backbone import Backbone, FinePyramid, WindowCutter, whole_map_is_cheaper
from s2match.loftr.coarse_matching import (
    MIN_THRESHOLD,
    CoarseMatches,
    blocks_in_bands,
    dual_softmax_matches,
    neighbourhood_matches,
)
from s2match.loftr.config import KORNIA, MatchingConfig
from s2match.loftr.fine_matching import FineMatching, FineQueries, is_consistent
from s2match.loftr.fine_transformer import FineTransformer
from s2match.loftr.linear_attention import LocalFeatureTransformer, SequenceEncoderLayer
from s2match.loftr.local_affine import LocalFit, calibrated_confidence
from s2match.loftr.representatives import representatives
from s2match.loftr.tokens import Tokens
from s2match.util.allocator import keep_one_heap
from s2match.util.devices import wide_half

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageFeatures:
    """Backbone features of one image; they serve any number of pairs.

    Attributes:
        tokens: Coarse features of the valid cells, with the positional encoding.
        pyramid: Inputs of the fine feature map.
    """

    tokens: Tokens
    pyramid: FinePyramid

    @property
    def nbytes(self) -> int:
        """Memory of the features."""
        return self.tokens.nbytes + self.pyramid.nbytes

    def within(self, cells: Tensor) -> "ImageFeatures":
        """The features restricted to the cells where a (rows, columns) mask over the coarse grid is true."""
        kept = cells.to(self.tokens.cells.device).flatten()[self.tokens.cells]
        return replace(self, tokens=Tokens(self.tokens.values[kept], self.tokens.cells[kept], self.tokens.grid))


@dataclass(frozen=True)
class EngineMatches:
    """Matches in the pixel frame of the weights.

    The last three attributes describe the local affine fit (:class:`s2match.loftr.local_affine.LocalFit`); they are 0
    with a single fine iteration.

    Attributes:
        keypoints0: (N, 2) points (x, y) in image 0, float32, pixels.
        keypoints1: (N, 2) points (x, y) in image 1, float32, pixels.
        confidence: (N,) confidence in [0, 1].
        raw_residual_px: (N,) distance between the fine match itself and the local affine prediction.
        precision: (N,) leave-one-out precision (inverse variance, px⁻²) of the prediction.
        inlier_fraction: (N,) weighted fraction of the neighbours that agree with the fit.
    """

    keypoints0: Tensor
    keypoints1: Tensor
    confidence: Tensor
    raw_residual_px: Tensor
    precision: Tensor
    inlier_fraction: Tensor

    @classmethod
    def without_local_fit(cls, keypoints0: Tensor, keypoints1: Tensor, confidence: Tensor) -> "EngineMatches":
        """Matches of a single fine iteration."""
        zero = torch.zeros_like(confidence)
        return cls(keypoints0, keypoints1, confidence, zero, zero, zero)


class Engine:
    """A ``kornia.feature.LoFTR`` of resolution (8, 2), linear attention and dual softmax, ready on one device."""

    def __init__(
        self, net: LoFTR, device: torch.device, precision: torch.dtype = torch.float32, config: MatchingConfig = KORNIA
    ) -> None:
        """Copy the network to the device.

        Args:
            net: The network, in evaluation mode.
            device: Device to run on.
            precision: Number format of the backbone. Where it is a half, the transformers run in bfloat16, because
                sums over all tokens exceed float16's range. Scores are always float32.
            config: How matches are derived from the scores and heatmaps.

        Raises:
            ValueError: The network has another resolution, attention or coarse matching.
        """
        architecture = net.config
        if tuple(architecture["resolution"]) != (8, 2) or architecture["match_coarse"]["match_type"] != "dual_softmax":
            raise ValueError("the engine runs LoFTRs of resolution (8, 2) with dual-softmax matching")
        if {architecture[stage]["attention"] for stage in ("coarse", "fine")} != {"linear"}:
            raise ValueError("the engine runs LoFTRs with linear attention")
        if device.type == "cpu":
            keep_one_heap()
        self.device = device
        self.precision = precision
        self.config = config
        self._border = int(architecture["match_coarse"]["border_rm"])
        self._scale = 1 / (architecture["coarse"]["d_model"] * architecture["match_coarse"]["dsmax_temperature"])
        self._backbone = Backbone(net.backbone, device, precision)
        self.bytes_per_pixel = self._backbone.bytes_per_pixel
        self._position_encoding = copy.deepcopy(net.pos_encoding).to(device)
        self._transformer_dtype = torch.float32 if precision == torch.float32 else wide_half(device)
        coarse, *fine = (
            copy.deepcopy(module).to(device, self._transformer_dtype)
            for module in (net.loftr_coarse, net.fine_preprocess, net.loftr_fine)
        )
        self._coarse_transformer = LocalFeatureTransformer.from_kornia(coarse, SequenceEncoderLayer)
        self._fine_transformer = FineTransformer(*fine)

    @torch.inference_mode()
    def extract(self, image: Tensor, valid: Tensor | None = None) -> ImageFeatures:
        """Backbone features of one image.

        Args:
            image: (H, W) grey values in [0, 1]; any size.
            valid: (H, W) bool; a coarse cell is valid where the pixel at its centre is. None: all are valid.
        """
        coarse, pyramid = self._backbone(image)
        encoded = self._position_encoding(coarse.float())[0]
        grid = (encoded.shape[1], encoded.shape[2])
        tokens = encoded.flatten(1).T
        if valid is None:
            cells = torch.arange(len(tokens), device=self.device)
        else:
            cells = valid[::CELL_PX, ::CELL_PX].to(self.device).flatten().nonzero()[:, 0]
        return ImageFeatures(Tokens(tokens[cells].contiguous(), cells, grid), pyramid)

    @torch.inference_mode()
    def match(
        self,
        image0: ImageFeatures,
        image1: ImageFeatures,
        threshold: float,
        bands: Tensor | None = None,
        to_refine: bool = False,
    ) -> EngineMatches:
        """Matches of two images.

        Args:
            image0: Features of image 0; its points are the centres of coarse cells.
            image1: Features of image 1; its points are refined.
            threshold: Keep matches with a confidence above this.
            bands: Rows of cells that may match, see :func:`s2match.loftr.coarse_matching.blocks_in_bands`; None: all.
            to_refine: Whether the matches are measured again afterwards. Then fine matching with more than one
                iteration compares the windows of one match in each block (:mod:`s2match.loftr.representatives`).

        Returns:
            The matches, in the order of the cells of image 0.
        """
        tokens0, tokens1 = self._transform(image0.tokens, image1.tokens)
        single_iteration = self.config.fine_iterations == 1
        # weak matches support the local fits of others
        coarse_threshold = threshold if single_iteration else MIN_THRESHOLD
        coarse = self._coarse_matches(tokens0, tokens1, coarse_threshold, bands)
        _LOG.debug("%d coarse matches above %.2f", len(coarse.rows), coarse_threshold)
        points0, points1 = (
            _cell_points(tokens.cells[chosen], tokens.grid)
            for tokens, chosen in ((tokens0, coarse.rows), (tokens1, coarse.columns))
        )
        if len(coarse.rows) == 0:
            return EngineMatches.without_local_fit(points0, points1, coarse.confidence)
        queries = FineQueries(
            tokens0.cells[coarse.rows],
            points0,
            coarse.confidence,
            tokens0.values[coarse.rows],
            tokens1.values[coarse.columns],
        )
        if single_iteration:
            fine = self._fine_matching(image0, image1, queries)
            return EngineMatches.without_local_fit(points0, fine.predict(points1).points, coarse.confidence)
        if to_refine:
            chosen = representatives(queries.cells, queries.confidence, tokens0.grid)
            compared = queries.subset(chosen.indices, chosen.confidence)
            fine = self._fine_matching(image0, image1, compared)
            local_fit = fine.iterate(points1[chosen.indices], tokens0.grid, self.config.fine_iterations)
            return self._at_local_fit(queries, local_fit.around(chosen.of, chosen.steps), threshold)
        fine = self._fine_matching(image0, image1, queries)
        local_fit = fine.iterate(points1, tokens0.grid, self.config.fine_iterations)
        return self._at_local_fit(queries, local_fit, threshold)

    def _transform(self, tokens0: Tokens, tokens1: Tokens) -> tuple[Tokens, Tokens]:
        """Tokens of both images after the coarse transformer."""
        if len(tokens0.cells) == 0 or len(tokens1.cells) == 0:
            return tokens0, tokens1
        values = self._coarse_transformer(*(t.values.to(self._transformer_dtype) for t in (tokens0, tokens1)))
        return replace(tokens0, values=values[0].float()), replace(tokens1, values=values[1].float())

    def _coarse_matches(
        self, tokens0: Tokens, tokens1: Tokens, threshold: float, bands: Tensor | None
    ) -> CoarseMatches:
        """Coarse matches, without those at the border of an image."""
        if len(tokens0.cells) == 0 or len(tokens1.cells) == 0:
            empty = torch.empty(0, device=self.device)
            return CoarseMatches(empty.long(), empty.long(), empty)
        compared = None if bands is None else blocks_in_bands(tokens0, tokens1, bands.to(self.device))
        if self.config.neighbourhood:
            matches = neighbourhood_matches(tokens0, tokens1, self._scale, threshold, compared)
        else:
            matches = dual_softmax_matches(tokens0.values, tokens1.values, self._scale, threshold, compared)
        inside0 = self._is_inside_border(tokens0.cells[matches.rows], tokens0.grid)
        return matches.subset(inside0 & self._is_inside_border(tokens1.cells[matches.columns], tokens1.grid))

    def _is_inside_border(self, cells: Tensor, grid: tuple[int, int]) -> Tensor:
        """(N,) whether cells lie at least the border width of the weights from the edges of the grid."""
        row, column, border = cells // grid[1], cells % grid[1], self._border
        inside = (row >= border) & (row < grid[0] - border)
        return inside & (column >= border) & (column < grid[1] - border)

    def _fine_matching(self, image0: ImageFeatures, image1: ImageFeatures, queries: FineQueries) -> FineMatching:
        """Fine matching of coarse matches."""
        count = len(queries.points0)
        prepared0 = self._fine_transformer.prepare_all(
            self._grid_window_cutter(image0, count), queries.points0, queries.coarse0
        )
        if self.config.fine_iterations == 1:
            cut1 = self._grid_window_cutter(image1, count)
        else:
            cut1 = self._backbone.window_cutter(image1.pyramid)
        return FineMatching(self._fine_transformer, prepared0, cut1, queries)

    def _grid_window_cutter(self, image: ImageFeatures, count: int) -> WindowCutter:
        """Cutter of the fine windows of ``count`` coarse cells."""
        # without a border, windows may reach beyond the image, where single windows are not computed correctly
        whole_map = self._border < 1 or whole_map_is_cheaper(count, image.tokens.grid)
        return self._backbone.grid_window_cutter(image.pyramid, whole_map)

    def _at_local_fit(self, queries: FineQueries, local_fit: LocalFit, threshold: float) -> EngineMatches:
        """Matches at their local affine predictions, without those that are inconsistent with them."""
        confidence = queries.confidence
        if self.config.calibration is not None:
            confidence = calibrated_confidence(local_fit, self.config.calibration)
        kept = is_consistent(local_fit) & (confidence > threshold)
        fitted1 = queries.points0 + local_fit.displacement
        matches = EngineMatches(
            queries.points0[kept],
            fitted1[kept],
            confidence[kept],
            local_fit.raw_residual_px[kept],
            local_fit.precision[kept],
            local_fit.inlier_fraction[kept],
        )
        iterations = self.config.fine_iterations
        _LOG.debug("%d matches kept after %d fine iterations", len(matches.confidence), iterations)
        return matches


def _cell_points(cells: Tensor, grid: tuple[int, int]) -> Tensor:
    """(N, 2) points (x, y) in pixels of row-major coarse cells."""
    return torch.stack([cells % grid[1], cells // grid[1]], dim=1).float() * CELL_PX
