"""Threads of the libraries that compute, limited while the work lasts, so that they do not wait by spinning."""

import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from threadpoolctl import threadpool_limits

from s2match.util.containers import cpu_quota

# More elements than PyTorch leaves to one thread.
_SPREAD = 1 << 20
# Seconds between two looks at the load of the machine.
_LOAD_INTERVAL_S = 0.05


@contextmanager
def limit_threads() -> Iterator[None]:
    """Limit the threads of NumPy's BLAS and of PyTorch within the block; also a decorator, ``@limit_threads()``.

    Threads that spin while they wait for each other take the core from the thread that they wait for wherever anything
    else runs, and the work takes several times as long. BLAS, whose products here are small, gets one thread. PyTorch
    keeps its threads, no more than there are processors, and while others run they sleep when they wait. Blocks may lie
    in each other, and run in several threads at once: the first begins the limits, and the last ends them. PyTorch is
    limited where it has been imported before the block.
    """
    with _BLAS.held(), _torch_limits() if "torch" in sys.modules else nullcontext():
        yield


def processors() -> int:
    """Number of processors that this process may use, by its affinity and by the quota of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


class _Limit:
    """A limit of the whole process: the first that holds it begins it, and the last ends it.

    Args:
        run: Limits the process until its second event is set, and sets its first once the limit holds.
    """

    def __init__(self, run: Callable[[threading.Event, threading.Event], None]) -> None:
        self._run_limit, self._lock, self._holders, self._ended = run, threading.Lock(), 0, threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            if self._holders == 0:
                self._begin()
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0:
                    self._end()

    def _begin(self) -> None:
        # a thread of its own: threadpoolctl lets the thread that set a limit end it, and no other
        begun, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(begun,), name="s2match-limit", daemon=True)
        self._thread.start()
        try:
            begun.wait()
        except BaseException:
            # interrupted: nobody would end the limit
            self._ended.set()
            raise

    def _run(self, begun: threading.Event) -> None:
        try:
            self._run_limit(begun, self._ended)
        finally:
            begun.set()

    def _end(self) -> None:
        self._ended.set()
        self._thread.join()


def _one_blas_thread(begun: threading.Event, ended: threading.Event) -> None:
    with threadpool_limits(1, user_api="blas"):
        begun.set()
        ended.wait()


def _sleep_beside_others(begun: threading.Event, ended: threading.Event) -> None:
    """Keep the threads of GNU OpenMP from spinning while other processes run.

    With more OpenMP threads in the process than processors they spin for a three-hundredth of the time (the manual's
    entry GOMP_SPINCOUNT). A thread that calls PyTorch gets a group of threads of its own, which makes them more, and
    which ends with it. On a quiet machine spinning is faster.
    """
    begun.set()
    while not ended.wait(_LOAD_INTERVAL_S):
        if others_run():
            group = threading.Thread(target=_hold_openmp_group, args=(ended,), name="s2match-openmp", daemon=True)
            group.start()
            group.join()


def _hold_openmp_group(ended: threading.Event) -> None:
    import torch

    torch.empty(_SPREAD).fill_(0.0)
    while others_run() and not ended.wait(5 * _LOAD_INTERVAL_S):
        pass


def others_run(root: Path = Path("/")) -> bool:
    """Whether more threads want to run than there are processors, the calling one not counted.

    True where the system does not tell. The count is the fourth field of /proc/loadavg (see proc(5)), of the
    whole machine: in a container that may use a part of it, the answer can be true without need.
    """
    try:
        running = int((root / "proc" / "loadavg").read_text().split()[3].partition("/")[0])
    except (OSError, IndexError, ValueError):
        return True
    return running - 1 > processors()


@contextmanager
def _torch_limits() -> Iterator[None]:
    """Keep PyTorch's threads from spinning beside others, and from being more than there are processors."""
    import torch

    threads, allowed = torch.get_num_threads(), processors()
    if threads > allowed:
        torch.set_num_threads(allowed)
    try:
        with _OPENMP.held():
            yield
    finally:
        if threads > allowed:
            torch.set_num_threads(threads)


# Limits are of the process, and so is who holds them.
_BLAS, _OPENMP = _Limit(_one_blas_thread), _Limit(_sleep_beside_others)
