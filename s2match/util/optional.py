"""Importing large libraries, and optional ones."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from s2match.errors import MissingExtraError


def extra(name: str, purpose: str, requirements: str) -> Any:
    """A library that not everybody has installed.

    Args:
        name: Of its module.
        purpose: What needs it, for people, in the plural.
        requirements: The file that lists it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"{purpose} need {name}: pip install -r {requirements}.") from error


@contextmanager
def no_garbage() -> Iterator[None]:
    """Import without looking for garbage, then or later, in what is imported.

    There is none: modules stay. Looking through PyTorch's hundreds of thousands of objects, some times on the way and
    again when the process ends, takes half as long as the import itself. What else is there at the end of the block
    is kept for good, too: this is for the beginning of a process.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
