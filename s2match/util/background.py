"""Run a function in a background thread."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


@contextmanager
def run_in_background(function: Callable[[], Result]) -> Iterator[Future[Result]]:
    """Run a function in a thread while the block runs; ``future.result()`` gives its result or raises its error.

    Leaving the block does not wait for the function, so that an error or Ctrl-C is reported at once. Only the end of
    the process waits for it.

    Args:
        function: Function without arguments.
    """
    pool = ThreadPoolExecutor(1)
    try:
        yield pool.submit(function)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
