"""Threads of a command share one heap."""

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


def _heaps(first: str) -> int:
    """Number of heaps of the C library in a process that allocates in four threads, after a first statement."""
    script = _ALLOCATE_IN_THREADS.format(first=first)
    process = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return process.stderr.count("Arena ")


@pytest.mark.skipif(sys.platform != "linux", reason="the GNU C library counts its heaps")
def test_threads_allocate_from_one_heap() -> None:
    assert _heaps("") > 1
    assert _heaps("from s2match.util.allocator import share_one_heap; share_one_heap()") == 1
