"""Parts of a file that windows of its corrected file are resampled from."""

from dataclasses import dataclass, replace

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterioWindow

from s2match.core.radiometry import Radiometry
from s2match.core.window import Window
from s2match.correction.pixel_map import PixelMap
from s2match.correction.resample_array import area_to_read, as_type
from s2match.io.bands import used_bands
from s2match.io.cog import Block
from s2match.io.nodata import band_validity, is_mixed, large_patches, zeros_are_nodata
from s2match.io.tile_reads import read_all_bands
from s2match.resampling.kernels import NEAREST, SamplePoints, sample


@dataclass(frozen=True)
class Source:
    """A file that is being resampled.

    Attributes:
        file: The file, open.
        radiometry: Radiometry that the file was matched with, or else what it declares.
        classes: Whether its values are classes, which are never averaged.
        nodata: The nodata value of the corrected file; None for none.
        resampling: One of :data:`s2match.resampling.kernels.RESAMPLINGS`.
    """

    file: rasterio.DatasetReader
    radiometry: Radiometry
    classes: bool
    nodata: float | None
    resampling: str


@dataclass(frozen=True)
class Part:
    """A window of a corrected file, and the pixels of a file that it is resampled from.

    Attributes:
        window: The window.
        source: The file. It is not read.
        alpha: For each band, whether it is alpha.
        points: Positions of the window's pixels in ``bands``.
        bands: B×h×w pixels; without rows and columns where the window is beyond the file.
        valid: B×h×w bool, where they have data.
    """

    window: Window
    source: Source
    alpha: NDArray[np.bool_]
    points: SamplePoints
    bands: NDArray[np.generic]
    valid: NDArray[np.bool_]

    def resampled(self) -> Block:
        """The pixels of the window."""
        nodata, dtype = self.source.nodata, self.bands.dtype
        shape = (len(self.bands), self.window.height, self.window.width)
        values = np.full(shape, 0 if nodata is None else nodata, dtype)
        if self.bands.size == 0:
            return Block(self.window, values, np.zeros(shape[1:], np.bool_))
        image = ~self.alpha
        sampled, valid = sample(self.bands[image], self.valid[image], self.points, self.source.resampling)
        numbers = as_type(sampled, dtype, None if self.source.classes else nodata)
        values[image] = np.where(valid, numbers, values[image])
        if self.alpha.any():
            bands = self.bands[self.alpha]
            values[self.alpha], _ = sample(bands, np.ones(bands.shape, np.bool_), self.points, NEAREST)
        return Block(self.window, values, np.asarray(valid.any(axis=0)))


def read_part(pixel_map: PixelMap, source: Source, window: Window) -> Part:
    """Read what a window of the corrected file is resampled from."""
    file = source.file
    alpha = np.array([colour is ColorInterp.alpha for colour in file.colorinterp])
    points = SamplePoints(*pixel_map.positions(window), pixel_map.stretch)
    area = area_to_read(points, pixel_map.source.size, source.resampling)
    if area is None:
        nothing = np.empty((file.count, 0, 0), file.dtypes[0])
        return Part(window, source, alpha, points, nothing, nothing > 0)
    bands = read_all_bands(file, area)
    points = replace(points, x=points.x - area.x, y=points.y - area.y)
    return Part(window, source, alpha, points, bands, _read_valid(source, bands, area))


def _read_valid(source: Source, bands: NDArray[np.generic], area: Window) -> NDArray[np.bool_]:
    """B×H×W bool, where each band of an area has data."""
    file, radiometry = source.file, source.radiometry
    window = RasterioWindow(area.x, area.y, area.width, area.height)
    valid = np.array(band_validity(file, list(file.indexes), bands, radiometry, window))
    if source.classes:
        return valid
    if zeros_are_nodata(radiometry):
        used = np.isin(file.indexes, list(radiometry.bands) or used_bands(file))
        for group in (used, ~used):
            # other bands may have data where those of the image have none
            valid[group] &= ~large_patches(np.asarray(~bands[used | group].any(axis=0)))
    elif is_mixed(file, radiometry):
        valid &= ~np.stack([large_patches(~band) for band in valid])
    return valid
