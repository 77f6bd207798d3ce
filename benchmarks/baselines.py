"""Classical matchers, for comparison: what LoFTR must beat."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

from s2match.core.matches import GreyImage, Matches, Provenance

_FEATURES = 8000
_CONTRAST = 0.01
_RATIO = 0.8

# Parts of a pixel that phase correlation tells apart, exactly and roughly.
_UPSAMPLING, _ROUGHLY = 100, 2

# Shifts by the plain and by the normalised correlation that differ by less, along each axis, agree.
_AGREE_PX = 0.75

# Windows with less of their pixels valid are not correlated.
_LEAST_VALID = 0.75

_ORIGIN = Provenance("OpenCV SIFT", "cpu", 1 - _RATIO)


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
    """The shift from one image to another by scikit-image's phase correlation, to a hundredth of a pixel.

    Guizar-Sicairos, Thurman and Fienup, "Efficient subpixel image registration algorithms", Optics Letters 2008. Both
    images are faded out towards their edges, and nodata is set to the mean, so that neither is what correlates. The
    normalised correlation finds the shift on more pairs of dates; the plain one is more exact where it agrees.

    Args:
        image0: Reference.
        image1: Target; sizes may differ.

    Returns:
        (x, y): the target pixel of a reference pixel, minus the latter, both in the GDAL frame; 0 where an image shows
        nothing.
    """
    if not (image0.valid.any() and image1.valid.any()):
        return np.zeros(2)
    size = np.maximum(image0.grey.shape, image1.grey.shape)
    rough = _correlated(_faded(image0, size), _faded(image1, size), "phase", _ROUGHLY)
    whole = np.rint(rough).astype(int)
    # what both show is faded alike: the fading itself must not hold the two together
    common0, common1 = _overlap(image0, image1, whole)
    if not (common0.valid.any() and common1.valid.any()):
        return rough
    faded0, faded1 = (_faded(image, np.array(common0.grey.shape)) for image in (common0, common1))
    exact = whole + _correlated(faded0, faded1, None, _UPSAMPLING)
    if np.abs(exact - rough).max() <= _AGREE_PX:
        return exact
    return np.asarray(whole + _correlated(faded0, faded1, "phase", _UPSAMPLING))


def _overlap(image0: GreyImage, image1: GreyImage, shift: NDArray[np.int64]) -> tuple[GreyImage, GreyImage]:
    """The parts of two images that show the same ground, given whole pixels (x, y) from the first to the second."""
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


def _correlated(
    image0: NDArray[np.float64], image1: NDArray[np.float64], normalisation: str | None, upsampling: int
) -> NDArray[np.float64]:
    """The shift (x, y) from one image to another, to a fraction of a pixel."""
    back, _, _ = phase_cross_correlation(image0, image1, upsample_factor=upsampling, normalization=normalisation)
    # scikit-image tells what moves the target back onto the reference, (row, column)
    return -np.asarray(back[::-1], np.float64)


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
    return Matches(points0, points1, np.ones(len(points0)), Provenance("phase correlation", "cpu", 0.0))


def _faded(image: GreyImage, size: NDArray[np.int64]) -> NDArray[np.float64]:
    """The image without its mean under a Hann window, with zeros up to a size (height, width)."""
    height, width = image.grey.shape
    mean = image.grey[image.valid].mean() if image.valid.any() else 0.0
    centred = np.where(image.valid, image.grey - mean, 0)
    padding = [(0, int(most - side)) for most, side in zip(size, (height, width), strict=True)]
    return np.pad(centred * np.hanning(height)[:, None] * np.hanning(width), padding)
