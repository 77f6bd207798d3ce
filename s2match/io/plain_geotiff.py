"""Write small arrays as GeoTIFFs, and the pixels of a file with ground control points."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from s2match.core.scene import Scene
from s2match.core.window import Window
from s2match.errors import CorrectionError
from s2match.io.bands import has_own_mask
from s2match.io.cog import Block, Layout, read_block, write_tiles
from s2match.io.open_file import opened
from s2match.io.quiet import create_geotiff
from s2match.io.written_raster import check_geotiff
from s2match.util.atomic_write import atomic_write
from s2match.util.borders import reason_of
from s2match.util.gdal import FILE_ERRORS
from s2match.util.output_place import write_failure
from s2match.util.standard_streams import without_library_messages

# Side of the windows that are copied at a time, pixels.
_SIDE_PX = 2048


@dataclass(frozen=True)
class Bands:
    """Float bands with a georeference.

    Attributes:
        values: B×H×W float32; NaN is nodata.
        transform: Pixel (x, y) in the GDAL frame to map coordinates.
        crs: CRS of the map coordinates; None without one.
        names: Description of each band.
        unit: Unit of the values.
        tags: Tags of the file.
    """

    values: NDArray[np.float32]
    transform: Affine
    crs: CRS | None
    names: Sequence[str]
    unit: str
    tags: dict[str, str] = field(default_factory=dict)


def write_bands(bands: Bands, path: Path) -> None:
    """Write float bands as a GeoTIFF.

    Raises:
        OutputError: The file cannot be written.
    """
    count, height, width = bands.values.shape
    with (
        without_library_messages(),
        atomic_write(path, partial(check_geotiff, size=(width, height))) as file_path,
        rasterio.Env(),
    ):
        try:
            with create_geotiff(
                file_path,
                width=width,
                height=height,
                count=count,
                dtype="float32",
                nodata=float("nan"),
                transform=bands.transform,
                crs=bands.crs,
                compress="deflate",
                predictor=3,
                interleave="band",
            ) as file:
                file.write(bands.values)
                file.descriptions = tuple(bands.names)
                file.units = (bands.unit,) * count
                file.update_tags(**bands.tags)
        except FILE_ERRORS as error:
            raise write_failure(path, reason_of(error)) from error


def write_with_gcps(scene: Scene, points: NDArray[np.float64], crs: CRS | None, path: Path) -> None:
    """Write the pixels of an image unchanged, with ground control points instead of its georeference.

    Args:
        scene: The image; its bands may be files of one size.
        points: (N, 4) pixels (x, y) of the image in the GDAL frame, and map coordinates (x, y).
        crs: CRS of the map coordinates; None without one.
        path: The GeoTIFF to write.

    Raises:
        CorrectionError: Its bands are files of different sizes or types.
        UnreadableImageError: A file cannot be read.
        OutputError: ``path`` cannot be written.
    """
    gcps = [GroundControlPoint(row=y, col=x, x=east, y=north) for x, y, east, north in points.tolist()]
    with ExitStack() as stack:
        files = [stack.enter_context(opened(each)) for each in scene.files]
        first = files[0]
        if len({(file.width, file.height, *file.dtypes) for file in files}) > 1:
            raise CorrectionError(
                f"The bands {', '.join(scene.bands)} have pixels of different sizes or types, which one file with "
                "ground control points cannot have: choose bands of one size."
            )
        masked = has_own_mask(first)

        def pixels(window: Window) -> Block:
            blocks = [read_block(file, window, masked and file is first) for file in files]
            return Block(window, np.concatenate([block.values for block in blocks]), blocks[0].valid)

        blocks = partial(map, pixels)
        names = scene.bands if scene.is_stack else ()
        layout = Layout((first.width, first.height), None, crs, first.nodata, masked, classes=False, descriptions=names)
        try:
            with (
                without_library_messages(),
                atomic_write(path, partial(check_geotiff, size=layout.size)) as file_path,
                rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            ):
                write_tiles(files, layout, blocks, file_path, _SIDE_PX, gcps=gcps, crs=crs, compress="deflate")
        except FILE_ERRORS as error:
            raise write_failure(path, reason_of(error)) from error
