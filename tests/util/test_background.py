"""Functions in background threads."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from s2match.util.background import results_in_order


def test_results_have_the_order_of_their_functions() -> None:
    """Also if the first takes longest."""

    def wait(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    seconds = [0.05, 0.0, 0.02, 0.01]
    assert list(results_in_order([partial(wait, each) for each in seconds], 2)) == seconds


def test_few_functions_are_drawn_ahead() -> None:
    """Their results are in memory."""
    drawn: list[int] = []

    def functions() -> Iterator[Callable[[], int]]:
        for k in range(9):
            drawn.append(k)
            yield partial(int, k)

    results = results_in_order(functions(), 2)
    assert next(results) == 0 and drawn == [0, 1, 2]
    assert next(results) == 1 and drawn == [0, 1, 2, 3]


def test_an_error_reaches_the_caller() -> None:
    """In the place of its result."""

    def fail() -> int:
        raise ValueError("third")

    results = results_in_order([lambda: 1, lambda: 2, fail, lambda: 4], 2)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(results)


def test_each_thread_begins_once() -> None:
    begun: list[int] = []
    results = results_in_order([threading.get_ident] * 20, 2, lambda: begun.append(threading.get_ident()))
    assert set(results) <= set(begun) and 1 <= len(begun) == len(set(begun)) <= 2
