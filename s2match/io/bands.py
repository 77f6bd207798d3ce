"""Bands of a file: those that are used, and their numbers."""

from collections.abc import Sequence

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags

from s2match.core.image_path import image_path
from s2match.errors import OptionError
from s2match.io.band_files import band_name


def used_bands(file: rasterio.DatasetReader, names: Sequence[str] = ()) -> list[int]:
    """Indexes, from 1, of the bands that are used: red, green and blue; or the first three but alpha; or the first.

    Args:
        file: The file.
        names: Indexes or descriptions of the bands to use instead.

    Raises:
        OptionError: The file does not have one of the bands.
    """
    if names:
        return [_index_of(file, name) for name in names]
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    interpretation = file.colorinterp
    if all(colour in interpretation for colour in colours):
        return [interpretation.index(colour) + 1 for colour in colours]
    opaque = [index for index in file.indexes if interpretation[index - 1] is not ColorInterp.alpha]
    return opaque[:3] if len(opaque) >= 3 else (opaque or [1])[:1]


def _index_of(file: rasterio.DatasetReader, name: str) -> int:
    """Index of a band by its index or its description.

    Raises:
        OptionError: The file does not have it.
    """
    if name.isdecimal() and int(name) in file.indexes:
        return int(name)
    descriptions = [band_name(description or "") for description in file.descriptions]
    if not name.isdecimal() and band_name(name) in descriptions:
        return descriptions.index(band_name(name)) + 1
    named = [description for description in file.descriptions if description]
    choice = f"1 to {file.count}" + (f" or {', '.join(named)}" if named else "")
    raise OptionError(
        f"{image_path(file.name).name} has no band {name}: choose of {choice} by --bands. Names such as B08 are "
        "those of the bands of a product."
    )


def read_numbers(
    file: rasterio.DatasetReader,
    indexes: list[int],
    window: rasterio.windows.Window | None = None,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.generic]:
    """Read bands of a file or of a window.

    Args:
        file: The file.
        indexes: The bands, from 1.
        window: The window; None for the whole file.
        shape: (height, width) to read by nearest neighbours; None for every pixel.

    Returns:
        B×H×W numbers, in a type that holds those of all bands.
    """
    if len({file.dtypes[index - 1] for index in indexes}) > 1:
        # rasterio reads only bands of one type at once
        return np.concatenate([read_numbers(file, [index], window, shape) for index in indexes])
    out_shape = None if shape is None else (len(indexes), *shape)
    numbers: NDArray[np.generic] = file.read(indexes, window=window, out_shape=out_shape)
    return numbers


def has_own_mask(file: rasterio.DatasetReader) -> bool:
    """Whether a file has a mask outside its bands."""
    return any(MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags for flags in file.mask_flag_enums)
