"""Refuse images whose features do not fit the memory of the device."""

import math

from s2match.errors import ImageSizeError
from s2match.matching.matcher import Matcher


def check_memory(matcher: Matcher, size0: tuple[int, int], size1: tuple[int, int]) -> None:
    """Refuse a pair whose features do not fit the memory of the device.

    Raises:
        ImageSizeError: They do not; the message says how much is needed.
    """
    needed = _memory(matcher, (size0, size1))
    if needed is not None:
        raise ImageSizeError(
            f"Image size {size0[0]} {size0[1]} is too large: matching it in one pass needs {needed}: use a smaller "
            "size, or native, which is matched in windows."
        )


def check_window_memory(matcher: Matcher, sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Refuse windows, of the reference and of the target, whose features do not fit the memory of the device.

    Raises:
        ImageSizeError: They do not; the message says how much is needed.
    """
    needed = _memory(matcher, sizes)
    if needed is not None:
        (width0, height0), (width1, height1) = sizes
        raise ImageSizeError(
            f"A window of {width0} x {height0} px, sought in {width1} x {height1} px, is too large: it needs {needed}: "
            "use a smaller search radius or size, or a coverage below 1, which makes windows small."
        )


def _memory(matcher: Matcher, sizes: tuple[tuple[int, int], tuple[int, int]]) -> str | None:
    """What memory images of some sizes need and how much is free; None where that is enough."""
    needed = matcher.bytes_per_pixel * sum(map(math.prod, sizes))
    free = matcher.free_bytes
    if needed <= free:
        return None
    return f"about {needed / 2**30:.1f} GB of memory, and {free / 2**30:.1f} GB are free"
