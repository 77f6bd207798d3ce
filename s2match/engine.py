"""kornia's LoFTR run faster: the same network and weights, the same matches, less time and memory.

What is done differently, and why it changes nothing but rounding:

- BatchNorm is folded into the convolutions before it, images pass in channels-last layout, and where the processor has
  the instructions the backbone runs in bfloat16.
- Cells that are not valid are left out of the transformer and of the scores instead of being masked: a masked cell adds
  nothing to an attention sum or a softmax.
- The dual softmax is taken block by block of rows. A confidence is the product of a softmax over its row and one over
  its column, neither above 1, so only entries whose row softmax exceeds the threshold can be matches: they are noted
  on the way, few for each row, and finished when the column sums are known. The score matrix never exists.
- Where few cells match, the fine feature map is computed in the windows around them only.
- The features of an image are computed once, whatever number of images it is matched with.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from kornia.feature import LoFTR
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Scores held at once, as float32: 16 MB stay in the cache of most processors.
_BLOCK_SCORES = 4_000_000

# Below this confidence every cell has a match and none means anything.
MIN_THRESHOLD = 0.01

# Half-resolution feature maps, as wide as the first, that are alive at once for every image.
_MAPS_ALIVE = 7

# Column sums below this lost digits to underflow and are taken again.
_SMALLEST_SUM = 1e-30

# Output cells of the two 3×3 convolutions in a window (7×7 and 5×5) against those of a coarse cell in the full map.
_WINDOW_COST = (7 * 7 + 5 * 5) / (4 * 4 + 4 * 4)


@dataclass(frozen=True)
class ImageFeatures:
    """What the backbone knows of one image, whatever it is matched with.

    Attributes:
        tokens: (L, C) float32 features of the valid coarse cells, position encoded.
        cells: (L,) index of each token's cell, row by row over the whole grid.
        grid: Rows and columns of the coarse grid.
        half: (1, C1, H/2, W/2) features the fine map is made of.
        quarter: (1, C2, H/4, W/4) features it is made of, likewise.
    """

    tokens: Tensor
    cells: Tensor
    grid: tuple[int, int]
    half: Tensor
    quarter: Tensor


@dataclass(frozen=True)
class EngineMatches:
    """Matches in the network's own pixel frame.

    Attributes:
        keypoints0: (N, 2) positions (x, y) in image 0, float32.
        keypoints1: (N, 2) positions in image 1.
        confidence: (N,) dual-softmax confidence.
    """

    keypoints0: Tensor
    keypoints1: Tensor
    confidence: Tensor


def best_precision(device: torch.device) -> torch.dtype:
    """The fastest that keeps the matches: half on CUDA, bfloat16 where the CPU multiplies it, else float32."""
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


class Engine:
    """A ``kornia.feature.LoFTR`` of any (8, 2) configuration with dual softmax, ready to run on one device."""

    def __init__(self, net: LoFTR, device: torch.device, precision: torch.dtype = torch.float32) -> None:
        """Copy, fold and convert the backbone, and move the rest of the network to the device.

        Args:
            net: The network, in evaluation mode.
            device: Where to run.
            precision: Of the backbone; the transformer and the scores stay float32 on the CPU.
        """
        config = net.config
        if tuple(config["resolution"]) != (8, 2) or config["match_coarse"]["match_type"] != "dual_softmax":
            raise ValueError("the engine runs LoFTRs of resolution (8, 2) with dual-softmax matching")
        self.device = device
        self.precision = precision
        self._stride = 8
        self._border = int(config["match_coarse"]["border_rm"])
        self._scale = 1 / (config["coarse"]["d_model"] * config["match_coarse"]["dsmax_temperature"])
        self.bytes_per_pixel = _MAPS_ALIVE * int(config["resnetfpn"]["block_dims"][0]) * precision.itemsize // 4
        self._backbone = _folded(net.backbone).to(device, precision, memory_format=torch.channels_last)
        self._position = net.pos_encoding.to(device)
        self._transformer = net.loftr_coarse.to(device)
        self._fine_preprocess = net.fine_preprocess.to(device)
        self._fine_transformer = net.loftr_fine.to(device)
        self._fine_matching = net.fine_matching

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
        quarter = net.layer2_outconv(quarter) + _upsampled(eighth, quarter)
        quarter = net.layer2_outconv2(quarter)
        encoded = self._position(eighth.float())[0]
        grid = (encoded.shape[1], encoded.shape[2])
        tokens = encoded.flatten(1).T
        if valid is None:
            cells = torch.arange(len(tokens), device=self.device)
        else:
            cells = valid[:: self._stride, :: self._stride].to(self.device).flatten().nonzero()[:, 0]
        return ImageFeatures(tokens[cells].contiguous(), cells, grid, half, quarter)

    @torch.inference_mode()
    def match(self, image0: ImageFeatures, image1: ImageFeatures, threshold: float) -> EngineMatches:
        """Match two images by their features.

        Args:
            image0: Features of image 0, whose points lie on the grid of 8 px.
            image1: Features of image 1, whose points are refined.
            threshold: Keep matches with a confidence above this.

        Returns:
            The matches, in the order of the cells of image 0.
        """
        if len(image0.tokens) == 0 or len(image1.tokens) == 0:
            none = torch.empty(0, 2, device=self.device)
            return EngineMatches(none, none, none[:, 0])
        tokens0, tokens1 = (t[0] for t in self._transformer(image0.tokens[None], image1.tokens[None]))
        rows, columns, confidence = dual_softmax_matches(tokens0, tokens1, self._scale, threshold)
        inside = self._off_border(image0.cells[rows], image0.grid) & self._off_border(
            image1.cells[columns], image1.grid
        )
        rows, columns, confidence = rows[inside], columns[inside], confidence[inside]
        points0 = self._pixels(image0.cells[rows], image0.grid)
        points1 = self._pixels(image1.cells[columns], image1.grid)
        if len(rows) == 0:
            return EngineMatches(points0, points1, confidence)
        windows0 = self._fine_windows(image0, image0.cells[rows])
        windows1 = self._fine_windows(image1, image1.cells[columns])
        return EngineMatches(
            points0, self._refined(windows0, windows1, tokens0[rows], tokens1[columns], points1), confidence
        )

    def _off_border(self, cells: Tensor, grid: tuple[int, int]) -> Tensor:
        row, column, border = cells // grid[1], cells % grid[1], self._border
        inside = (row >= border) & (row < grid[0] - border)
        return inside & (column >= border) & (column < grid[1] - border)

    def _pixels(self, cells: Tensor, grid: tuple[int, int]) -> Tensor:
        return torch.stack([cells % grid[1], cells // grid[1]], dim=1).float() * self._stride

    def _fine_windows(self, image: ImageFeatures, cells: Tensor) -> Tensor:
        """(N, 25, C) fine features of the 5×5 windows around coarse cells, from the full map or from windows alone."""
        if self._border < 2 or len(cells) * _WINDOW_COST > image.grid[0] * image.grid[1]:
            return _windows(self._fine_map(image), cells, image.grid[1], radius=2).flatten(2).mT.float()
        # a border of two cells keeps these windows, and all that their convolutions read, inside the image
        half = _windows(image.half, cells, image.grid[1], radius=4)
        merged = self._backbone.layer1_outconv(half) + _upsampled_windows(image.quarter, cells, image.grid[1])
        first, _, activation, second = self._backbone.layer1_outconv2
        merged = activation(functional.conv2d(merged, first.weight, first.bias))
        return functional.conv2d(merged, second.weight).flatten(2).mT.float()

    def _fine_map(self, image: ImageFeatures) -> Tensor:
        merged = self._backbone.layer1_outconv(image.half) + _upsampled(image.quarter, image.half)
        fine: Tensor = self._backbone.layer1_outconv2(merged)
        return fine

    def _refined(self, windows0: Tensor, windows1: Tensor, tokens0: Tensor, tokens1: Tensor, points1: Tensor) -> Tensor:
        """Points of image 1 moved to the expectation of the fine heatmap."""
        context = self._fine_preprocess.down_proj(torch.cat([tokens0, tokens1]))[:, None]
        windows = torch.cat([windows0, windows1])
        merged = self._fine_preprocess.merge_feat(torch.cat([windows, context.expand_as(windows)], dim=-1))
        fine0, fine1 = self._fine_transformer(*merged.chunk(2))
        data: dict[str, Any] = {"mkpts0_c": points1, "mkpts1_c": points1, "mconf": points1[:, 0], "stride_f": 2}
        self._fine_matching(fine0, fine1, data)
        refined: Tensor = data["mkpts1_f"]
        return refined


def dual_softmax_matches(
    tokens0: Tensor, tokens1: Tensor, scale: float, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Mutual best matches by dual softmax, without the score matrix.

    The confidence of a pair is the softmax of its score over the row times that over the column. A pair is a match when
    that exceeds the threshold and is the largest of its row and of its column.

    Args:
        tokens0: (L, C) float32 features, the rows.
        tokens1: (S, C) float32 features, the columns.
        scale: Scores are dot products times this.
        threshold: Least confidence; taken as :data:`MIN_THRESHOLD` where it is smaller.

    Returns:
        Rows (N,), in ascending order, columns (N,) and confidence (N,).
    """
    threshold = max(threshold, MIN_THRESHOLD)
    columns1 = (tokens1 * scale).T.contiguous()
    rows, columns, scores, row_shares = [], [], [], []
    column_sum, reference = torch.zeros(len(tokens1), device=tokens0.device), torch.tensor(-torch.inf)
    for start in range(0, len(tokens0), block := max(1, _BLOCK_SCORES // len(tokens1))):
        score = tokens0[start : start + block] @ columns1
        top = score.amax(1)
        weight = score.sub_(top[:, None]).exp_()
        row_sum = weight.sum(1)
        highest = torch.maximum(reference.to(top), top.max())
        column_sum.mul_((reference.to(top) - highest).exp()).add_((top - highest).exp() @ weight)
        reference = highest
        hopeful = (row_sum * threshold < 1).nonzero()[:, 0]
        found = (weight[hopeful] > row_sum[hopeful, None] * threshold).nonzero()
        row, column = hopeful[found[:, 0]], found[:, 1]
        rows.append(row + start)
        columns.append(column)
        scores.append(top[row] + weight[row, column].log())
        row_shares.append(weight[row, column] / row_sum[row])
    row, column, score = torch.cat(rows), torch.cat(columns), torch.cat(scores)
    column_log = _column_log_sums(tokens0, columns1, column_sum, reference, column)
    confidence = torch.cat(row_shares) * (score - column_log).exp()
    return _mutual(row, column, confidence, threshold, (len(tokens0), len(tokens1)))


def _column_log_sums(
    tokens0: Tensor, columns1: Tensor, column_sum: Tensor, reference: Tensor, column: Tensor
) -> Tensor:
    """(N,) logarithm of the sum over all rows of exp(score), for some columns."""
    logarithm = column_sum.log() + reference
    weak = column[column_sum[column] < _SMALLEST_SUM].unique()  # type: ignore[no-untyped-call]
    for start in range(0, len(weak), block := max(1, _BLOCK_SCORES // len(tokens0))):
        some = weak[start : start + block]
        logarithm[some] = torch.logsumexp(tokens0 @ columns1[:, some], 0)
    return logarithm[column]


def _mutual(
    row: Tensor, column: Tensor, confidence: Tensor, threshold: float, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Keep the candidates above the threshold that are the best of their row and of their column."""
    best_of_row = confidence.new_zeros(size[0]).scatter_reduce_(0, row, confidence, "amax")
    best_of_column = confidence.new_zeros(size[1]).scatter_reduce_(0, column, confidence, "amax")
    best = (confidence == best_of_row[row]) & (confidence == best_of_column[column]) & (confidence > threshold)
    return row[best], column[best], confidence[best]


def _folded(backbone: nn.Module) -> Any:
    """A copy of kornia's ResNetFPN_8_2 with every BatchNorm folded into the convolution before it."""
    net: Any = copy.deepcopy(backbone).eval()
    net.conv1, net.bn1 = fuse_conv_bn_eval(net.conv1, net.bn1), nn.Identity()
    for block in (*net.layer1, *net.layer2, *net.layer3):
        block.conv1, block.bn1 = fuse_conv_bn_eval(block.conv1, block.bn1), nn.Identity()
        block.conv2, block.bn2 = fuse_conv_bn_eval(block.conv2, block.bn2), nn.Identity()
        if block.downsample is not None:
            block.downsample[0], block.downsample[1] = fuse_conv_bn_eval(*block.downsample), nn.Identity()
    for branch in (net.layer2_outconv2, net.layer1_outconv2):
        branch[0], branch[1] = fuse_conv_bn_eval(branch[0], branch[1]), nn.Identity()
    return net


def _upsampled(features: Tensor, like: Tensor) -> Tensor:
    """Twice as large, bilinear with aligned corners, cut to the size of ``like``: as kornia's backbone does it."""
    large = functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=True)
    return large[..., : like.shape[2], : like.shape[3]]


def _offsets(cells: Tensor, columns: int, radius: int) -> tuple[Tensor, Tensor]:
    """Row and column indices, (N, 2r + 1) each, of the half-resolution cells around coarse cells."""
    around = torch.arange(-radius, radius + 1, device=cells.device)
    return (cells // columns)[:, None] * 4 + around, (cells % columns)[:, None] * 4 + around


def _windows(features: Tensor, cells: Tensor, columns: int, radius: int) -> Tensor:
    """(N, C, 2r + 1, 2r + 1) cuts of half-resolution features around coarse cells; zero beyond the edges."""
    row, column = _offsets(cells, columns, radius)
    height, width = features.shape[2:]
    pixels = features[0].permute(1, 2, 0)
    cut = pixels[row.clamp(0, height - 1)[:, :, None], column.clamp(0, width - 1)[:, None, :]]
    inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None, :]
    return (cut * inside[..., None]).permute(0, 3, 1, 2)


def _upsampled_windows(quarter: Tensor, cells: Tensor, columns: int) -> Tensor:
    """(N, C, 9, 9) cuts of what :func:`_upsampled` would give, around coarse cells away from the edges."""
    row, column = _offsets(cells, columns, radius=4)
    height, width = quarter.shape[2:]
    top, row_share = _split(row * ((height - 1) / (2 * height - 1)), height)
    left, column_share = _split(column * ((width - 1) / (2 * width - 1)), width)
    pixels = quarter[0].permute(1, 2, 0)
    row_share, column_share = row_share[:, :, None, None].to(pixels), column_share[:, None, :, None].to(pixels)
    upper, lower = (
        torch.lerp(pixels[r[:, :, None], left[:, None, :]], pixels[r[:, :, None], left[:, None, :] + 1], column_share)
        for r in (top, top + 1)
    )
    return torch.lerp(upper, lower, row_share).permute(0, 3, 1, 2)


def _split(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Index of the sample before each position, and the share of the sample after it."""
    index = position.floor().long().clamp(0, size - 2)
    return index, position - index
