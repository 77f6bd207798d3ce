"""Classical matchers as baselines: SIFT and phase correlation."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

from s2match.core.matches import GreyImage, Matches, Provenance

_FEATURES = 8000
_CONTRAST = 0.01
_RATIO = 0.8

# Upsampling factors of the correlation peak: of the result, and of the first estimate.
_UPSAMPLING, _ROUGH_UPSAMPLING = 100, 2

# Largest difference, along each axis, between the shifts of the plain and of the phase-normalised correlation.
_AGREE_PX = 0.75

# Smallest share of valid pixels of a window.
_LEAST_VALID = 0.75

_ORIGIN = Provenance("OpenCV SIFT", "cpu", 1 - _RATIO)


def match_sift(image0: GreyImage, image1: GreyImage) -> Matches:
    """Match with OpenCV's SIFT and Lowe's ratio test (Lowe, "Distinctive Image Features", IJCV 2004).

    Args:
        image0: The reference.
        image1: The target.

    Returns:
        The matches in the GDAL frame; the confidence is 1 minus the ratio of the best to the second best distance.
    """
    # without the precise upscale, keypoints are off by a quarter of a pixel
    sift = cv2.SIFT.create(_FEATURES, contrastThreshold=_CONTRAST, enable_precise_upscale=True)
    detected = [
        sift.detectAndCompute(np.rint(image.grey * 255).astype(np.uint8), image.valid.astype(np.uint8))
        for image in (image0, image1)
    ]
    (points0, features0), (points1, features1) = detected
    if features0 is None or features1 is None or len(features1) < 2:
        return Matches(np.empty((0, 2)), np.empty((0, 2)), np.empty(0), _ORIGIN)
    pairs = [
        (best, best.distance / max(second.distance, 1e-9))
        for best, second in cv2.BFMatcher().knnMatch(features0, features1, k=2)
    ]
    kept = [(best, ratio) for best, ratio in pairs if ratio < _RATIO]
    # in OpenCV the centre of the first pixel is (0, 0)
    xy0 = np.array([points0[best.queryIdx].pt for best, _ in kept], float).reshape(-1, 2) + 0.5
    xy1 = np.array([points1[best.trainIdx].pt for best, _ in kept], float).reshape(-1, 2) + 0.5
    return Matches(xy0, xy1, 1 - np.array([ratio for _, ratio in kept], float), _ORIGIN)


def phase_shift(image0: GreyImage, image1: GreyImage) -> NDArray[np.float64]:
    """Shift between two images by scikit-image's phase correlation, to a hundredth of a pixel.

    Guizar-Sicairos, Thurman and Fienup, "Efficient subpixel image registration algorithms", Optics Letters 2008. The
    images get a Hann window, and nodata is set to the mean, so that neither edges nor nodata correlate. Phase
    normalisation finds the shift on more pairs of dates; the plain correlation is more exact where the two agree.

    Args:
        image0: The reference.
        image1: The target; its size may differ.

    Returns:
        (2,) shift (x, y) from a pixel of the reference to that of the target; 0 where an image has no valid pixel.
    """
    if not (image0.valid.any() and image1.valid.any()):
        return np.zeros(2)
    size = np.maximum(image0.grey.shape, image1.grey.shape)
    rough = _correlate(_tapered(image0, size), _tapered(image1, size), "phase", _ROUGH_UPSAMPLING)
    whole = np.rint(rough).astype(int)
    # both are tapered over the common ground, so that the window functions do not correlate
    common0, common1 = _overlap(image0, image1, whole)
    if not (common0.valid.any() and common1.valid.any()):
        return rough
    tapered0, tapered1 = (_tapered(image, np.array(common0.grey.shape)) for image in (common0, common1))
    exact = whole + _correlate(tapered0, tapered1, None, _UPSAMPLING)
    if np.abs(exact - rough).max() <= _AGREE_PX:
        return exact
    return np.asarray(whole + _correlate(tapered0, tapered1, "phase", _UPSAMPLING))


def _overlap(image0: GreyImage, image1: GreyImage, shift: NDArray[np.int64]) -> tuple[GreyImage, GreyImage]:
    """The common ground of two images, given a shift (x, y) of whole pixels from the first to the second."""
    begin0 = np.maximum(-shift, 0)
    size0, size1 = (np.array(image.grey.shape[::-1]) for image in (image0, image1))
    end0 = np.maximum(np.minimum(size0, size1 - shift), begin0)
    parts = []
    for image, (left, top), (right, bottom) in (
        (image0, begin0, end0),
        (image1, begin0 + shift, end0 + shift),
    ):
        part = np.s_[top:bottom, left:right]
        parts.append(GreyImage(image.grey[part], image.valid[part]))
    return parts[0], parts[1]


def _correlate(
    image0: NDArray[np.float64], image1: NDArray[np.float64], normalisation: str | None, upsampling: int
) -> NDArray[np.float64]:
    """(2,) shift (x, y) from one image to another, to a fraction of a pixel."""
    back, _, _ = phase_cross_correlation(image0, image1, upsample_factor=upsampling, normalization=normalisation)
    # scikit-image returns the shift (row, column) from the target back to the reference
    return -np.asarray(back[::-1], np.float64)


def match_phase(image0: GreyImage, image1: GreyImage, side_px: int = 128, step_px: int = 32) -> Matches:
    """Match a regular grid of points by phase correlation in windows around them.

    Args:
        image0: The reference.
        image1: The target, of the same size and off by a few pixels at most.
        side_px: Side of the windows.
        step_px: Distance between points.

    Returns:
        The matches in the GDAL frame, of windows with at least 75 % valid pixels in both images; the confidence is 1.
    """
    height, width = image0.grey.shape
    half = side_px // 2
    xy0, xy1 = [], []
    for y in range(half, height - half + 1, step_px):
        for x in range(half, width - half + 1, step_px):
            window = np.s_[y - half : y + half, x - half : x + half]
            window0, window1 = (GreyImage(image.grey[window], image.valid[window]) for image in (image0, image1))
            if min(window0.valid.mean(), window1.valid.mean()) > _LEAST_VALID:
                xy0.append((x, y))
                xy1.append((x, y) + phase_shift(window0, window1))
    points0, points1 = (np.array(points, float).reshape(-1, 2) for points in (xy0, xy1))
    return Matches(points0, points1, np.ones(len(points0)), Provenance("phase correlation", "cpu", 0.0))


def _tapered(image: GreyImage, size: NDArray[np.int64]) -> NDArray[np.float64]:
    """Image minus its mean, times a Hann window, padded with zeros to a size (height, width)."""
    height, width = image.grey.shape
    mean = image.grey[image.valid].mean() if image.valid.any() else 0.0
    centred = np.where(image.valid, image.grey - mean, 0)
    padding = [(0, int(most - side)) for most, side in zip(size, (height, width), strict=True)]
    return np.pad(centred * np.hanning(height)[:, None] * np.hanning(width), padding)
