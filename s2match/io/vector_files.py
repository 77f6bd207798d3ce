"""First bytes of vector files, by which GDAL opens them with no driver for descriptions of other files and servers."""

from s2match.core.image_path import ImagePath
from s2match.errors import S2MatchError
from s2match.io.file_tree import read_bytes

# First bytes of a GeoPackage, which is a database of SQLite, and of a Shapefile.
_FIRST_BYTES = {".gpkg": b"SQLite format 3\0", ".shp": b"\x00\x00\x27\x0a"}
_NAMES = {".gpkg": "GeoPackage", ".shp": "Shapefile"}


def check_vector_content(path: ImagePath, failure: type[S2MatchError], what: str = "") -> None:
    """Check that a local GeoPackage or Shapefile is one, so that GDAL opens it with no other driver.

    Args:
        path: The file; a remote one, and one of another suffix, is not checked.
        failure: Class of the error.
        what: What the file is, for messages, with a blank at its end.

    Raises:
        S2MatchError: It cannot be read, or is none; of the class ``failure``.
    """
    suffix = path.suffix.lower()
    if suffix not in _FIRST_BYTES:
        return
    begin = read_bytes(path, failure, what, len(_FIRST_BYTES[suffix]))
    if begin not in (None, _FIRST_BYTES[suffix]):
        raise failure(f"Cannot read {what}{path}: it is no {_NAMES[suffix]}.")
