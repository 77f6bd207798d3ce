"""Positions of the samples of a file's overviews."""

from enum import StrEnum


class OverviewSampling(StrEnum):
    """Where in its block of pixels of the file a sample of an overview lies.

    Attributes:
        CENTRED: In the middle: means, and bilinear, cubic and Lanczos kernels.
        FIRST: At the centre of the first pixel: the low-pass band of JPEG 2000 (ISO/IEC 15444-1, annex F).
        NEAREST: There, too, without a filter: details below the size of a block are aliased.
        UNKNOWN: At another position. The overviews are not used.
    """

    CENTRED = "centred"
    FIRST = "first"
    NEAREST = "nearest"
    UNKNOWN = "unknown"
