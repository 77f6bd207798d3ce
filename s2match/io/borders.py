"""The border to libraries that read files: whatever they raise on the content of a file is an error of that file."""

from collections.abc import Iterator
from contextlib import contextmanager

from s2match.core.image_path import ImagePath
from s2match.errors import S2MatchError, UnreadableImageError
from s2match.io.remote import is_remote, read_failure
from s2match.util.borders import PROGRAM_ERRORS, reason_of


@contextmanager
def reading(
    path: ImagePath, failure: type[S2MatchError] = UnreadableImageError, what: str = "", text: bool = False
) -> Iterator[None]:
    """Turn what a library raises within the block into the error of a file that cannot be read.

    The block holds calls of libraries on the content of the file, and no more: errors of a program pass.

    Args:
        path: The file.
        failure: Class of the error.
        what: What the file is, for the message, with a blank at its end; empty for an image.
        text: Whether the file is text rather than a file of GDAL.

    Raises:
        S2MatchError: The file cannot be read; of the class ``failure``.
    """
    try:
        yield
    except (S2MatchError, *PROGRAM_ERRORS):
        raise
    except Exception as error:
        reason = reason_of(error) if text else read_failure(path, error)
        # the messages of the cause may contain credentials of a URL
        cause = None if is_remote(path) else error
        raise failure(f"Cannot read {what}{path}: {reason}.") from cause
