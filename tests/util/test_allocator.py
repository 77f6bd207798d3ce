"""Threads of a command share one heap, which keeps freed memory."""

import mmap
import subprocess
import sys

import pytest

_ALLOCATE_IN_THREADS = """
import ctypes, threading
{first}
together = threading.Barrier(4)
def allocate():
    blocks = [bytearray(60_000) for _ in range(50)]
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ctypes.CDLL(None).malloc_stats()
"""

_ALLOCATE_AGAIN = """
import resource
{first}
pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({times}):
    b"x" * ({megabytes} * 1_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - pages)
"""

_KEEP = "from s2match.util.allocator import keep_one_heap; keep_one_heap()"


def _new_pages(first: str, megabytes: int, times: int) -> int:
    """Pages that the system gives to a process that allocates and frees a block, after a first statement."""
    script = _ALLOCATE_AGAIN.format(first=first, megabytes=megabytes, times=times)
    return int(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)


def _heaps(first: str) -> int:
    """Number of heaps of the C library in a process that allocates in four threads, after a first statement."""
    script = _ALLOCATE_IN_THREADS.format(first=first)
    process = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return process.stderr.count("Arena ")


@pytest.mark.skipif(sys.platform != "linux", reason="the GNU C library counts its heaps")
def test_threads_allocate_from_one_heap() -> None:
    assert _heaps("") > 1
    assert _heaps(_KEEP) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the GNU C library keeps memory")
def test_freed_memory_is_used_again_without_new_pages() -> None:
    megabytes, times = 100, 20
    pages = megabytes * 1_000_000 / mmap.PAGESIZE
    assert _new_pages("", megabytes, times) > times / 2 * pages
    assert _new_pages(_KEEP, megabytes, times) < 2 * pages
