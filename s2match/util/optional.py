"""Import optional libraries, and large ones without garbage collection."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from s2match.errors import MissingExtraError


def import_optional(name: str, purpose: str, requirements: str) -> Any:
    """Import a module that an optional requirements file installs.

    Args:
        name: Name of the module.
        purpose: The features that need it: a plural noun, the subject of the error message.
        requirements: The requirements file that lists it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"{purpose} need {name}: pip install -r {requirements}.") from error


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Import within the block without garbage collection, and exclude the imported objects from later collections.

    Modules are never garbage. Traversing PyTorch's hundreds of thousands of objects, repeatedly during the import and
    again at exit, takes half as long as the import itself. All objects alive at the end of the block are excluded
    (``gc.freeze``), so this belongs at the start of a process.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
