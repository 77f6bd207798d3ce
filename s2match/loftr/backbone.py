"""LoFTR's backbone, with batch normalisation folded into its convolutions."""

import copy
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(backbone: nn.Module) -> Any:
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
        # new memory for a map takes ten times as long as the activation itself
        branch[2].inplace = True
    return net


def upsampled(features: Tensor, like: Tensor) -> Tensor:
    """Twice as large, bilinear with aligned corners, cut to the size of ``like``: as kornia's backbone does it."""
    large = functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=True)
    return large[..., : like.shape[2], : like.shape[3]]
