"""Write the scenes of the sample as JPEG 2000 files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.enums import ColorInterp

from s2match.errors import OutputError
from s2match.synthetic.dates import render
from s2match.synthetic.ground import make_ground
from s2match.synthetic.specs import SCENES, SceneSpec
from s2match.synthetic.units import PIXEL_M
from s2match.util.atomic_write import atomic_write

ORIGIN_M = (500_000.0, 20_980.0)
CRS = "EPSG:32631"
SIZE_PX = 1098
# First column of the eastern tile; 763 is not a multiple of 8, so that no true match lies on LoFTR's coarse grid.
EAST_PX = 763


def write_sample(
    folder: Path, size: int = SIZE_PX, seed: int = 11, specs: Sequence[SceneSpec] = SCENES
) -> tuple[Path, ...]:
    """Write the sample: five dates of a western tile and thirteen of an eastern one that overlaps it.

    Args:
        folder: The folder; created if it is missing.
        size: Side of a tile in 10 m pixels, at least 64; the overlap scales with it.
        seed: Seed of the random numbers.
        specs: The scenes to write.

    Returns:
        The files in the order of ``specs``.

    Raises:
        OutputError: The folder cannot be made, or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder}: {error.strerror}.") from error
    east = round(size * EAST_PX / SIZE_PX)
    ground = make_ground(size, east, seed)
    for sensed in sorted({spec.sensed for spec in specs}):
        same_date = [spec for spec in specs if spec.sensed == sensed]
        whole = render(ground, same_date[0], seed)
        for spec in same_date:
            begin = east if spec.tile == "B" else 0
            image = whole[:, begin : begin + size]
            image = _without_swath(image) if spec.swath else image
            corner_m = ORIGIN_M[0] + begin * PIXEL_M + spec.shift_m[0], ORIGIN_M[1] + spec.shift_m[1]
            _write_jp2(folder / spec.name, image, corner_m, lossless=spec.swath)
    return tuple(folder / spec.name for spec in specs)


def _without_swath(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image with 0 outside the slanted edge of the swath."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    return np.where((x > width * (0.58 - 0.26 * y / height))[..., None], image, np.uint8(0))


def _write_jp2(path: Path, image: NDArray[np.uint8], corner_m: tuple[float, float], lossless: bool) -> None:
    """Write an H×W×3 image as JPEG 2000, with its upper left corner at (east, north)."""
    profile = {
        "driver": "JP2OpenJPEG",
        "height": image.shape[0],
        "width": image.shape[1],
        "count": 3,
        "dtype": "uint8",
        "crs": CRS,
        "transform": Affine(PIXEL_M, 0, corner_m[0], 0, -PIXEL_M, corner_m[1]),
    }
    # lossy wavelets ring at the edge of nodata, where 0 must stay 0
    codec = {"QUALITY": 100, "REVERSIBLE": "YES"} if lossless else {"QUALITY": 7, "REVERSIBLE": "NO"}
    with atomic_write(path) as partial, rasterio.open(partial, "w", **profile, **codec) as file:
        file.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        file.write(image.transpose(2, 0, 1))
