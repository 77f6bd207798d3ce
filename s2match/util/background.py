"""Run functions in background threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TypeVar

Item = TypeVar("Item")
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


@contextmanager
def computed_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], within: AbstractContextManager[None]
) -> Iterator[Iterator[Result]]:
    """Iterator over the results of a function, in order; one more is computed in a thread while one is used.

    Args:
        function: Function of an item. Its error is raised in place of its result.
        items: The items.
        within: Context of all calls, entered and left in their thread.
    """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(within.__enter__).result()
        try:
            yield _in_order(pool, (partial(function, item) for item in items), ahead=1)
        finally:
            pool.submit(within.__exit__, None, None, None).result()


def results_in_order(
    functions: Iterable[Callable[[], Result]], threads: int, begin: Callable[[], None] | None = None
) -> Iterator[Result]:
    """Results of functions, in their order, computed in threads while the caller draws the next functions.

    Args:
        functions: Functions without arguments; they are drawn in the thread of the caller.
        threads: Number of threads; so many results, and one more, exist at a time.
        begin: Called once in each thread before its first function.
    """
    with ThreadPoolExecutor(threads, initializer=begin) as pool:
        yield from _in_order(pool, functions, threads)


def _in_order(pool: ThreadPoolExecutor, functions: Iterable[Callable[[], Result]], ahead: int) -> Iterator[Result]:
    """Results of functions in their order, with so many more that are computed while one is used."""
    computed: deque[Future[Result]] = deque()
    try:
        for function in functions:
            computed.append(pool.submit(function))
            if len(computed) > ahead:
                yield computed.popleft().result()
        while computed:
            yield computed.popleft().result()
    finally:
        for future in computed:
            future.cancel()
