"""Match images that are in memory: NumPy arrays, and DataArrays of xarray, which are an extra, requirements-xarray.txt.

They pass through temporary files, so that they are read as files are, and may be large, or of dask.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from s2match.core.mask import UNMASKED, Masking
from s2match.errors import UnreadableImageError
from s2match.io.quiet import create_geotiff
from s2match.pipeline import match_files
from s2match.result import PairResult
from s2match.settings import Choices, Settings
from s2match.util.optional import extra

if TYPE_CHECKING:
    from xarray import DataArray

# Numbers of bands that an axis of a NumPy array may have.
_BANDS = (1, 3)


def match_arrays(
    reference: "NDArray[Any] | DataArray",
    target: "NDArray[Any] | DataArray",
    settings: Settings | None = None,
    *,
    show_progress: bool = False,
    masking: Masking = UNMASKED,
    **choices: Unpack[Choices],
) -> PairResult:
    """Match and register two images in memory, as :func:`s2match.pipeline.match_files` does two files.

    A NumPy array is H×W, H×W×3 or 3×H×W, and has no georeference: pixels are compared with pixels. What is masked in a
    masked array has no data. CRS, transform and nodata of a DataArray, (y, x) or (band, y, x), are what rioxarray knows
    of them; of more than three bands the first three are used. Values are read as those of files are
    (:func:`s2match.io.reader.read_raster`): uint8 as it is, uint16 as reflectance times 10 000 with the brightness of
    ESA's true-colour images, or else stretched between the 1st and 99th percentile. Neither array is changed or kept.
    The scenes of the result are named after the arrays, and their paths lead to no file.

    Args:
        reference: The image the result is relative to.
        target: The image that is matched with it.
        settings: How to match; None: the defaults.
        show_progress: Show a progress bar on standard error where that is a terminal.
        masking: Where not to match; see :func:`s2match.io.masking.masking_of`.
        **choices: Attributes of :class:`s2match.settings.Settings` that replace those of ``settings``.

    Raises:
        MissingExtraError: rioxarray is not installed, and an image is no NumPy array.
        UnreadableImageError: An image is neither kind of array, or has another shape.
        S2MatchError: Anything that two files could raise; see :mod:`s2match.errors`.
    """
    settings = (settings or Settings()).but(**choices)
    with TemporaryDirectory(prefix="s2match-") as folder:
        first = _written(reference, Path(folder) / "reference")
        second = _written(target, Path(folder) / "target")
        return match_files(first, second, settings, show_progress=show_progress, masking=masking)


def _written(array: "NDArray[Any] | DataArray", folder: Path) -> Path:
    """A GeoTIFF with the values of an array, named after it, or else as its folder is."""
    folder.mkdir()
    if isinstance(array, np.ndarray):
        return _written_values(array, folder / f"{folder.name}.tif")
    if isinstance(array, str | Path):
        raise UnreadableImageError(f"The {folder.name} is a path, not an array: match_files matches files.")
    extra("rioxarray", "DataArrays", "requirements-xarray.txt")
    from xarray import DataArray

    if not isinstance(array, DataArray):
        kind = type(array).__name__
        raise UnreadableImageError(f"The {folder.name} is a {kind}, neither a NumPy array nor a DataArray.")
    path = folder / f"{str(array.name or folder.name).replace('/', '_')}.tif"
    try:
        # GeoTIFF knows no bool
        values = array.astype(np.uint8) if array.dtype == np.bool_ else array
        values.rio.to_raster(path)
    except (RuntimeError, ValueError, RasterioError) as error:
        raise UnreadableImageError(f"The {folder.name} is no regular image: {str(error).rstrip('.')}.") from error
    return path


def _written_values(array: NDArray[Any], path: Path) -> Path:
    """A GeoTIFF with the values of a NumPy array, without a georeference."""
    bands = _bands_first(array, path.stem)
    if bands.dtype.kind not in "biuf":
        raise UnreadableImageError(f"The {path.stem} is no image: its values are of type {bands.dtype}.")
    if bands.dtype == np.bool_:
        bands = bands.astype(np.uint8)
    elif bands.dtype == np.float16:
        bands = bands.astype(np.float32)
    count, height, width = bands.shape
    options: dict[str, Any] = {"width": width, "height": height, "count": count, "dtype": bands.dtype}
    try:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), create_geotiff(path, **options) as file:
            file.write(np.ma.getdata(bands))
            if np.ma.is_masked(bands):
                file.write_mask(~np.ma.getmaskarray(bands).any(axis=0))
    except (RuntimeError, ValueError, TypeError, RasterioError) as error:
        raise UnreadableImageError(f"The {path.stem} is no regular image: {str(error).rstrip('.')}.") from error
    return path


def _bands_first(array: NDArray[Any], name: str) -> NDArray[Any]:
    """B×H×W of an array that is H×W, H×W×B or B×H×W.

    Raises:
        UnreadableImageError: It is none of these.
    """
    if array.ndim == 2:
        return array[None]
    if array.ndim == 3 and array.shape[2] in _BANDS:
        return array.transpose(2, 0, 1)
    if array.ndim == 3 and array.shape[0] in _BANDS:
        return array
    shape = " x ".join(map(str, array.shape))
    raise UnreadableImageError(f"The {name} is no regular image: it is {shape}, not H x W, H x W x 3 or 3 x H x W.")
