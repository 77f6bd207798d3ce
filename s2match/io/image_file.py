"""Open image files: every call of GDAL passes the border, and absurd reads are refused.

Of a file nothing is trusted: not its size, nor its blocks, nor its tags.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from s2match.core.image_path import ImagePath
from s2match.errors import S2MatchError, UnreadableImageError
from s2match.io.borders import reading
from s2match.io.quiet import QuietReader
from s2match.io.read_limits import Decoding, refusal_of
from s2match.io.remote import RemoteReader

# What rasterio asks GDAL for when it is needed. The other attributes are read when the file is opened.
_PROPERTIES = (
    *("block_shapes", "colorinterp", "compression", "crs", "descriptions", "dtypes", "files", "gcps", "interleaving"),
    *("mask_flag_enums", "nodatavals", "offsets", "rpcs", "scales", "subdatasets", "transform", "units"),
)
_METHODS = ("colormap", "dataset_mask", "overviews", "tags")


class ImageFile(QuietReader):
    """An open image file.

    Attributes:
        path: The file.
        failure: Class of its errors.
        what: What it is, for messages, with a blank at its end.
        border: Makes the border that calls of the library pass.
    """

    path: ImagePath
    failure: type[S2MatchError] = UnreadableImageError
    what = ""
    # rasterio asks for properties before the file is open
    border: Callable[[], AbstractContextManager[None]] = staticmethod(nullcontext)

    def opened_as(self, path: ImagePath, failure: type[S2MatchError], what: str) -> None:
        """Set the path and the errors of a file that was just opened."""
        self.path, self.failure, self.what = path, failure, what
        self.border = partial(reading, path, failure, what)

    def refused(self, reason: str) -> S2MatchError:
        """The error of a file that cannot be read, with a reason without a full stop."""
        return self.failure(f"Cannot read {self.what}{self.path}: {reason}.")

    def check(self, bands: int, columns: int, rows: int) -> None:
        """Refuse to decode what the memory or the file cannot hold, before it is read in parts.

        Args:
            bands: Number of bands that are read.
            columns: Number of columns that are decoded.
            rows: Number of rows that are decoded.

        Raises:
            S2MatchError: It is refused; of the class ``failure``.
        """
        self._check(Decoding(bands, columns, rows, kept=0))

    def read(self, *arguments: Any, **options: Any) -> NDArray[Any]:
        """See ``rasterio.DatasetReader.read``."""
        self._check_read(arguments, options)
        with self.border():
            values: NDArray[Any] = super().read(*arguments, **options)
            return values

    def read_masks(self, *arguments: Any, **options: Any) -> NDArray[Any]:
        """See ``rasterio.DatasetReader.read_masks``."""
        self._check_read(arguments, options)
        with self.border():
            values: NDArray[Any] = super().read_masks(*arguments, **options)
            return values

    def _check_read(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        indexes = arguments[0] if arguments else options.get("indexes")
        bands = self.count if indexes is None else 1 if isinstance(indexes, int) else len(indexes)
        window = options.get("window") or RasterioWindow(0, 0, self.width, self.height)
        if not isinstance(window, RasterioWindow):
            window = RasterioWindow.from_slices(*window)
        columns, rows = int(window.width), int(window.height)
        height, width = (options.get("out_shape") or (rows, columns))[-2:]
        # GDAL reads a smaller version from the coarsest overview that is fine enough
        scale = min(columns / max(width, 1), rows / max(height, 1))
        factor = max((each for each in self.overviews(1) if each <= scale), default=1) if scale >= 2 else 1
        self._check(Decoding(bands, columns // factor, rows // factor, bands * height * width))

    def _check(self, decoding: Decoding) -> None:
        reason = refusal_of(self, decoding)
        if reason is not None:
            raise self.refused(reason)


class RemoteImageFile(ImageFile, RemoteReader):
    """An open remote image file, which is read again after a connection was cut off."""


def _bordered_property(name: str) -> property:
    def get(file: ImageFile) -> Any:
        with file.border():
            return getattr(super(ImageFile, file), name)

    return property(get, doc=f"See ``rasterio.DatasetReader.{name}``.")


def _bordered_method(name: str) -> Callable[..., Any]:
    def call(file: ImageFile, *arguments: Any, **options: Any) -> Any:
        with file.border():
            return getattr(super(ImageFile, file), name)(*arguments, **options)

    call.__doc__ = f"See ``rasterio.DatasetReader.{name}``."
    return call


for _name in _PROPERTIES:
    setattr(ImageFile, _name, _bordered_property(_name))
for _name in _METHODS:
    setattr(ImageFile, _name, _bordered_method(_name))
