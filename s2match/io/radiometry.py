"""How the numbers of a file become grey levels: decided once for a file, so that all its windows are alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from s2match.core.radiometry import Radiometry, ReadOptions
from s2match.io.cloud_mask import SATURATED
from s2match.io.nodata import band_validity, detected_nodata, told_nodata, used_bands, zeros_may_fill
from s2match.io.products import Reflectance, product_reflectance

# The digital number that ESA's true-colour images show as 255: reflectance 0.3558 times 10 000.
TCI_SATURATION = 3558.0
_QUANTIFICATION = 10_000.0

# ESA adds this to the digital numbers since processing baseline 04.00. A file whose dark pixels reach it, but for
# noise, is taken to have it.
_ESA_OFFSET = 1000.0
_OFFSET_NOISE = 50.0

# Tags of scale that can be those of reflectance: numbers for reflectance 1.
_STEPS = (1_000.0, 100_000.0)

# Longest side of the small version that tells the radiometry of a file.
_SMALL_PX = 512


def radiometry_of(file: rasterio.DatasetReader, options: ReadOptions) -> Radiometry:
    """How the numbers of a file, real ones, become grey levels; nothing is decoded for images of 8 bits."""
    indexes = used_bands(file)
    nodata, nodata_from = told_nodata(file, indexes, options)
    bits, coloured = _bits(file, indexes), colour_table(file) is not None
    if bits <= 8 or coloured:
        # of 1 bit 0 is no less a value than 1 is
        if nodata_from is None and bits > 1:
            nodata, nodata_from = 0.0, "zeros"
        if bits < 8 and not coloured:
            gain = 254 / (2**bits - 1)
            return Radiometry(gain, -1 / gain, "stretched", None, nodata, nodata_from)
        return Radiometry(1.0, 0.0, "true colour", SATURATED, nodata, nodata_from)
    numbers = read_numbers(file, indexes, shape=_small(file))
    if nodata_from is None:
        nodata = detected_nodata(numbers)
        nodata_from = None if nodata is None else "detected"
    told_only = Radiometry(1.0, 0.0, "stretched", None, nodata, nodata_from)
    valid = np.asarray(band_validity(file, indexes, numbers, told_only).all(axis=0))
    if nodata_from is None and zeros_may_fill(numbers):
        valid &= numbers.any(axis=0)
        told_only = replace(told_only, nodata=0.0, nodata_from="zeros")
    known = numbers[:, valid].astype(float)
    if not known.size:
        return told_only
    return _reflectance(file, known, told_only, options) if numbers.dtype == np.uint16 else _stretched(known, told_only)


def colour_table(file: rasterio.DatasetReader) -> NDArray[np.uint8] | None:
    """(N, 4) red, green, blue and alpha of the numbers 0 to N - 1; None where the file has no colour table."""
    if file.colorinterp[0] is not ColorInterp.palette:
        return None
    try:
        colours = file.colormap(1)
    except ValueError:
        # the file calls itself coloured and has no colours: its numbers are grey
        return None
    table = np.zeros((max(colours) + 1, 4), np.uint8)
    for index, colour in colours.items():
        table[index] = colour
    return table


def read_numbers(
    file: rasterio.DatasetReader,
    indexes: list[int],
    window: rasterio.windows.Window | None = None,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.generic]:
    """B×H×W numbers of bands, of the whole file or a window of it, in a type that holds those of all bands.

    Args:
        file: The file.
        indexes: The bands, from 1.
        window: The part; None for all.
        shape: Height and width to read, by the nearest numbers stored; None for every pixel.
    """
    if len({file.dtypes[index - 1] for index in indexes}) > 1:
        # the library reads bands of one type only at once
        return np.concatenate([read_numbers(file, [index], window, shape) for index in indexes])
    out_shape = None if shape is None else (len(indexes), *shape)
    numbers: NDArray[np.generic] = file.read(indexes, window=window, out_shape=out_shape)
    return numbers


def _bits(file: rasterio.DatasetReader, indexes: list[int]) -> int:
    """Bits of a number, more than 8 where it is not unsigned."""
    types = {np.dtype(file.dtypes[index - 1]) for index in indexes}
    if types != {np.dtype(np.uint8)}:
        return 16
    stored = file.tags(indexes[0], ns="IMAGE_STRUCTURE").get("NBITS", "8")
    return int(stored) if stored.isdigit() and 1 <= int(stored) <= 8 else 8


def _small(file: rasterio.DatasetReader) -> tuple[int, int]:
    share = min(1.0, _SMALL_PX / max(file.width, file.height))
    return max(1, round(file.height * share)), max(1, round(file.width * share))


def _reflectance(
    file: rasterio.DatasetReader, numbers: NDArray[np.float64], told: Radiometry, options: ReadOptions
) -> Radiometry:
    """As ESA shows reflectance in true-colour images; stretched where that would show hardly anything but white."""
    dark = float(np.percentile(numbers, 1))
    scale, said_by = _scale_of(file, options)
    if scale is None and dark < TCI_SATURATION + _ESA_OFFSET:
        zero = _ESA_OFFSET if dark >= _ESA_OFFSET - _OFFSET_NOISE else 0.0
        scale, said_by = Reflectance(zero, _QUANTIFICATION), "minimum"
    if scale is None:
        return _stretched(numbers, told)
    told = replace(told, offset=scale.zero, offset_from=said_by)
    gain = 255 / (TCI_SATURATION / _QUANTIFICATION * scale.steps)
    shown = replace(told, gain=gain, origin=scale.zero, kind="reflectance", saturated=float(SATURATED))
    if shown.gain * (dark - shown.origin) < 255:
        return shown
    stretched = _stretched(numbers, told)
    saturated = stretched.gain * (shown.origin + SATURATED / shown.gain - stretched.origin)
    return replace(stretched, saturated=max(1.0, saturated))


def _scale_of(file: rasterio.DatasetReader, options: ReadOptions) -> tuple[Reflectance | None, str | None]:
    """How the numbers tell reflectance, by what is told, and who tells it."""
    index = used_bands(file)[0] - 1
    scale, offset = file.scales[index], file.offsets[index]
    steps = _QUANTIFICATION if scale in (0, 1) else 1 / scale
    plausible = (scale, offset) != (1, 0) and _STEPS[0] <= steps <= _STEPS[1]
    tagged = Reflectance(0.0 - offset * (1 if scale in (0, 1) else steps), steps) if plausible else None
    if options.offset is not None:
        return Reflectance(options.offset, tagged.steps if tagged else _QUANTIFICATION), "option"
    if tagged is not None and 0 <= tagged.zero < 1 << 16:
        return tagged, "tags"
    product = product_reflectance(Path(file.name))
    return product, None if product is None else "metadata"


def _stretched(numbers: NDArray[np.float64], told: Radiometry) -> Radiometry:
    """From the 1st percentile to the 99th."""
    low, high = np.percentile(numbers, [1, 99])
    gain = 254 / max(float(high - low), 1e-12)
    return replace(told, gain=gain, origin=float(low) - 1 / gain, kind="stretched")
