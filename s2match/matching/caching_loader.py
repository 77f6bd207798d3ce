"""One matcher for many pairs, which keeps features of images within a bound of memory."""

import functools
import math
from collections.abc import Callable
from typing import Any

from s2match.core.image_size import ONE_PASS_PX, REDUCED_SIDE_PX
from s2match.matching.feature_cache import CachingMatcher
from s2match.matching.matcher import Matcher
from s2match.settings import Settings
from s2match.util.containers import available_memory

# Returns the matcher of settings, the same one for each task of a process.
LoadCachingMatcher = Callable[[Settings], CachingMatcher]

# Memory of a process with its libraries and weights, and of a pass for each pixel of both images. Measured: 0.35 GiB,
# and up to 0.6 GiB in a Dask worker after 12 pairs; 255 bytes at 1024 px, 194 at 1536 px.
_LOADED_BYTES, _BYTES_PER_PIXEL = 614 << 20, 256

# Fraction of the free memory that all processes together may use.
_MEMORY_FRACTION = 0.5


def caching_loader(create: Callable[[Settings], Matcher[Any]], memory_bytes: int) -> LoadCachingMatcher:
    """Function that returns the matcher of settings, and loads it once for all pairs of a process.

    Args:
        create: Loads a matcher.
        memory_bytes: Most memory of the process; see :func:`feature_bytes`.
    """

    @functools.cache
    def load(settings: Settings) -> CachingMatcher:
        matcher = create(settings)
        # on a GPU, its memory holds the features
        return CachingMatcher(matcher, min(feature_bytes(memory_bytes, settings), matcher.free_bytes // 2))

    return load


def feature_bytes(memory_bytes: int, settings: Settings) -> int:
    """Most memory of the features that a process keeps, beside what it needs to match a pair.

    Args:
        memory_bytes: Most memory of the process.
        settings: How pairs are matched. Without a size, an image may be as large as one pass can match.
    """
    size = settings.image_size or (ONE_PASS_PX, ONE_PASS_PX)
    if max(size) > ONE_PASS_PX:
        # windows, and the coarse pass that predicts their positions
        size = (REDUCED_SIDE_PX, REDUCED_SIDE_PX)
    return max(0, memory_bytes - _LOADED_BYTES - 2 * math.prod(size) * _BYTES_PER_PIXEL)


def memory_text(memory_bytes: int, settings: Settings) -> str:
    """Text of the memory that a process may use, and of the part of it for features."""
    features = feature_bytes(memory_bytes, settings)
    return f"up to {memory_bytes / 2**30:.1f} GB of memory, {features / 2**30:.1f} GB of it for features of images"


def default_memory(processes: int = 1) -> int:
    """Most memory of each of several processes in bytes: half of the free memory, shared by all."""
    return int(available_memory() * _MEMORY_FRACTION / processes)
