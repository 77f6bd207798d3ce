"""Limit the threads of BLAS and PyTorch while work lasts: BLAS one thread, OpenMP threads sleep beside other processes.

Threads that spin while they wait for each other occupy the core that another thread needs. On a machine with other load
the work then takes several times as long.
"""

import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from threadpoolctl import threadpool_limits

from s2match.util.containers import cpu_quota

# Elements of a tensor that PyTorch fills with all its threads.
_PARALLEL_ELEMENTS = 1 << 20
# Seconds between two checks of the machine's load.
_LOAD_INTERVAL_S = 0.05


@contextmanager
def limit_threads(most: int | None = None) -> Iterator[None]:
    """Limit the threads of BLAS and PyTorch within the block; also a decorator, ``@limit_threads()``.

    BLAS runs with one thread, since its products are small here. PyTorch runs with at most as many threads as there are
    processors, and they sleep instead of spinning while other processes run. PyTorch is limited only if it has been
    imported before the block. Blocks may be nested, and may overlap in several threads: the limits begin with the first
    block and end with the last.

    Args:
        most: Most threads of PyTorch and of OpenCV, for a process that shares its machine with others like it. Both are
            imported then. Blocks within this one never raise the number. None: by the number of processors.
    """
    limited = most is not None or "torch" in sys.modules
    with (
        _BLAS_LIMIT.applied(),
        _torch_limits(most) if limited else nullcontext(),
        nullcontext() if most is None else _opencv_limit(most),
    ):
        yield


@contextmanager
def torch_threads_apart() -> Iterator[tuple[int, Callable[[], None]]]:
    """PyTorch's number of threads, and a function that makes the thread that calls it run PyTorch by itself.

    So many threads may then work at once. Threads that begin within the block may run PyTorch by themselves, too. The
    thread of the block keeps its number, and so do threads that begin later.
    """
    import torch

    threads = torch.get_num_threads()
    try:
        yield threads, lambda: torch.set_num_threads(1)
    finally:
        torch.set_num_threads(threads)


def processors() -> int:
    """Number of processors that this process may use, by its affinity and the quota of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def pool_threads() -> int:
    """Number of threads for the pool of a library: 1 in a forked process, which does not have the pool's threads."""
    return 1 if _FORKED.is_set() else processors()


class _ProcessLimit:
    """A limit on the whole process: the first block to enter applies it, the last block to leave removes it.

    Args:
        apply: Applies the limit, sets the first event, waits for the second, and removes the limit.
    """

    def __init__(self, apply: Callable[[threading.Event, threading.Event], None]) -> None:
        self._apply, self._lock, self._blocks, self._ended = apply, threading.Lock(), 0, threading.Event()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Keep the limit applied within the block."""
        with self._lock:
            if self._blocks == 0:
                self._begin()
            self._blocks += 1
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if self._blocks == 0:
                    self._end()

    def _begin(self) -> None:
        """Apply the limit in a thread of its own."""
        # threadpoolctl lets only the thread that set a limit remove it
        begun, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(begun,), name="s2match-limit", daemon=True)
        self._thread.start()
        try:
            begun.wait()
        except BaseException:
            # interrupted by Ctrl-C: no block would remove the limit
            self._ended.set()
            raise

    def _run(self, begun: threading.Event) -> None:
        try:
            self._apply(begun, self._ended)
        finally:
            begun.set()

    def _end(self) -> None:
        """Remove the limit."""
        self._ended.set()
        self._thread.join()


def _one_blas_thread(begun: threading.Event, ended: threading.Event) -> None:
    """Limit BLAS to one thread until ``ended`` is set."""
    with threadpool_limits(1, user_api="blas"):
        begun.set()
        ended.wait()


def _sleeping_openmp_threads(begun: threading.Event, ended: threading.Event) -> None:
    """Keep GNU OpenMP's threads from spinning while other processes run, until ``ended`` is set.

    With more OpenMP threads in the process than processors, they spin 100 instead of 300000 times before they sleep
    (GOMP_SPINCOUNT in libgomp's manual). A thread that calls PyTorch gets an OpenMP team of its own, which raises the
    number above the processors', and which ends with the thread. On an idle machine spinning is faster, so no team is
    created there.
    """
    begun.set()
    # counted once, because a container's quota is read from several files
    allowed = processors()
    while not ended.wait(_LOAD_INTERVAL_S):
        if others_run(allowed):
            team = threading.Thread(target=_keep_openmp_team, args=(allowed, ended), name="s2match-openmp", daemon=True)
            team.start()
            team.join()


def _keep_openmp_team(allowed: int, ended: threading.Event) -> None:
    """Create an OpenMP team, and keep it while other processes run beside ``allowed`` threads."""
    import torch

    torch.empty(_PARALLEL_ELEMENTS).fill_(0.0)
    while others_run(allowed) and not ended.wait(5 * _LOAD_INTERVAL_S):
        pass


def others_run(allowed: int, root: Path = Path("/")) -> bool:
    """Whether the threads that are ready to run, without the calling one, outnumber the processors.

    The number is the fourth field of /proc/loadavg (proc(5)). It counts the whole machine, so in a container it can be
    too high.

    Args:
        allowed: Number of processors, by :func:`processors`.
        root: Root of the file system.

    Returns:
        The answer; True if the file does not exist, or counts no thread at all, as in some sandboxes.
    """
    try:
        running = int((root / "proc" / "loadavg").read_text().split()[3].partition("/")[0])
    except (OSError, IndexError, ValueError):
        return True
    # the calling thread runs, so a true number is at least 1
    return running < 1 or running - 1 > allowed


@contextmanager
def _opencv_limit(most: int) -> Iterator[None]:
    """Limit OpenCV's threads."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(min(threads, most))
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


@contextmanager
def _torch_limits(most: int | None) -> Iterator[None]:
    """Limit PyTorch's threads to the processors, and keep them from spinning while other processes run."""
    import torch

    threads, allowed = torch.get_num_threads(), processors() if most is None else min(processors(), most)
    if threads > allowed:
        torch.set_num_threads(allowed)
    try:
        with _OPENMP_LIMIT.applied():
            yield
    finally:
        if threads > allowed:
            torch.set_num_threads(threads)


# Set in a process that was forked from one that had imported this module.
_FORKED = threading.Event()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_FORKED.set)

# One instance per library, because a library's thread limit belongs to the process.
_BLAS_LIMIT, _OPENMP_LIMIT = _ProcessLimit(_one_blas_thread), _ProcessLimit(_sleeping_openmp_threads)
