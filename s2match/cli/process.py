"""The process of a command line: its standard streams, signals and end.

Imports nothing large: until :func:`run_and_exit` runs, Ctrl-C would end in a traceback.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from s2match.util.signals import end_at_once
from s2match.util.standard_streams import use_safe_streams

if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from types import TracebackType

# Set by the shell when it asks for completions.
_COMPLETION = "_ARGCOMPLETE"


def run_and_exit(command: Callable[[], int] | None = None) -> NoReturn:
    """Run the command line of the process and end the process.

    Args:
        command: Runs the command line and returns the exit code; None for :func:`s2match.cli.main.main`.
    """
    end_at_once()
    # the products are small, and OpenBLAS's threads spin from the import of NumPy on
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    use_safe_streams()
    sys.excepthook, sys.unraisablehook = _unless_printed_by_rasterio, _unless_garbled
    code = _code_of(_complete if _COMPLETION in os.environ else command or _main)
    # everything is written, and unloading PyTorch would take a third of a second
    os._exit(code)


def _code_of(command: Callable[[], int]) -> int:
    try:
        return command()
    except SystemExit as ended:
        # argparse printed help, or what is wrong
        return ended.code if isinstance(ended.code, int) else 0


def _main() -> int:
    from s2match.cli.main import main

    return main()


def _complete() -> int:
    from s2match.cli.completion import complete

    complete()
    return 0


def _unless_printed_by_rasterio(
    kind: type[BaseException], error: BaseException, traceback: "TracebackType | None"
) -> None:
    """Hide what rasterio prints, besides, of a message of GDAL that is not text: an error without a place."""
    if kind is not UnicodeDecodeError or traceback is not None:
        sys.__excepthook__(kind, error, traceback)


def _unless_garbled(raised: "UnraisableHookArgs") -> None:
    """Hide GDAL's messages about damaged files that are not text: an error follows."""
    if not isinstance(raised.exc_value, UnicodeDecodeError):
        sys.__unraisablehook__(raised)
