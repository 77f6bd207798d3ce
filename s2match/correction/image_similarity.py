"""Structural similarity and mutual information of images, on their common valid pixels."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Parameters of structural similarity by its authors, for values of 0 to 255: a Gaussian of 11 × 11 px, and two
# constants that avoid a division by zero on flat ground.
_SIDE_PX, _SIGMA_PX = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

# Bins of the grey levels for the mutual information.
_LEVELS = 64

# Radius of the Gaussian: pixels around a window that influence the similarity within it.
MARGIN_PX = _SIDE_PX // 2


@dataclass(frozen=True)
class SimilarityMetrics:
    """Similarity of two images.

    Attributes:
        similarity: Mean structural similarity, -1 to 1; NaN without a common pixel.
        mutual_information: Mutual information of the grey levels, bits; NaN without a common pixel.
    """

    similarity: float
    mutual_information: float


@dataclass(frozen=True)
class ImageParts:
    """Corresponding parts of a reference and of images to compare with it, with a margin around them.

    Attributes:
        reference: H×W grey values, 0 to 255.
        others: H×W grey values of each image to compare, 0 to 255.
        common: H×W bool, where all are valid.
        core: Rows and columns without the margin: those that are measured.
    """

    reference: NDArray[np.float32]
    others: tuple[NDArray[np.float32], ...]
    common: NDArray[np.bool_]
    core: tuple[slice, slice]


class _Sums:
    """Sums over the parts of two images that give their similarity."""

    def __init__(self) -> None:
        self._similarity, self._count = 0.0, 0
        self._joint = np.zeros((_LEVELS, _LEVELS))

    def add(self, part: ImageParts, other: NDArray[np.float32]) -> None:
        """Add the core of a part."""
        core, valid = part.core, part.common[part.core]
        self._similarity += float(structural_similarity(part.reference, other, part.common)[core][valid].sum())
        self._count += int(valid.sum())
        self._joint += _joint_histogram(part.reference[core][valid], other[core][valid])

    def metrics(self) -> SimilarityMetrics:
        """The similarity of all parts added."""
        if self._count == 0:
            return SimilarityMetrics(float("nan"), float("nan"))
        return SimilarityMetrics(self._similarity / self._count, _mutual_information(self._joint / self._count))


def similarities(parts: Iterable[ImageParts]) -> tuple[SimilarityMetrics, ...]:
    """Similarity of each of ``others`` with the reference, computed part by part with the memory of one part.

    Args:
        parts: At least one part; all have the same number of ``others``.
    """
    sums: dict[int, _Sums] = {}
    for part in parts:
        for index, other in enumerate(part.others):
            sums.setdefault(index, _Sums()).add(part, other)
    return tuple(each.metrics() for each in sums.values())


def structural_similarity(
    first: NDArray[np.float32], second: NDArray[np.float32], common: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """H×W structural similarity around each pixel, by the common valid pixels alone.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
    TIP 2004. The Gaussian is normalised by the common pixels under it.

    Args:
        first: H×W grey values, 0 to 255.
        second: H×W grey values, 0 to 255.
        common: H×W bool, where both are valid; elsewhere the similarity has no meaning.
    """
    weight = np.maximum(_blur(common.astype(np.float64)), 1e-12)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(_blur(np.where(common, values, 0.0)) / weight)

    one, two = first.astype(np.float64), second.astype(np.float64)
    mean1, mean2 = mean(one), mean(two)
    variance1, variance2 = mean(one**2) - mean1**2, mean(two**2) - mean2**2
    covariance = mean(one * two) - mean1 * mean2
    numerator = (2 * mean1 * mean2 + _C1) * (2 * covariance + _C2)
    return np.asarray(numerator / ((mean1**2 + mean2**2 + _C1) * (variance1 + variance2 + _C2)))


def _blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """H×W values convolved with a Gaussian; beyond the edges values are 0."""
    return np.asarray(cv2.GaussianBlur(values, (_SIDE_PX, _SIDE_PX), _SIGMA_PX, borderType=cv2.BORDER_CONSTANT))


def _joint_histogram(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Joint histogram of the grey levels, (N,) values each, of two images."""
    one, two = (np.clip(values * (_LEVELS / 256), 0, _LEVELS - 1).astype(np.intp) for values in (first, second))
    counts = np.bincount(one * _LEVELS + two, minlength=_LEVELS * _LEVELS)
    return counts.reshape(_LEVELS, _LEVELS).astype(np.float64)


def _mutual_information(joint: NDArray[np.float64]) -> float:
    """Bits of a joint distribution (Viola and Wells, "Alignment by maximization of mutual information", IJCV 1997)."""
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    positive = joint > 0
    return float(np.sum(joint[positive] * np.log2(joint[positive] / independent[positive])))
