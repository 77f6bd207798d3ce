"""Choose the radiometry of a file, once for all of its windows."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from s2match.core.image_path import image_path
from s2match.core.radiometry import NodataSource, Radiometry, ReadOptions, ReflectanceScale
from s2match.errors import UnreadableImageError
from s2match.io.bands import read_numbers, used_bands
from s2match.io.nodata import band_validity, declared_nodata, detected_nodata, zeros_may_fill
from s2match.io.overviews import overview_sampling
from s2match.io.product_metadata import product_scale
from s2match.io.saturated_cloud import SATURATED

_LOG = logging.getLogger(__name__)

# The digital number that ESA's true-colour images show as 255: reflectance 0.3558 times 10 000.
TCI_SATURATION = 3558.0
_QUANTIFICATION = 10_000.0

# ESA adds this to the digital numbers since processing baseline 04.00. It is assumed in a file whose 1st percentile
# reaches it, but for noise.
_ESA_OFFSET = 1000.0
_OFFSET_NOISE = 50.0

# Plausible numbers of reflectance 1, by which a scale tag is taken to be that of reflectance.
_STEPS = (1_000.0, 100_000.0)

# A scale of reflectance, and its source.
_SourcedScale = tuple[ReflectanceScale | None, str | None]

# Longest side of the small version of a file that its radiometry is chosen by.
_SMALL_PX = 512


def radiometry_of(
    file: rasterio.DatasetReader,
    options: ReadOptions,
    bands: Sequence[str] = (),
    stated: ReflectanceScale | None = None,
) -> Radiometry:
    """Radiometry of a file of real numbers; nothing is decoded for images of 8 bits.

    Args:
        file: The file, open.
        options: Options that override what the file declares.
        bands: Indexes or descriptions of the bands to use; empty for those of :func:`s2match.io.bands.used_bands`.
        stated: Scale of reflectance by a catalogue, for a file that has none.

    Raises:
        OptionError: The file does not have the bands.
    """
    indexes = used_bands(file, bands)
    nodata = declared_nodata(file, indexes, options)
    bits, coloured = _bits(file, indexes), colour_table(file) is not None
    if bits <= 8 or coloured:
        radiometry = _of_8_bits(bits, coloured, *nodata)
    else:
        radiometry = _of_16_bits(file, indexes, *nodata, _reflectance_scale(file, indexes[0], options, stated))
    _LOG.info("%s: %s", image_path(file.name).name, _summary(radiometry))
    return replace(radiometry, bands=tuple(indexes), overviews=overview_sampling(file))


def stacked(bands: Sequence[Radiometry]) -> Radiometry:
    """Radiometry of an image whose bands are files, each with its own; nodata and offset are those of the first."""
    first = bands[0]
    levels = [band.saturated for band in bands if band.saturated is not None]
    kinds = {band.kind for band in bands}
    return replace(
        first,
        kind=first.kind if len(kinds) == 1 else "stretched",
        saturated=min(levels) if len(levels) == len(bands) else None,
        stack=tuple(bands),
    )


def _summary(radiometry: Radiometry) -> str:
    """Kind, nodata and offset with their sources, such as "stretched, nodata -9999 (declared)"."""
    nodata = "every number is data"
    if radiometry.nodata_from is not None:
        value = "" if radiometry.nodata is None else f" {radiometry.nodata:g}"
        nodata = f"nodata{value} ({radiometry.nodata_from})"
    offset = "" if radiometry.offset is None else f", offset {radiometry.offset:g} ({radiometry.offset_from})"
    return f"{radiometry.kind}, {nodata}{offset}"


def _of_8_bits(bits: int, coloured: bool, nodata: float | None, nodata_from: NodataSource | None) -> Radiometry:
    # in an image of 1 bit 0 is a value like 1
    if nodata_from is None and bits > 1:
        nodata, nodata_from = 0.0, NodataSource.ZEROS
    if bits < 8 and not coloured:
        gain = 254 / (2**bits - 1)
        return Radiometry(gain, -1 / gain, "stretched", None, nodata, nodata_from)
    return Radiometry(1.0, 0.0, "true colour", SATURATED, nodata, nodata_from)


def _of_16_bits(
    file: rasterio.DatasetReader,
    indexes: list[int],
    nodata: float | None,
    nodata_from: NodataSource | None,
    scale: _SourcedScale,
) -> Radiometry:
    """Radiometry of a file of more than 8 bits, by a small version of it."""
    numbers = read_numbers(file, indexes, shape=_small_shape(file))
    if nodata_from is None:
        nodata = detected_nodata(numbers)
        nodata_from = None if nodata is None else NodataSource.DETECTED
    radiometry = Radiometry(1.0, 0.0, "stretched", None, nodata, nodata_from)
    valid = np.asarray(band_validity(file, indexes, numbers, radiometry).all(axis=0))
    if nodata_from is None and zeros_may_fill(numbers):
        valid &= numbers.any(axis=0)
        radiometry = replace(radiometry, nodata=0.0, nodata_from=NodataSource.ZEROS)
    data = numbers[:, valid].astype(float)
    if not data.size:
        return radiometry
    if numbers.dtype == np.uint16:
        return _with_reflectance(data, radiometry, *scale)
    return _stretch(data, radiometry)


def colour_table(file: rasterio.DatasetReader) -> NDArray[np.uint8] | None:
    """(N, 4) red, green, blue and alpha of the numbers 0 to N - 1; None for a file without a colour table."""
    if file.colorinterp[0] is not ColorInterp.palette:
        return None
    try:
        colours = file.colormap(1)
    except UnreadableImageError:
        # a palette without colours: the numbers are grey levels
        return None
    table = np.zeros((max(colours) + 1, 4), np.uint8)
    for index, colour in colours.items():
        table[index] = colour
    return table


def _bits(file: rasterio.DatasetReader, indexes: list[int]) -> int:
    """Bits of a number: 1 to 8 for unsigned bytes, 16 for all other types."""
    types = {np.dtype(file.dtypes[index - 1]) for index in indexes}
    if types != {np.dtype(np.uint8)}:
        return 16
    stored = file.tags(indexes[0], ns="IMAGE_STRUCTURE").get("NBITS", "8")
    return int(stored) if stored.isdigit() and 1 <= int(stored) <= 8 else 8


def _small_shape(file: rasterio.DatasetReader) -> tuple[int, int]:
    scale = min(1.0, _SMALL_PX / max(file.width, file.height))
    return max(1, round(file.height * scale)), max(1, round(file.width * scale))


def _with_reflectance(
    numbers: NDArray[np.float64], radiometry: Radiometry, scale: ReflectanceScale | None, source: str | None
) -> Radiometry:
    """Radiometry of ESA's true-colour images; stretched where the 1st percentile would be saturated."""
    dark = float(np.percentile(numbers, 1))
    if scale is None and dark < TCI_SATURATION + _ESA_OFFSET:
        zero = _ESA_OFFSET if dark >= _ESA_OFFSET - _OFFSET_NOISE else 0.0
        scale, source = ReflectanceScale(zero, _QUANTIFICATION), "minimum"
    if scale is None:
        return _stretch(numbers, radiometry)
    radiometry = replace(radiometry, offset=scale.offset, offset_from=source)
    gain = 255 / (TCI_SATURATION / _QUANTIFICATION * scale.quantification_value)
    if gain * (dark - scale.offset) < 255:
        return replace(radiometry, gain=gain, origin=scale.offset, kind="reflectance", saturated=float(SATURATED))
    stretched = _stretch(numbers, radiometry)
    saturated = stretched.gain * (scale.offset + SATURATED / gain - stretched.origin)
    return replace(stretched, saturated=max(1.0, saturated))


def _reflectance_scale(
    file: rasterio.DatasetReader, band: int, options: ReadOptions, stated: ReflectanceScale | None
) -> _SourcedScale:
    """Scale of reflectance by the options, the tags of a band, a catalogue or its product, and its source."""
    scale, offset = file.scales[band - 1], file.offsets[band - 1]
    steps = _QUANTIFICATION if scale in (0, 1) else 1 / scale
    plausible = (scale, offset) != (1, 0) and _STEPS[0] <= steps <= _STEPS[1]
    tagged = ReflectanceScale(0.0 - offset * (1 if scale in (0, 1) else steps), steps) if plausible else None
    if options.offset is not None:
        return ReflectanceScale(options.offset, tagged.quantification_value if tagged else _QUANTIFICATION), "option"
    if tagged is not None and 0 <= tagged.offset < 1 << 16:
        return tagged, "tags"
    if stated is not None:
        return stated, "catalogue"
    product = product_scale(image_path(file.name))
    return product, None if product is None else "metadata"


def _stretch(numbers: NDArray[np.float64], radiometry: Radiometry) -> Radiometry:
    """Radiometry with grey level 1 at the 1st percentile of the numbers and 255 at the 99th."""
    low, high = np.percentile(numbers, [1, 99])
    gain = 254 / max(float(high - low), 1e-12)
    return replace(radiometry, gain=gain, origin=float(low) - 1 / gain, kind="stretched")
