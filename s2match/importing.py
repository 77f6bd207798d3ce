"""Importing large libraries."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
