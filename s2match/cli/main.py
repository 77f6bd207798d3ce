"""Entry of the command line: errors become one sentence on standard error and an exit code."""

import argparse
import errno
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from s2match.cli.arguments import parse, words_of
from s2match.cli.exit_codes import INTERRUPTED, NO_READER
from s2match.cli.options.parsers import PROGRAM
from s2match.core.image_path import without_credentials
from s2match.errors import ImageSizeError, S2MatchError, UnreadableImageError
from s2match.util.allocator import keep_one_heap
from s2match.util.signals import Ended, end_by_exception
from s2match.util.standard_streams import ReaderGoneError, discard_output


def main(argv: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Run a command line.

    Args:
        argv: The words after the program's name; None for those of the process.
        program: Name of the program in help and messages.

    Returns:
        The exit code: 0, one of :mod:`s2match.cli.exit_codes`, or that of an error (:mod:`s2match.errors`).

    Raises:
        SystemExit: Help or the version was printed, or the command line is malformed.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that cannot spell a file's name is no reason to lose the result
            stream.reconfigure(errors="replace")
    try:
        end_by_exception()
        return _run_and_flush(words_of(argv), program)
    except S2MatchError as error:
        return _report(error)
    except (BrokenPipeError, ReaderGoneError):
        # Python's own flush at exit must not complain
        discard_output()
        return NO_READER
    except OSError as error:
        # outputs have errors of their own; every input may have such a name, or lie in such a folder
        if error.errno not in (errno.ENAMETOOLONG, errno.EACCES):
            raise
        return _report(UnreadableImageError(f"Cannot read {error.filename}: {error.strerror}."))
    except MemoryError:
        return _report(ImageSizeError("There is not enough memory: match at a smaller --image_size."))
    except KeyboardInterrupt as interrupt:
        print("interrupted", file=sys.stderr)
        return interrupt.exit_code if isinstance(interrupt, Ended) else INTERRUPTED


def _report(error: S2MatchError) -> int:
    """Print the sentence of an error, and return its exit code."""
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def _run_and_flush(words: Sequence[str], program: str) -> int:
    """Run a command line, and meet a reader that has gone, or a full disk, before the process ends."""
    try:
        code = _run(words, program)
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return code


def _run(words: Sequence[str], program: str) -> int:
    arguments = parse(words, program)
    keep_one_heap()
    with _logging(_level(arguments)):
        if arguments.series:
            from s2match.cli.series import run_series_command

            return run_series_command(arguments)
        if arguments.list:
            from s2match.cli.dataset import run_list

            run_list(arguments)
            return 0
        if arguments.pairs is not None:
            from s2match.cli.pairs import run_pairs_command

            return run_pairs_command(arguments)
        if arguments.model is not None:
            from s2match.cli.apply import run_apply_command

            return run_apply_command(arguments)
        from s2match.cli.pair import run_pair

        return run_pair(arguments)


def _level(arguments: argparse.Namespace) -> int:
    if arguments.debug:
        return logging.DEBUG
    if arguments.verbose:
        return logging.INFO
    return logging.ERROR if arguments.quiet else logging.WARNING


class _Formatter(logging.Formatter):
    """Formatter of log records that leaves credentials out of URLs."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        return without_credentials(super().format(record))


@contextmanager
def _logging(level: int) -> Iterator[None]:
    """Send the package's log records to standard error within the block."""
    logger, handler = logging.getLogger("s2match"), logging.StreamHandler()
    handler.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    previous = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(previous)
