"""Orientation features: gradient directions with doubled angle and equalised contrast.

Gradient directions are compared with their angle doubled, so that an edge still matches when its contrast is inverted,
as when a field turns from dark to bright. Fitch et al. ("Orientation Correlation", BMVC 2002) correlate directions with
their sign; angles are doubled as in structure tensors (Bigun and Granlund, ICCV 1987). Magnitudes are divided by their
local mean, so that the outlines of clouds and shadows weigh no more than those of fields.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, the usual name
from numpy.typing import NDArray
from torch import Tensor

from s2match.core.matches import GreyImage
from s2match.core.point_maps import PointMap, grid_points

# Standard deviation of the Gaussian blur before gradients are taken: single pixels are noise.
_BLUR_PX = 0.4

# Standard deviation of the Gaussian over which the magnitude of the gradient is averaged, and the magnitude below which
# contrast is not equalised: the steps of 8-bit numbers on flat ground.
_CONTRAST_PX, _LEAST_GRADIENT = 1.0, 1e-3

# Validity is eroded by this, because blur and differences extend over two pixels.
_SUPPORT_PX = 5

# Spacing at which a map of points is evaluated; it is interpolated bilinearly in between.
_STEP_PX = 8

# Keeps divisions finite.
_EPSILON = 1e-9


@dataclass(frozen=True)
class Orientations:
    """Orientation features of an image.

    Attributes:
        values: (2, H, W) cosine and sine of the doubled angle, times the equalised magnitude; 0 where not valid.
        valid: (H, W) 1 where the feature depends on valid pixels alone, else 0.
    """

    values: Tensor
    valid: Tensor


@dataclass(frozen=True)
class FinePixels:
    """An image prepared for :func:`warped`.

    Attributes:
        grey: (1, 1, 2H, 2W) blurred grey values at twice the resolution.
        valid: (1, 1, H, W) 1 where the blurred values depend on valid pixels alone, else 0.
    """

    grey: Tensor
    valid: Tensor


def orientations(image: GreyImage) -> Orientations:
    """Orientation features of an image at its own pixels."""
    return _features(torch.from_numpy(_blurred(image)), _eroded(image))


def fine_pixels(image: GreyImage) -> FinePixels:
    """Blur an image and double its resolution."""
    # bilinear samples at twice the resolution neither blur nor shift; cubic ones of torch and OpenCV do
    fine = cv2.resize(_blurred(image), None, fx=2, fy=2, interpolation=cv2.INTER_LANCZOS4)
    return FinePixels(torch.from_numpy(fine)[None, None], _eroded(image)[None, None])


def warped(target: FinePixels, map_points: PointMap, size: tuple[int, int], margin_px: int) -> Orientations:
    """Orientation features of a target, resampled once on the pixels of a reference.

    Args:
        target: The target.
        map_points: Reference pixels (x, y) to target pixels, GDAL frame; smooth.
        size: Width and height of the reference.
        margin_px: Pixels beyond each side of the reference that are resampled, too.
    """
    # differences need one more pixel on each side
    beyond = margin_px + 1
    columns, rows = (side + 2 * beyond for side in size)
    xs, ys = (np.arange(0, side + _STEP_PX, _STEP_PX) - beyond + 0.5 for side in (columns, rows))
    lattice = torch.from_numpy(map_points(grid_points(xs, ys))).view(1, len(ys), len(xs), 2).permute(0, 3, 1, 2)
    dense = tuple((len(along) - 1) * _STEP_PX + 1 for along in (ys, xs))
    xy = F.interpolate(lattice, dense, mode="bilinear", align_corners=True)[0, :, :rows, :columns]
    to_unit = 2 / torch.tensor(target.valid.shape[:1:-1])
    samples = (xy.permute(1, 2, 0) * to_unit - 1).float()[None]
    grey = F.grid_sample(target.grey, samples, "bilinear", "border", align_corners=False)[0, 0]
    valid = F.grid_sample(target.valid, samples, "nearest", "zeros", align_corners=False)[0, 0]
    features = _features(grey, valid)
    return Orientations(features.values[:, 1:-1, 1:-1], features.valid[1:-1, 1:-1])


def _features(grey: Tensor, valid: Tensor) -> Orientations:
    """Orientation features of grey values (H, W); the outermost pixels have none."""
    inside = valid.clone()
    inside[[0, -1]], inside[:, [0, -1]] = 0, 0
    across = F.pad(grey[1:-1, 2:] - grey[1:-1, :-2], (1, 1, 1, 1))
    down = F.pad(grey[2:, 1:-1] - grey[:-2, 1:-1], (1, 1, 1, 1))
    magnitude = torch.hypot(across, down) + _EPSILON
    # OpenCV's, which is many times faster than torch's
    mean = torch.from_numpy(
        cv2.GaussianBlur((magnitude * inside).numpy(), (0, 0), _CONTRAST_PX, borderType=cv2.BORDER_CONSTANT)
    )
    scale = inside / (magnitude * (mean + _LEAST_GRADIENT))
    return Orientations(torch.stack([(across**2 - down**2) * scale, 2 * across * down * scale]), inside)


def _blurred(image: GreyImage) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(image.grey, (0, 0), _BLUR_PX))


def _eroded(image: GreyImage) -> Tensor:
    """(H, W) validity, eroded by the support of the features."""
    return torch.from_numpy(cv2.erode(image.valid.astype(np.float32), np.ones((_SUPPORT_PX, _SUPPORT_PX), np.uint8)))
