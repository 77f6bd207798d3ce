"""Threads of a command share one heap, which keeps freed memory."""

import os
import platform
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
for _ in range(20):
    b"x" * ({megabytes} * 1_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - pages)
"""

_KEEP = "from s2match.util.allocator import keep_one_heap; keep_one_heap()"

_LIBRARY, _VERSION = platform.libc_ver()


def _ran(script: str) -> subprocess.CompletedProcess[str]:
    """A script run with the C library's own settings, whatever those of this process."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=variables)


def _heaps(first: str) -> int:
    """Number of heaps of the C library in a process that allocates in four threads, after a first statement."""
    return _ran(_ALLOCATE_IN_THREADS.format(first=first)).stderr.count("Arena ")


def _new_pages(first: str, megabytes: int) -> int:
    """Pages that a process takes to allocate and free a block twenty times, after a first statement."""
    return int(_ran(_ALLOCATE_AGAIN.format(first=first, megabytes=megabytes)).stdout)


@pytest.mark.skipif(_LIBRARY != "glibc", reason="the GNU C library counts its heaps")
def test_threads_allocate_from_one_heap() -> None:
    assert _heaps("") > 1
    assert _heaps(_KEEP) == 1


@pytest.mark.skipif(_LIBRARY != "glibc", reason="the GNU C library keeps memory")
def test_freed_memory_is_used_again_without_new_pages() -> None:
    """glibc before 2.35 takes no larger block than 32 MB from the heap, and keeps those without being told."""
    large = tuple(map(int, _VERSION.split("."))) >= (2, 35)
    kept = _new_pages(_KEEP, 100 if large else 20)
    assert kept < _new_pages("", 100) / 5
