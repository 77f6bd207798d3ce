"""Threads of the libraries that compute, limited while the work lasts, so that they do not wait by spinning."""

import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from threadpoolctl import threadpool_limits

from s2match.containers import cpu_quota

# More elements than PyTorch leaves to one thread.
_SPREAD = 1 << 20


@contextmanager
def share_processor() -> Iterator[None]:
    """Limit the threads of NumPy's BLAS and of PyTorch within the block; also a decorator, ``@share_processor()``.

    Threads that spin while they wait for each other take the core from the thread that they wait for wherever anything
    else runs, and the work takes several times as long. BLAS, whose products here are small, gets one thread. PyTorch
    keeps its threads, no more than there are processors, and they sleep when they wait. Blocks may lie in each other,
    and run in several threads at once: the first begins the limits, and the last ends them. PyTorch is limited where it
    has been imported before the block.
    """
    with _BLAS.held(), _torch_limits() if "torch" in sys.modules else nullcontext():
        yield


def processors() -> int:
    """Number of processors that this process may use, by its affinity and by the quota of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


class _Limit:
    """A limit of the whole process: the first that holds it begins it, and the last ends it."""

    def __init__(self, limit: Callable[[], AbstractContextManager[None]]) -> None:
        self._limit, self._lock, self._holders, self._ended = limit, threading.Lock(), 0, threading.Event()

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
            with self._limit():
                begun.set()
                self._ended.wait()
        finally:
            begun.set()

    def _end(self) -> None:
        self._ended.set()
        self._thread.join()


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    with threadpool_limits(1, user_api="blas"):
        yield


@contextmanager
def _more_openmp_threads() -> Iterator[None]:
    """Have more OpenMP threads than processors: GNU OpenMP then spins for a three-hundredth of the time.

    Its manual says so of GOMP_SPINCOUNT. The calling thread gets a group of threads of its own, which sleeps.
    """
    import torch

    torch.empty(_SPREAD).fill_(0.0)
    yield


@contextmanager
def _torch_limits() -> Iterator[None]:
    """Keep PyTorch's threads from spinning, and the calling thread from having more than there are processors."""
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
_BLAS, _OPENMP = _Limit(_one_blas_thread), _Limit(_more_openmp_threads)
