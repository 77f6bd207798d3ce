"""Work that goes on beside other work."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


@contextmanager
def run_in_background(work: Callable[[], Result]) -> Iterator[Future[Result]]:
    """Begin work in a thread, to be asked for its result within the block, or for the error it met.

    Who leaves the block early, by an error or by Ctrl-C, does not wait for it; only the end of the process does.
    """
    pool = ThreadPoolExecutor(1)
    try:
        yield pool.submit(work)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
