"""LoFTR's ResNet-FPN backbone: feature maps at 1/8 and 1/2 of the image's resolution.

The same weights and results as kornia's ``ResNetFPN_8_2``, up to rounding. Every BatchNorm is folded into the
convolution before it, and the 1/2 map is computed on demand: whole, or in windows around a few points.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from s2match.loftr.feature_patches import bilinear_windows, upsampled_windows, windows
from s2match.loftr.heatmaps import STRIDE_PX, WINDOW

# Feature maps of the first stage's size that are alive at once for each image.
_MAPS_ALIVE = 7

# Work for one window relative to one coarse cell of the whole map: output samples of the two 3×3 convolutions, 7×7 and
# 5×5 against 4×4 each.
_WINDOW_COST = (7 * 7 + 5 * 5) / (4 * 4 + 4 * 4)

# Fine windows, (N, 25, C), around (N, 2) points (x, y) in pixels.
WindowCutter = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FinePyramid:
    """Inputs of the fine feature map; the map itself is computed by :meth:`Backbone.fine_map`.

    Attributes:
        half: (1, C1, H/2, W/2) features of the first stage.
        quarter: (1, C2, H/4, W/4) features of the second stage, merged with the coarse ones.
    """

    half: Tensor
    quarter: Tensor

    @property
    def nbytes(self) -> int:
        """Memory of both maps."""
        return self.half.nbytes + self.quarter.nbytes


class Backbone:
    """kornia's ``ResNetFPN_8_2`` with folded batch normalisation, on one device."""

    def __init__(self, backbone: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        """Copy and fold kornia's backbone.

        Args:
            backbone: The ``ResNetFPN_8_2``, in evaluation mode; it is not changed.
            device: Device to run on.
            dtype: Number format of weights and features.
        """
        self._net = _fold_batch_norm(backbone).to(device, dtype, memory_format=torch.channels_last)
        self._device, self._dtype = device, dtype
        self.bytes_per_pixel = _MAPS_ALIVE * int(self._net.layer1_outconv.in_channels) * dtype.itemsize // 4

    def __call__(self, image: Tensor) -> tuple[Tensor, FinePyramid]:
        """Coarse features (1, C, ⌈H/8⌉, ⌈W/8⌉) and the inputs of the fine ones, of an (H, W) image in [0, 1]."""
        net = self._net
        x = image.to(self._device, self._dtype)[None, None].contiguous(memory_format=torch.channels_last)
        half = _residual_blocks(net.layer1, functional.relu_(net.conv1(x)))
        quarter = _residual_blocks(net.layer2, half)
        coarse = net.layer3_outconv(_residual_blocks(net.layer3, quarter))
        quarter = net.layer2_outconv(quarter).add_(_upsample(coarse, quarter))
        return coarse, FinePyramid(half, net.layer2_outconv2(quarter))

    def fine_map(self, pyramid: FinePyramid) -> Tensor:
        """(1, C, ⌈H/2⌉, ⌈W/2⌉) fine features of a whole image."""
        merged = self._net.layer1_outconv(pyramid.half).add_(_upsample(pyramid.quarter, pyramid.half))
        fine: Tensor = self._net.layer1_outconv2(merged)
        return fine

    def grid_window_cutter(self, pyramid: FinePyramid, whole_map: bool) -> WindowCutter:
        """Cutter of fine windows around points on samples of the fine map.

        Args:
            pyramid: Inputs of the fine map.
            whole_map: Compute the whole map once, see :func:`whole_map_is_cheaper`. False: compute each window by
                itself; windows must then lie a coarse cell or more from the edges of the image.
        """
        if not whole_map:
            return lambda points: self._fine_windows(pyramid, _sample_indices(points))
        fine = self.fine_map(pyramid)
        return lambda points: windows(fine, _sample_indices(points), WINDOW // 2).flatten(2).mT

    def window_cutter(self, pyramid: FinePyramid) -> WindowCutter:
        """Cutter of fine windows around any points, interpolated between samples of the fine map."""
        fine = self.fine_map(pyramid)
        return lambda points: bilinear_windows(fine, points.flip(1) / STRIDE_PX, WINDOW // 2).flatten(2).mT

    def _fine_windows(self, pyramid: FinePyramid, centres: Tensor) -> Tensor:
        """(N, 25, C) fine features computed in windows around (N, 2) samples (row, column) only."""
        # two 3×3 convolutions without padding shrink 9×9 to 5×5
        half = windows(pyramid.half, centres, radius=4)
        merged = self._net.layer1_outconv(half) + upsampled_windows(pyramid.quarter, centres)
        first, _, activation, second = self._net.layer1_outconv2
        merged = activation(functional.conv2d(merged, first.weight, first.bias))
        return functional.conv2d(merged, second.weight).flatten(2).mT


def whole_map_is_cheaper(window_count: int, grid: tuple[int, int]) -> bool:
    """Whether the whole fine map takes less work than the windows alone.

    Args:
        window_count: Number of windows.
        grid: Rows and columns of the image's coarse grid.
    """
    return window_count * _WINDOW_COST > grid[0] * grid[1]


def _fold_batch_norm(backbone: nn.Module) -> Any:
    """Copy of kornia's ResNetFPN_8_2 with every BatchNorm folded into the convolution before it."""
    net: Any = copy.deepcopy(backbone).eval()
    net.conv1 = fuse_conv_bn_eval(net.conv1, net.bn1)
    for block in (*net.layer1, *net.layer2, *net.layer3):
        block.conv1 = fuse_conv_bn_eval(block.conv1, block.bn1)
        block.conv2 = fuse_conv_bn_eval(block.conv2, block.bn2)
        if block.downsample is not None:
            block.downsample[0], block.downsample[1] = fuse_conv_bn_eval(*block.downsample), nn.Identity()
    for branch in (net.layer2_outconv2, net.layer1_outconv2):
        branch[0], branch[1] = fuse_conv_bn_eval(branch[0], branch[1]), nn.Identity()
        # allocating a new map takes ten times as long as the activation itself
        branch[2].inplace = True
    return net


def _residual_blocks(blocks: Any, x: Tensor) -> Tensor:
    """Features after kornia's blocks; they add in place, because a new map takes four times as long as the sum."""
    for block in blocks:
        y = block.conv2(functional.relu_(block.conv1(x)))
        x = functional.relu_(y.add_(x if block.downsample is None else block.downsample(x)))
    return x


def _upsample(features: Tensor, like: Tensor) -> Tensor:
    """Features upsampled by two (bilinear, aligned corners), cropped to the size of ``like``."""
    large = functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=True)
    return large[..., : like.shape[2], : like.shape[3]]


def _sample_indices(points: Tensor) -> Tensor:
    """(N, 2) int64 (row, column) in the fine map of (N, 2) points (x, y) in pixels that lie on its samples."""
    return (points / STRIDE_PX).round().long().flip(1)
