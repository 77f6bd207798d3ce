"""Classical matchers, for comparison: what LoFTR must beat."""

import cv2
import numpy as np

from s2match.loftr import GreyImage, Matches, Origin

_FEATURES = 8000
_CONTRAST = 0.01
_RATIO = 0.8
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
