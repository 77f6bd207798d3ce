"""Signals that end a process: at once while it only imports, and with its temporary files removed later on."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

# SIGHUP, of a terminal that closes, is unknown to Windows.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

# Dispositions of a process that has been told nothing else: nohup, and shells for commands in the background, have told
# it to ignore some.
_UNCHANGED = (signal.SIG_DFL, signal.default_int_handler)

# Shells name the end by a signal by this and its number.
_CODE = 128


class Ended(KeyboardInterrupt):
    """A signal ends the process, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        """Take the number of the signal."""
        super().__init__()
        self.exit_code = _CODE + number


def end_at_once() -> None:
    """Make signals end the process at once and without a traceback, while nothing has to be cleaned up."""
    for number in _numbers():
        if signal.getsignal(number) in _UNCHANGED:
            signal.signal(number, _exit)


def end_by_exception() -> None:
    """Make signals raise :class:`Ended` in the main thread, where :func:`end_at_once` was called before.

    Later ones are ignored, so that they do not interrupt the removal of temporary files. Only a second Ctrl-C ends the
    process at once.
    """
    for number in _numbers():
        if signal.getsignal(number) is _exit:
            signal.signal(number, _raise)


@contextmanager
def held() -> Iterator[None]:
    """Let signals that raise :class:`Ended` wait until the end of the block, which must be short."""
    numbers = [number for number in _numbers() if signal.getsignal(number) is _raise]
    # only the main thread is interrupted
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    waiting: list[int] = []
    for number in numbers:
        signal.signal(number, lambda met, _: waiting.append(met))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, _raise)
        if waiting:
            _raise(waiting[0], None)


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(_CODE + number)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    for other in _numbers():
        if signal.getsignal(other) is _raise:
            signal.signal(other, _exit if other == signal.SIGINT else signal.SIG_IGN)
    raise Ended(number)
