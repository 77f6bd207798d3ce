"""Classical matchers, for comparison: what LoFTR must beat."""

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.matches import GreyImage, Matches, Origin

_FEATURES = 8000
_CONTRAST = 0.01
_RATIO = 0.8

# Windows with less of their pixels valid are not correlated.
_LEAST_VALID = 0.75

_ORIGIN = Origin("OpenCV SIFT", "cpu", 1 - _RATIO)


def match_sift(image0: GreyImage, image1: GreyImage) -> Matches:
    """Match with OpenCV's SIFT and Lowe's ratio test (Lowe, "Distinctive Image Features", IJCV 2004).

    Args:
        image0: Reference.
        image1: Target.

    Returns:
        The matches, GDAL frame; the confidence is 1 minus the ratio of the best to the second best distance.
    """
    # without the precise upscale OpenCV's points lie a quarter of a pixel off
    sift = cv2.SIFT.create(_FEATURES, contrastThreshold=_CONTRAST, enable_precise_upscale=True)
    found = [
        sift.detectAndCompute(np.rint(image.grey * 255).astype(np.uint8), image.valid.astype(np.uint8))
        for image in (image0, image1)
    ]
    (points0, features0), (points1, features1) = found
    if features0 is None or features1 is None or len(features1) < 2:
        return Matches(np.empty((0, 2)), np.empty((0, 2)), np.empty(0), _ORIGIN)
    pairs = [
        (best, best.distance / max(second.distance, 1e-9))
        for best, second in cv2.BFMatcher().knnMatch(features0, features1, k=2)
    ]
    kept = [(best, ratio) for best, ratio in pairs if ratio < _RATIO]
    # OpenCV puts pixel centres at integers
    xy0 = np.array([points0[best.queryIdx].pt for best, _ in kept], float).reshape(-1, 2) + 0.5
    xy1 = np.array([points1[best.trainIdx].pt for best, _ in kept], float).reshape(-1, 2) + 0.5
    return Matches(xy0, xy1, 1 - np.array([ratio for _, ratio in kept], float), _ORIGIN)


def phase_shift(image0: GreyImage, image1: GreyImage) -> NDArray[np.float64]:
    """The shift from one image to another by phase correlation, to a fraction of a pixel.

    Kuglin and Hines, "The Phase Correlation Image Alignment Method", 1975. Both images are faded out towards their
    edges, and nodata is set to the mean, so that neither is what correlates.

    Args:
        image0: Reference.
        image1: Target; sizes may differ.

    Returns:
        (x, y): the target pixel of a reference pixel, minus the latter, both in the GDAL frame.
    """
    size = np.maximum(image0.grey.shape, image1.grey.shape)
    spectrum0, spectrum1 = (np.fft.rfft2(_faded(image), s=tuple(size)) for image in (image0, image1))
    cross = spectrum1 * spectrum0.conj()
    surface = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-12), s=tuple(size))
    peak = np.array(np.unravel_index(surface.argmax(), surface.shape))
    shift = [peak[axis] + _fraction(surface, peak, axis) for axis in (1, 0)]
    extent = size[::-1]
    return np.asarray((np.array(shift) + extent / 2) % extent - extent / 2)


def match_phase(image0: GreyImage, image1: GreyImage, side_px: int = 128, step_px: int = 32) -> Matches:
    """Find a regular grid of points by phase correlation in the windows around them, as correlation software does.

    Args:
        image0: Reference.
        image1: Target, of the same size and on the same grid but for a few pixels.
        side_px: Side of the windows.
        step_px: Between points.

    Returns:
        The matches of windows that are valid in most of both images, GDAL frame; the confidence says nothing.
    """
    height, width = image0.grey.shape
    half = side_px // 2
    xy0, xy1 = [], []
    for y in range(half, height - half + 1, step_px):
        for x in range(half, width - half + 1, step_px):
            part = np.s_[y - half : y + half, x - half : x + half]
            cut0, cut1 = (GreyImage(image.grey[part], image.valid[part]) for image in (image0, image1))
            if min(cut0.valid.mean(), cut1.valid.mean()) > _LEAST_VALID:
                xy0.append((x, y))
                xy1.append((x, y) + phase_shift(cut0, cut1))
    points0, points1 = (np.array(points, float).reshape(-1, 2) for points in (xy0, xy1))
    return Matches(points0, points1, np.ones(len(points0)), Origin("phase correlation", "cpu", 0.0))


def _faded(image: GreyImage) -> NDArray[np.float64]:
    height, width = image.grey.shape
    mean = image.grey[image.valid].mean() if image.valid.any() else 0.0
    centred = np.where(image.valid, image.grey - mean, 0)
    return np.asarray(centred * np.hanning(height)[:, None] * np.hanning(width))


def _fraction(surface: NDArray[np.float64], peak: NDArray[np.int64], axis: int) -> float:
    """How far the true peak lies from the largest sample along an axis.

    Foroosh et al., "Extension of Phase Correlation to Subpixel Registration", IEEE TIP 2002: a shift by a fraction
    spreads the peak over two samples in proportion.
    """
    step = np.eye(2, dtype=int)[axis]
    top = surface[tuple(peak)]
    before, after = (max(0.0, surface[tuple((peak + k * step) % surface.shape)]) for k in (-1, 1))
    side = max(before, after)
    return float(np.copysign(side / (side + top), after - before))
