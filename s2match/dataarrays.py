"""Match images that are in memory as DataArrays of xarray. An extra: requirements-xarray.txt."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Unpack

import numpy as np
from rasterio.errors import RasterioError

from s2match.errors import UnreadableImageError
from s2match.importing import extra
from s2match.job import match_files
from s2match.results import PairResult
from s2match.settings import Choices, Settings

if TYPE_CHECKING:
    from xarray import DataArray


def match_arrays(
    reference: "DataArray",
    target: "DataArray",
    settings: Settings | None = None,
    **choices: Unpack[Choices],
) -> PairResult:
    """Match and register two DataArrays, as :func:`s2match.job.match_files` does two files.

    CRS, transform and nodata are what rioxarray knows of them; without a CRS pixels are compared with pixels. Of more
    than three bands the first three are used. Values are read as those of files are
    (:func:`s2match.raster.read_raster`): uint8 as it is, uint16 as reflectance times 10 000 with the brightness of
    ESA's true-colour images, or else stretched between the 1st and 99th percentile. Neither array is changed or kept:
    they pass through temporary files, so that they may be large, or of dask. The scenes of the result are named after
    the arrays, and their paths lead to no file.

    Args:
        reference: The image the result is relative to, (y, x) or (band, y, x).
        target: The image that is matched with it, likewise.
        settings: How to match; None: the defaults.
        **choices: Attributes of :class:`s2match.settings.Settings` that replace those of ``settings``.

    Raises:
        MissingExtraError: rioxarray is not installed.
        S2MatchError: Anything that two files could raise; see :mod:`s2match.errors`.
    """
    extra("rioxarray", "DataArrays", "requirements-xarray.txt")
    with TemporaryDirectory(prefix="s2match-") as folder:
        first = _written(reference, Path(folder) / "reference")
        second = _written(target, Path(folder) / "target")
        return match_files(first, second, settings, **choices)


def _written(array: "DataArray", folder: Path) -> Path:
    """A GeoTIFF with the values of an array, named after it, or else as its folder is."""
    folder.mkdir()
    path = folder / f"{str(array.name or folder.name).replace('/', '_')}.tif"
    try:
        # GeoTIFF knows no bool
        values = array.astype(np.uint8) if array.dtype == np.bool_ else array
        values.rio.to_raster(path)
    except (RuntimeError, ValueError, RasterioError) as error:
        raise UnreadableImageError(f"The {folder.name} is no regular image: {str(error).rstrip('.')}.") from error
    return path
