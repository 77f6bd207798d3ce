"""kornia's LoFTR run faster: the same network and weights, the same matches, less time and memory.

What is done differently, and why it changes nothing but rounding:

- BatchNorm is folded into the convolutions before it, images pass in channels-last layout, and where the processor has
  the instructions the backbone and the transformers run in bfloat16.
- The transformers multiply in another order, which is less work, see :mod:`s2match.attention`.
- Cells that are not valid are left out of the transformer and of the scores instead of being masked: a masked cell adds
  nothing to an attention sum or a softmax.
- The dual softmax is taken block by block of rows. A confidence is the product of a softmax over its row and one over
  its column, neither above 1, so only entries whose row softmax exceeds the threshold can be matches: they are noted
  on the way, few for each row, and finished when the column sums are known. The score matrix never exists.
- Where few cells match, the fine feature map is computed in the windows around them only.
- The features of an image are computed once, whatever number of images it is matched with.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from kornia.feature import LoFTR
from torch import Tensor
from torch.nn import functional

from s2match.core.matches import CELL_PX
from s2match.loftr.backbone import folded, upsampled
from s2match.loftr.coarse_matching import (
    MIN_THRESHOLD,
    CoarseMatches,
    Tokens,
    blocks_in_bands,
    dual_softmax_matches,
    neighbourhood_matches,
)
from s2match.loftr.config import KORNIA, MatchingConfig
from s2match.loftr.device import wide_half
from s2match.loftr.feature_patches import upsampled_windows, windows, windows_between
from s2match.loftr.fine_matching import FineQueries, FineStage, is_kept
from s2match.loftr.fine_transformer import FineNetwork
from s2match.loftr.heatmaps import STRIDE_PX
from s2match.loftr.linear_attention import SequenceLayer, Transformer
from s2match.loftr.local_affine import calibrated

# Half-resolution feature maps, as wide as the first, that are alive at once for every image.
_MAPS_ALIVE = 7

# Output cells of the two 3×3 convolutions in a window (7×7 and 5×5) against those of a coarse cell in the full map.
_WINDOW_COST = (7 * 7 + 5 * 5) / (4 * 4 + 4 * 4)


@dataclass(frozen=True)
class ImageFeatures:
    """What the backbone knows of one image, whatever it is matched with.

    Attributes:
        tokens: Features of the valid coarse cells, position encoded.
        half: (1, C1, H/2, W/2) features the fine map is made of.
        quarter: (1, C2, H/4, W/4) features it is made of, likewise.
    """

    tokens: Tokens
    half: Tensor
    quarter: Tensor

    def within(self, cells: Tensor) -> "ImageFeatures":
        """The same of those cells alone that a (rows, columns) mask over the grid chooses."""
        kept = cells.to(self.tokens.cells.device).flatten()[self.tokens.cells]
        return replace(self, tokens=Tokens(self.tokens.values[kept], self.tokens.cells[kept], self.tokens.grid))


@dataclass(frozen=True)
class EngineMatches:
    """Matches in the network's own pixel frame.

    Attributes:
        keypoints0: (N, 2) positions (x, y) in image 0, float32.
        keypoints1: (N, 2) positions in image 1.
        confidence: (N,) in [0, 1].
        scatter: (N,) pixels between a point and what was found for it alone; 0 where that is the point.
        support: (N,) how exactly the neighbours fix the point; 0 where none were asked.
        share: (N,) of them that agree; 0 likewise.
    """

    keypoints0: Tensor
    keypoints1: Tensor
    confidence: Tensor
    scatter: Tensor
    support: Tensor
    share: Tensor


class Engine:
    """A ``kornia.feature.LoFTR`` of any (8, 2) configuration with dual softmax, ready to run on one device."""

    def __init__(
        self, net: LoFTR, device: torch.device, precision: torch.dtype = torch.float32, config: MatchingConfig = KORNIA
    ) -> None:
        """Copy, fold and convert the backbone, and move the rest of the network to the device.

        Args:
            net: The network, in evaluation mode.
            device: Where to run.
            precision: Of the backbone. The transformers run in bfloat16 where it is a half (float16 has too small a
                range for sums over all cells), and the scores always in float32.
            config: How matches are read from the scores and the heatmaps.
        """
        architecture = net.config
        if tuple(architecture["resolution"]) != (8, 2) or architecture["match_coarse"]["match_type"] != "dual_softmax":
            raise ValueError("the engine runs LoFTRs of resolution (8, 2) with dual-softmax matching")
        if {architecture[stage]["attention"] for stage in ("coarse", "fine")} != {"linear"}:
            raise ValueError("the engine runs LoFTRs with linear attention")
        self.device = device
        self.precision = precision
        self.config = config
        self._border = int(architecture["match_coarse"]["border_rm"])
        self._scale = 1 / (architecture["coarse"]["d_model"] * architecture["match_coarse"]["dsmax_temperature"])
        self.bytes_per_pixel = _MAPS_ALIVE * int(architecture["resnetfpn"]["block_dims"][0]) * precision.itemsize // 4
        self._backbone = folded(net.backbone).to(device, precision, memory_format=torch.channels_last)
        self._position = net.pos_encoding.to(device)
        self._attention = torch.float32 if precision == torch.float32 else wide_half(device)
        coarse, *fine = (
            copy.deepcopy(part).to(device, self._attention)
            for part in (net.loftr_coarse, net.fine_preprocess, net.loftr_fine)
        )
        self._transformer = Transformer.of(coarse, SequenceLayer)
        self._fine = FineNetwork(*fine)

    @torch.inference_mode()
    def extract(self, image: Tensor, valid: Tensor | None = None) -> ImageFeatures:
        """Run the backbone on one image.

        Args:
            image: (H, W) grey, in [0, 1]; any size.
            valid: (H, W) bool; a coarse cell is valid where the pixel it sits on is. None: everywhere.

        Returns:
            The features.
        """
        net = self._backbone
        x = image.to(self.device, self.precision)[None, None].contiguous(memory_format=torch.channels_last)
        half = net.layer1(functional.relu_(net.conv1(x)))
        quarter = net.layer2(half)
        eighth = net.layer3_outconv(net.layer3(quarter))
        quarter = net.layer2_outconv(quarter).add_(upsampled(eighth, quarter))
        quarter = net.layer2_outconv2(quarter)
        encoded = self._position(eighth.float())[0]
        grid = (encoded.shape[1], encoded.shape[2])
        tokens = encoded.flatten(1).T
        if valid is None:
            cells = torch.arange(len(tokens), device=self.device)
        else:
            cells = valid[::CELL_PX, ::CELL_PX].to(self.device).flatten().nonzero()[:, 0]
        return ImageFeatures(Tokens(tokens[cells].contiguous(), cells, grid), half, quarter)

    @torch.inference_mode()
    def match(
        self, image0: ImageFeatures, image1: ImageFeatures, threshold: float, bands: Tensor | None = None
    ) -> EngineMatches:
        """Match two images by their features.

        Args:
            image0: Features of image 0, whose points lie on the grid of 8 px.
            image1: Features of image 1, whose points are refined.
            threshold: Keep matches with a confidence above this.
            bands: Where matches may lie, see :func:`s2match.loftr.coarse_matching.blocks_in_bands`; None: anywhere.

        Returns:
            The matches, in the order of the cells of image 0.
        """
        tokens0, tokens1 = self._transformed(image0.tokens, image1.tokens)
        alone = self.config.fine_iterations == 1
        # where neighbours are asked, even weak matches tell something
        coarse = self._coarse_matches(tokens0, tokens1, threshold if alone else MIN_THRESHOLD, bands)
        points1 = self._pixels(tokens1.cells[coarse.columns], tokens1.grid)
        found = FineQueries(
            tokens0.cells[coarse.rows],
            self._pixels(tokens0.cells[coarse.rows], tokens0.grid),
            coarse.confidence,
            tokens0.values[coarse.rows],
            tokens1.values[coarse.columns],
        )
        nothing = torch.zeros_like(coarse.confidence)
        if len(coarse.rows) == 0:
            return EngineMatches(found.points0, points1, coarse.confidence, nothing, nothing, nothing)
        fine = self._fine_stage(image0, image1, found)
        if alone:
            return EngineMatches(
                found.points0, fine.predict(points1).points, coarse.confidence, nothing, nothing, nothing
            )
        return self._agreed(fine, found, points1, tokens0.grid, threshold)

    def _agreed(
        self, fine: FineStage, found: FineQueries, points1: Tensor, grid: tuple[int, int], threshold: float
    ) -> EngineMatches:
        """Keep what the neighbours of each match support."""
        local_fit = fine.iterate(points1, grid, self.config.fine_iterations)
        confidence = found.confidence
        if self.config.calibration is not None:
            confidence = calibrated(local_fit, self.config.calibration)
        kept = is_kept(local_fit) & (confidence > threshold)
        points1 = found.points0 + local_fit.displacement
        return EngineMatches(
            found.points0[kept],
            points1[kept],
            confidence[kept],
            local_fit.scatter[kept],
            local_fit.support[kept],
            local_fit.share[kept],
        )

    def _transformed(self, tokens0: Tokens, tokens1: Tokens) -> tuple[Tokens, Tokens]:
        """The tokens of both images after they have attended to each other."""
        if len(tokens0.cells) == 0 or len(tokens1.cells) == 0:
            return tokens0, tokens1
        values = self._transformer(*(tokens.values.to(self._attention) for tokens in (tokens0, tokens1)))
        return replace(tokens0, values=values[0].float()), replace(tokens1, values=values[1].float())

    def _coarse_matches(
        self, tokens0: Tokens, tokens1: Tokens, threshold: float, bands: Tensor | None
    ) -> CoarseMatches:
        if len(tokens0.cells) == 0 or len(tokens1.cells) == 0:
            none = torch.empty(0, device=self.device)
            return CoarseMatches(none.long(), none.long(), none)
        compared = None if bands is None else blocks_in_bands(tokens0, tokens1, bands.to(self.device))
        if self.config.neighbourhood:
            found = neighbourhood_matches(tokens0, tokens1, self._scale, threshold, compared)
        else:
            found = dual_softmax_matches(tokens0.values, tokens1.values, self._scale, threshold, compared)
        inside = self._off_border(tokens0.cells[found.rows], tokens0.grid)
        return found.subset(inside & self._off_border(tokens1.cells[found.columns], tokens1.grid))

    def _off_border(self, cells: Tensor, grid: tuple[int, int]) -> Tensor:
        row, column, border = cells // grid[1], cells % grid[1], self._border
        inside = (row >= border) & (row < grid[0] - border)
        return inside & (column >= border) & (column < grid[1] - border)

    def _pixels(self, cells: Tensor, grid: tuple[int, int]) -> Tensor:
        return torch.stack([cells % grid[1], cells // grid[1]], dim=1).float() * CELL_PX

    def _window_cutter(self, image: ImageFeatures, count: int) -> Callable[[Tensor], Tensor]:
        """What cuts (N, 25, C) fine features around places: from the full map, or each by itself where they are few."""
        rows, columns = image.tokens.grid
        if self._border < 1 or count * _WINDOW_COST > rows * columns:
            fine = self._fine_map(image)
            return lambda places: windows(fine, places, radius=2).flatten(2).mT
        # a border of a cell keeps these windows, and all that their convolutions read, inside the image
        return lambda places: self._lone_windows(image, places)

    def _lone_windows(self, image: ImageFeatures, places: Tensor) -> Tensor:
        half = windows(image.half, places, radius=4)
        merged = self._backbone.layer1_outconv(half) + upsampled_windows(image.quarter, places)
        first, _, activation, second = self._backbone.layer1_outconv2
        merged = activation(functional.conv2d(merged, first.weight, first.bias))
        return functional.conv2d(merged, second.weight).flatten(2).mT

    def _fine_map(self, image: ImageFeatures) -> Tensor:
        merged = self._backbone.layer1_outconv(image.half).add_(upsampled(image.quarter, image.half))
        fine: Tensor = self._backbone.layer1_outconv2(merged)
        return fine

    def _fine_stage(self, image0: ImageFeatures, image1: ImageFeatures, found: FineQueries) -> FineStage:
        """The fine stage about some matches."""
        count = len(found.points0)
        cut0 = self._window_cutter(image0, count)
        prepared0 = self._fine.prepare_all(lambda points: cut0(_places(points)), found.points0, found.context0)
        if self.config.fine_iterations == 1:
            cut1 = self._window_cutter(image1, count)
            return FineStage(self._fine, prepared0, lambda points: cut1(_places(points)), found)
        # what is looked at several times, and between the samples, is worth the whole map
        fine1 = self._fine_map(image1)
        return FineStage(
            self._fine,
            prepared0,
            lambda points: windows_between(fine1, points.flip(1) / STRIDE_PX, radius=2).flatten(2).mT,
            found,
        )


def _places(points: Tensor) -> Tensor:
    """(N, 2) places (row, column) in the fine map, of points (N, 2), (x, y) in pixels, that lie on its samples."""
    return (points / STRIDE_PX).round().long().flip(1)
