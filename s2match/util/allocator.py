"""The allocator of the C library."""

import ctypes
import sys

# Parameters of glibc's malloc.h, see mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8

# Blocks up to this size come from the heap, and free memory up to this size stays at its end.
_KEPT_BYTES = 256 * 2**20

# The largest block that glibc before version 2.35 takes from the heap.
_KEPT_BYTES_OLD_GLIBC = 32 * 2**20


def keep_one_heap() -> None:
    """Let all threads of the process allocate from one heap, which keeps freed memory for what is allocated next.

    With a heap for each thread, memory that threads have freed stays with them: a fifth of the peak of a correction.
    Where freed blocks return to the system, each layer of the network waits for new pages: a fifth of its time in
    float32. Threads that have begun before keep their heaps. Other C libraries than GNU's have no such settings.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_ARENA_MAX, 1)
    # a limit for freed memory alone would return every large block
    if mallopt(_MMAP_THRESHOLD, _KEPT_BYTES) or mallopt(_MMAP_THRESHOLD, _KEPT_BYTES_OLD_GLIBC):
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
