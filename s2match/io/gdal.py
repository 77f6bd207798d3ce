"""What GDAL raises for files that it cannot read or write, and what it says of them."""

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

# rasterio passes some errors of GDAL on as they are, and fails at messages with bytes that are no text.
GDAL_ERRORS = (RasterioError, CPLE_BaseError, UnicodeDecodeError)


def what_gdal_says(error: BaseException) -> str:
    """One line without a full stop."""
    if isinstance(error, UnicodeDecodeError):
        return "its header is damaged"
    words = " ".join(str(error.__cause__ or error).split())
    return words.rstrip(".") or type(error).__name__
