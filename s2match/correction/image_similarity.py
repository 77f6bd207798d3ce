"""How alike two images of one place are, on the pixels that both show."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Structural similarity as its authors compute it: a Gaussian of 11 × 11 px, and two constants that keep flat ground
# from being divided by nothing, for values of 0 to 255.
_SIDE_PX, _SIGMA_PX = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

# Grey levels that are told apart for the mutual information.
_LEVELS = 64

# Pixels around a window that have a say in the similarity within it.
MARGIN_PX = _SIDE_PX // 2


@dataclass(frozen=True)
class SimilarityMetrics:
    """How alike two images are.

    Attributes:
        similarity: Mean structural similarity, -1 to 1; not a number without a common pixel.
        mutual_information: What the grey of one tells of the other's, bits; likewise.
    """

    similarity: float
    mutual_information: float


@dataclass(frozen=True)
class ImagePairs:
    """A part of two images, with a margin around it.

    Attributes:
        first: H×W grey values, 0 to 255.
        second: H×W likewise.
        common: H×W, where both show ground.
        core: Which rows and columns count; around them pixels only have a say.
    """

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    common: NDArray[np.bool_]
    core: tuple[slice, slice]


def similarity_metrics(parts: Iterable[ImagePairs]) -> SimilarityMetrics:
    """Measure two images part by part, in memory for one part."""
    total, count = 0.0, 0
    joint = np.zeros((_LEVELS, _LEVELS))
    for part in parts:
        counted = part.common[part.core]
        total += float(structural_similarity(part.first, part.second, part.common)[part.core][counted].sum())
        count += int(counted.sum())
        joint += _joint_histogram(part.first[part.core][counted], part.second[part.core][counted])
    if count == 0:
        return SimilarityMetrics(float("nan"), float("nan"))
    return SimilarityMetrics(total / count, _mutual_information(joint / count))


def structural_similarity(
    first: NDArray[np.float32], second: NDArray[np.float32], common: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """H×W structural similarity around each pixel, by the pixels that both images show alone.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
    TIP 2004; the Gaussian is normalised by the common pixels under it.

    Args:
        first: H×W grey values, 0 to 255.
        second: H×W likewise.
        common: H×W; the answer says nothing elsewhere.
    """
    weight = np.maximum(_blurred(common.astype(np.float64)), 1e-12)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(_blurred(np.where(common, values, 0.0)) / weight)

    one, two = first.astype(np.float64), second.astype(np.float64)
    mean1, mean2 = mean(one), mean(two)
    variance1, variance2 = mean(one**2) - mean1**2, mean(two**2) - mean2**2
    covariance = mean(one * two) - mean1 * mean2
    similarity_metrics = (2 * mean1 * mean2 + _C1) * (2 * covariance + _C2)
    return np.asarray(similarity_metrics / ((mean1**2 + mean2**2 + _C1) * (variance1 + variance2 + _C2)))


def _blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.GaussianBlur(values, (_SIDE_PX, _SIDE_PX), _SIGMA_PX, borderType=cv2.BORDER_CONSTANT))


def _joint_histogram(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    one, two = (np.clip(values * (_LEVELS / 256), 0, _LEVELS - 1).astype(np.intp) for values in (first, second))
    counts = np.bincount(one * _LEVELS + two, minlength=_LEVELS * _LEVELS)
    return counts.reshape(_LEVELS, _LEVELS).astype(np.float64)


def _mutual_information(joint: NDArray[np.float64]) -> float:
    """Bits of a joint distribution (Viola and Wells, "Alignment by maximization of mutual information", IJCV 1997)."""
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log2(joint[seen] / apart[seen])))
