"""A series on disk whose shifts are known exactly: one landscape, moved by fractions of a pixel in its spectrum."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from conftest import GRID, UTM
from numpy.typing import NDArray
from rasterio.crs import CRS

Shift = tuple[float, float]

# How far each date shows the ground too far (right, down), in pixels.
SHIFTS_PX: tuple[Shift, ...] = (
    (0.0, 0.0),
    (0.37, -0.62),
    (-1.25, 0.8),
    (2.4, 1.15),
    (-0.55, -1.9),
    (1.05, 0.33),
    (-2.1, 0.45),
    (0.71, 2.2),
)

# Side of a pixel, and fraction of the grey levels that noise has.
PIXEL_M, NOISE = 10.0, 0.02

# The landscape repeats itself beyond the images.
_PERIOD_PX = 512


def date_name(index: int) -> str:
    """Name of the image of a date, ten days apart from the next one, without its suffix."""
    return f"T36UXA_2018{5 + index // 3:02}{1 + 10 * (index % 3):02}T083601_TCI"


def landscape(size: int, shift: Shift, date: int = 0) -> NDArray[np.uint8]:
    """The landscape, (size, size), moved right and down by a shift, with the brightness and the noise of a date."""
    frequency = np.fft.fftfreq(_PERIOD_PX)
    fx, fy = frequency[None], frequency[:, None]
    noise = np.fft.fft2(np.random.default_rng(5).standard_normal((_PERIOD_PX, _PERIOD_PX)))
    # the sum of three Gaussian blurs, each twice as wide and as strong as the last one
    blur = sum(4.0**k * np.exp(-2 * (np.pi * 1.5 * 2**k) ** 2 * (fx**2 + fy**2)) for k in range(4))
    moved = np.fft.ifft2(noise * blur * np.exp(-2j * np.pi * (fx * shift[0] + fy * shift[1]))).real
    image = moved[64 : 64 + size, 64 : 64 + size] / moved.std()
    rng = np.random.default_rng([7, date])
    grey = (110 + 8 * rng.uniform(-1, 1)) + (38 * rng.uniform(0.85, 1.15)) * (
        image + NOISE * rng.standard_normal(image.shape)
    )
    return np.clip(grey.round(), 1, 254).astype(np.uint8)


def write_dates(folder: Path, shifts: Sequence[Shift] = SHIFTS_PX, size: int = 256, suffix: str = ".tif") -> list[Path]:
    """Write a date for each shift; GeoTIFFs have one georeference, PNGs none."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{date_name(index)}{suffix}" for index in range(len(shifts))]
    for index, (path, shift) in enumerate(zip(paths, shifts, strict=True)):
        write_file(path, landscape(size, shift, index))
    return paths


def write_file(path: Path, image: NDArray[np.uint8], transform: Affine = GRID, crs: CRS = UTM, bands: int = 3) -> Path:
    """Write a grey image as equal bands: a GeoTIFF, or a PNG without georeference."""
    place = {"driver": "PNG"} if path.suffix == ".png" else {"driver": "GTiff", "transform": transform, "crs": crs}
    height, width = image.shape
    with rasterio.open(path, "w", width=width, height=height, count=bands, dtype="uint8", **place) as file:
        file.write(np.stack([image] * bands))
    return path


def expected_shifts(shifts: Sequence[Shift] = SHIFTS_PX) -> NDArray[np.float64]:
    """(D, 2) shifts (right, down) in pixels against their mean."""
    return np.array(shifts) - np.mean(shifts, axis=0)
