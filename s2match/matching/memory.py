"""Check that the features of images fit into the memory of the device."""

import logging
import math
from typing import Any

from s2match.errors import ImageSizeError
from s2match.matching.matcher import Matcher

_LOG = logging.getLogger(__name__)


def check_memory(matcher: Matcher[Any], size0: tuple[int, int], size1: tuple[int, int]) -> None:
    """Refuse a pair whose features do not fit into the memory of the device.

    Args:
        matcher: The matcher that knows its memory.
        size0: Width and height of the reference.
        size1: Width and height of the target.

    Raises:
        ImageSizeError: They do not fit; the message gives the memory that is needed.
    """
    needed = _shortage(matcher, (size0, size1))
    if needed is not None:
        raise ImageSizeError(
            f"Image size {size0[0]} {size0[1]} is too large: matching it in one pass needs {needed}: use a smaller "
            "size, or native, which is matched in windows."
        )


def check_window_memory(matcher: Matcher[Any], sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Refuse a window pair whose features do not fit into the memory of the device.

    Args:
        matcher: The matcher that knows its memory.
        sizes: Width and height of the window of the reference and of that of the target.

    Raises:
        ImageSizeError: They do not fit; the message gives the memory that is needed.
    """
    needed = _shortage(matcher, sizes)
    if needed is not None:
        (width0, height0), (width1, height1) = sizes
        raise ImageSizeError(
            f"A window of {width0} x {height0} px, sought in {width1} x {height1} px, is too large: it needs {needed}: "
            "use a smaller search radius or size, or a coverage below 1, which makes windows small."
        )


def _shortage(matcher: Matcher[Any], sizes: tuple[tuple[int, int], tuple[int, int]]) -> str | None:
    """Text of the memory that images of these sizes need and that is free; None if it is enough."""
    needed = matcher.bytes_per_pixel * sum(map(math.prod, sizes))
    free = matcher.free_bytes
    _LOG.debug("about %.2f GB of memory needed, %.2f GB free", needed / 2**30, free / 2**30)
    if needed <= free:
        return None
    return f"about {needed / 2**30:.1f} GB of memory, and {free / 2**30:.1f} GB are free"
