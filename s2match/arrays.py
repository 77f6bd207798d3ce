"""Images in memory: NumPy arrays, and DataArrays of xarray, which are an extra, requirements-xarray.txt.

They are written to temporary files and matched as files. So they may be large, or dask arrays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from s2match.core.grid import Grid
from s2match.core.mask import UNMASKED, Masking
from s2match.errors import UnreadableImageError
from s2match.io.quiet import create_geotiff
from s2match.pipeline import match_files
from s2match.result import PairResult
from s2match.settings import Choices, Settings
from s2match.util.optional import import_optional

if TYPE_CHECKING:
    from xarray import DataArray

Image: TypeAlias = "str | Path | NDArray[Any] | DataArray"

# Possible sizes of the axis of a NumPy array that counts the bands of an image to match.
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

    NumPy arrays (H×W, H×W×3 or 3×H×W) have no georeference. Masked pixels of a masked array have no data. CRS,
    transform and nodata of a DataArray, (y, x) or (band, y, x), are those of rioxarray; of more than three bands the
    first three are used. Values are interpreted as those of files (:func:`s2match.io.reader.read_raster`): uint8
    unchanged, uint16 as reflectance times 10 000 with the brightness of ESA's true-colour images, and others stretched
    between the 1st and 99th percentile. The arrays are neither changed nor kept. The scenes of the result are named
    after the arrays, and their paths do not exist.

    Args:
        reference: The image that the result is relative to.
        target: The image that is matched with it.
        settings: The options; None for the defaults.
        show_progress: Show a progress bar on standard error where that is a terminal.
        masking: Ground that is not matched, by :func:`s2match.io.masking.masking_of`.
        **choices: Attributes of :class:`s2match.settings.Settings` that replace those of ``settings``.

    Returns:
        The matched pair; its ``registration`` is None if no model is accepted.

    Raises:
        MissingExtraError: rioxarray is not installed, and an image is not a NumPy array.
        UnreadableImageError: An image is neither kind of array, or has another shape.
        S2MatchError: Anything that two files could raise; see :mod:`s2match.errors`.
    """
    settings = (settings or Settings()).but(**choices)
    for name, image in (("reference", reference), ("target", target)):
        if isinstance(image, str | Path):
            raise UnreadableImageError(f"The {name} is a path, not an array: match_files matches files.")
    with as_files(reference, target) as files:
        return match_files(*files, settings, show_progress=show_progress, masking=masking)


@contextmanager
def as_files(reference: Image, target: Image) -> Iterator[tuple[str | Path, str | Path]]:
    """Paths of two images; for arrays, paths of temporary files, which exist until the context ends.

    Raises:
        MissingExtraError: rioxarray is not installed, and an image is neither a path nor a NumPy array.
        UnreadableImageError: An image is neither a path nor an array, or has another shape.
    """
    if isinstance(reference, str | Path) and isinstance(target, str | Path):
        # as they are: a URL is text
        yield reference, target
        return
    with TemporaryDirectory(prefix="s2match-") as folder:
        first, second = (
            image if isinstance(image, str | Path) else _write(image, Path(folder) / name)
            for name, image in (("reference", reference), ("target", target))
        )
        yield first, second


def bands_of(array: "NDArray[Any] | DataArray") -> tuple[NDArray[Any], NDArray[np.bool_], int | None]:
    """The bands of an array, of any number, and their valid pixels.

    Args:
        array: A NumPy array (H×W, H×W×B or B×H×W; bands are the shorter axis) or a DataArray ((y, x) or (band, y, x)).

    Returns:
        B×H×W values, B×H×W bool, and the axis of the bands; None for an array without one.

    Raises:
        UnreadableImageError: The array has another number of axes, or its values are not real numbers.
    """
    values, nodata = _values_of(array)
    if values.ndim not in (2, 3) or values.dtype.kind not in "biuf":
        shape = " x ".join(map(str, values.shape))
        raise UnreadableImageError(f"The array is not an image: it is {shape} of type {values.dtype}.")
    axis = None if values.ndim == 2 else 0
    if isinstance(array, np.ndarray) and values.ndim == 3 and values.shape[2] < values.shape[0]:
        axis = 2
    bands = values[None] if axis is None else np.moveaxis(values, axis, 0)
    valid = ~np.ma.getmaskarray(bands)
    bands = np.ma.getdata(bands)
    if bands.dtype.kind == "f":
        valid &= ~np.isnan(bands)
    if nodata is not None:
        valid &= bands != nodata
    return bands, valid, axis


def _values_of(array: "NDArray[Any] | DataArray") -> tuple[NDArray[Any], float | None]:
    """The values of an array, and the nodata value of a DataArray."""
    if isinstance(array, np.ndarray):
        return array, None
    _require_dataarray(array, "array")
    return array.values, array.rio.nodata


def _require_dataarray(array: object, name: str) -> None:
    """Refuse an object that is not a DataArray, with its name in the message, and import rioxarray.

    Raises:
        MissingExtraError: rioxarray is not installed.
        UnreadableImageError: It is not a DataArray.
    """
    import_optional("rioxarray", "DataArrays", "requirements-xarray.txt")
    from xarray import DataArray

    if not isinstance(array, DataArray):
        kind = type(array).__name__
        raise UnreadableImageError(f"The {name} is a {kind}, neither a NumPy array nor a DataArray.")


def dataarray_like(array: "DataArray", values: NDArray[Any], valid: NDArray[np.bool_], grid: Grid) -> "DataArray":
    """A DataArray with the name, bands and attributes of another one, on a grid.

    Args:
        array: The other one, (y, x) or (band, y, x).
        values: B×H×W values.
        valid: B×H×W bool; invalid pixels get the nodata value; without one NaN, or 0 in integer arrays.
        grid: The pixels of the values.
    """
    from xarray import DataArray

    nodata = array.rio.nodata
    if nodata is None:
        nodata = np.nan if values.dtype.kind == "f" else 0
    filled = np.where(valid, values, values.dtype.type(nodata))
    y, x = array.dims[-2:]
    coords = {name: each for name, each in array.coords.items() if not {x, y} & set(each.dims)}
    coords.pop("spatial_ref", None)
    out = DataArray(filled if array.ndim == 3 else filled[0], coords, array.dims, array.name, array.attrs)
    if grid.transform is not None:
        height, width = filled.shape[1:]
        if grid.transform.b == grid.transform.d == 0:
            columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
            out = out.assign_coords({x: grid.transform.a * columns + grid.transform.c})
            out = out.assign_coords({y: grid.transform.e * rows + grid.transform.f})
        out = out.rio.set_spatial_dims(x, y).rio.write_transform(grid.transform)
    if grid.crs is not None:
        out = out.rio.write_crs(grid.crs)
    return out if values.dtype.kind != "f" and array.rio.nodata is None else out.rio.write_nodata(nodata)


def _write(array: "NDArray[Any] | DataArray", folder: Path) -> Path:
    """Write a GeoTIFF with the values of an array, named after the array, or else after its folder."""
    folder.mkdir()
    if isinstance(array, np.ndarray):
        return _write_values(array, folder / f"{folder.name}.tif")
    _require_dataarray(array, folder.name)
    path = folder / f"{str(array.name or folder.name).replace('/', '_')}.tif"
    try:
        # GeoTIFF has no bool
        values = array.astype(np.uint8) if array.dtype == np.bool_ else array
        values.rio.to_raster(path)
    except (RuntimeError, ValueError, RasterioError) as error:
        raise UnreadableImageError(f"The {folder.name} is not a regular image: {str(error).rstrip('.')}.") from error
    return path


def _write_values(array: NDArray[Any], path: Path) -> Path:
    """Write a GeoTIFF with the values of a NumPy array, without a georeference."""
    bands = _bands_first(array, path.stem)
    if bands.dtype.kind not in "biuf":
        raise UnreadableImageError(f"The {path.stem} is not an image: its values are of type {bands.dtype}.")
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
        raise UnreadableImageError(f"The {path.stem} is not a regular image: {str(error).rstrip('.')}.") from error
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
    raise UnreadableImageError(f"The {name} is not a regular image: it is {shape}, not H x W, H x W x 3 or 3 x H x W.")
