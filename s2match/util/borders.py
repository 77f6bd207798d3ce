"""Where other libraries read a file: the errors they raise on its content, and what those mean in words."""

import re

from rasterio.errors import RasterioError

from s2match.util.output_place import NO_UTF8

# Errors of a program, which no content of a file causes: they are never taken for damage.
PROGRAM_ERRORS = (AssertionError, AttributeError, NameError, TypeError)

# The class of an exception in C++, which GEOS writes before its message.
_CLASS = re.compile(r"^\w+Exception: ")


def reason_of(error: BaseException) -> str:
    """Why a library cannot read a file, by its error: in one line, without a full stop."""
    if isinstance(error, UnicodeDecodeError):
        return "it has bytes that are no text"
    if isinstance(error, UnicodeEncodeError):
        return NO_UTF8
    if isinstance(error, SystemError):
        # of rasterio, where GDAL fails without a message
        return "GDAL gives no reason"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, KeyError):
        # of a dictionary the key alone, of a zip a sentence
        key = str(error.args[0]) if error.args else "a value"
        return key if " " in key else f"{key} is missing"
    # the message of rasterio refers to that of GDAL
    told = error.__cause__ or error if isinstance(error, RasterioError) else error
    message = getattr(told, "strerror", None) or str(told)
    return _CLASS.sub("", " ".join(message.split())).rstrip(".") or type(error).__name__
