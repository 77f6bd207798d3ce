"""The scenes as files, each a tile of the ground."""

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
from s2match.synthetic.takes import SCENES, SceneSpec
from s2match.synthetic.units import PIXEL_M
from s2match.util.atomic_write import atomic_write

ORIGIN_M = (500_000.0, 20_980.0)
CRS = "EPSG:32631"
SIZE_PX = 1098
# The eastern tile begins here; 763 is no multiple of 8, so no match can be right by sitting on a network's own grid.
EAST_PX = 763


def write_sample(
    folder: Path, size: int = SIZE_PX, seed: int = 11, takes: Sequence[SceneSpec] = SCENES
) -> tuple[Path, ...]:
    """Make the sample: five dates of a western tile and thirteen of an eastern one that overlaps it.

    Args:
        folder: Where to write; made when missing.
        size: Side of a tile in px of 10 m, at least 64; the overlap shrinks with it.
        seed: Another number makes another landscape.
        takes: Which scenes to write.

    Returns:
        The files in the order of ``takes``.

    Raises:
        OutputError: The folder cannot be made, or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder}: {error.strerror}.") from error
    east = round(size * EAST_PX / SIZE_PX)
    ground = make_ground(size, east, seed)
    for sensed in sorted({take.sensed for take in takes}):
        of_date = [take for take in takes if take.sensed == sensed]
        world = render(ground, of_date[0], seed)
        for take in of_date:
            begin = east if take.tile == "B" else 0
            image = world[:, begin : begin + size]
            image = _without_swath(image) if take.swath else image
            _write_jp2(folder / take.name, image, ORIGIN_M[0] + begin * PIXEL_M, lossless=take.swath)
    return tuple(folder / take.name for take in takes)


def _without_swath(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Set to nodata what lies beyond the slanted edge of the swath."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    return np.where((x > width * (0.58 - 0.26 * y / height))[..., None], image, np.uint8(0))


def _write_jp2(path: Path, image: NDArray[np.uint8], left_m: float, lossless: bool) -> None:
    """Write (H, W, 3) as JPEG 2000 with its place on the map."""
    profile = {
        "driver": "JP2OpenJPEG",
        "height": image.shape[0],
        "width": image.shape[1],
        "count": 3,
        "dtype": "uint8",
        "crs": CRS,
        "transform": Affine(PIXEL_M, 0, left_m, 0, -PIXEL_M, ORIGIN_M[1]),
    }
    # lossy wavelets ring across the edge of nodata, and 0 must stay 0
    codec = {"QUALITY": 100, "REVERSIBLE": "YES"} if lossless else {"QUALITY": 7, "REVERSIBLE": "NO"}
    with atomic_write(path) as partial, rasterio.open(partial, "w", **profile, **codec) as file:
        file.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        file.write(image.transpose(2, 0, 1))
