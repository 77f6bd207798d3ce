"""Exceptions of GDAL and PROJ."""

# rasterio raises some of GDAL's errors unchanged, and exports their classes in no public module
from rasterio._err import CPLE_BaseError, CPLE_NotSupportedError
from rasterio.errors import RasterioError

# Errors of GDAL and PROJ that rasterio passes on.
LIBRARY_ERRORS = (RasterioError, CPLE_BaseError)

# Raised for a file that cannot be read or written; rasterio fails at messages with bytes that are no text, and at names
# that are no UTF-8, and has an error of its own for failures that GDAL does not explain.
FILE_ERRORS = (*LIBRARY_ERRORS, UnicodeError, SystemError)

# Raised where no transformation leads from one reference system to another.
NO_TRANSFORMATION = CPLE_NotSupportedError
