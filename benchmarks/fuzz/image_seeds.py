"""Small images of every kind that is read, as seeds."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.shutil import copy

from benchmarks.fuzz.cases import Seed
from s2match.core.grid import Grid
from s2match.core.scene import scene_of

SIDE_PX = 96
TRANSFORM = Affine(10, 0, 600000, 0, -10, 5600040)
UTM = CRS.from_epsg(32636)

_GEOREFERENCE: Mapping[str, Any] = {"transform": TRANSFORM, "crs": UTM}
_LOSSLESS: Mapping[str, Any] = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}


def texture(side: int = SIDE_PX, seed: int = 0) -> NDArray[np.uint8]:
    """(side, side) smooth grey levels, 20 to 220."""
    noise = np.random.default_rng(seed).standard_normal((side, side)).astype(np.float32)
    image = cv2.GaussianBlur(noise, (0, 0), 3)
    low, high = image.min(), image.max()
    return np.asarray(np.rint((image - low) / (high - low) * 200 + 20), np.uint8)


def grid_of(name: str) -> Grid:
    """The grid of every pixel of a seed with a georeference."""
    return Grid((SIDE_PX, SIDE_PX), TRANSFORM, UTM, (SIDE_PX, SIDE_PX), scene_of(Path(name)))


def write_raster(path: Path, bands: NDArray[Any], **profile: Any) -> None:
    """Write an image; bands H×W or B×H×W."""
    bands = bands[None] if bands.ndim == 2 else bands
    count, height, width = bands.shape
    size = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(path, "w", **{"driver": "GTiff", **size, **profile}) as file:
        file.write(bands)


def tiff_seeds(folder: Path) -> list[Seed]:
    """GeoTIFFs of all layouts, types and ways to say what is nodata."""
    return [_seed(folder, f"{name}.tif", write) for name, write in _TIFFS.items()]


def jp2_seeds(folder: Path) -> list[Seed]:
    """JPEG 2000 files with several codings."""
    return [_seed(folder, f"{name}.jp2", write) for name, write in _JP2S.items()]


def _seed(folder: Path, name: str, write: Callable[[Path], None]) -> Seed:
    path = folder / name
    write(path)
    return Seed(name, {name: path.read_bytes()}, name, (name,))


def _rgb(path: Path) -> None:
    profile = {"compress": "deflate", "tiled": True, "blockxsize": 32, "blockysize": 32, **_GEOREFERENCE}
    write_raster(path, np.stack([texture()] * 3), photometric="rgb", **profile)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(texture(seed=1) > 60)
        file.build_overviews([2, 4], Resampling.average)


def _numbers(path: Path) -> None:
    write_raster(path, texture().astype(np.uint16) * 20, compress="lzw", predictor=2, nodata=0, **_GEOREFERENCE)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.0001,), (-0.1,)
        file.update_tags(BOA_ADD_OFFSET="-1000", note="é")
        file.set_band_description(1, "B08")


def _jpeg(path: Path) -> None:
    write_raster(path, np.stack([texture()] * 3), compress="jpeg", photometric="ycbcr", **_GEOREFERENCE)


def _reals(path: Path) -> None:
    numbers = texture().astype(np.float32)
    numbers[:9], numbers[9:12] = -9999, np.nan
    write_raster(path, numbers, nodata=-9999, compress="zstd", **_GEOREFERENCE)


def _palette(path: Path) -> None:
    write_raster(path, texture() // 32, photometric="palette", **_GEOREFERENCE)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {value: (value * 30, 0, 255 - value * 30, 255) for value in range(8)})


def _cog(path: Path) -> None:
    plain = path.with_name("plain.tif")
    write_raster(plain, texture(), **_GEOREFERENCE)
    copy(plain, path, driver="COG", BLOCKSIZE=128, COMPRESS="DEFLATE", OVERVIEW_COUNT=2)
    plain.unlink()


def _big(path: Path) -> None:
    write_raster(path, texture().astype(np.int16), BIGTIFF="YES", interleave="band", **_GEOREFERENCE)


def _alpha(path: Path) -> None:
    bands = np.stack([texture(), texture(), texture(), (texture(seed=2) > 50).astype(np.uint8) * 255])
    write_raster(path, bands, photometric="rgb", alpha="yes", compress="packbits", endianness="BIG", **_GEOREFERENCE)


def _gcps(path: Path) -> None:
    corners = [(row, column) for row in (0, SIDE_PX) for column in (0, SIDE_PX)]
    points = [GroundControlPoint(row, column, *(TRANSFORM @ (column, row))) for row, column in corners]
    write_raster(path, texture())
    with rasterio.open(path, "r+") as file:
        file.gcps = (points, UTM)


def _geographic(path: Path) -> None:
    transform = Affine(1e-4, 2e-6, 34.4, -1e-6, -6e-5, 50.5)
    write_raster(path, texture(), transform=transform, crs=CRS.from_epsg(4326), nbits=8)


def _jp2_rgb(path: Path) -> None:
    write_raster(path, np.stack([texture()] * 3), **_LOSSLESS, **_GEOREFERENCE)


def _jp2_numbers(path: Path) -> None:
    write_raster(path, texture().astype(np.uint16) * 20, **_LOSSLESS, GeoJP2="YES", GMLJP2="NO", **_GEOREFERENCE)


def _jp2_tiles(path: Path) -> None:
    options = {"driver": "JP2OpenJPEG", "QUALITY": "25", "BLOCKXSIZE": 32, "BLOCKYSIZE": 32, "RESOLUTIONS": 3}
    write_raster(path, texture(), GMLJP2="YES", GeoJP2="NO", PROGRESSION="RPCL", **options, **_GEOREFERENCE)


_TIFFS: Mapping[str, Callable[[Path], None]] = {
    **{"rgb": _rgb, "numbers": _numbers, "jpeg": _jpeg, "reals": _reals, "palette": _palette, "cog": _cog},
    **{"big": _big, "alpha": _alpha, "gcps": _gcps, "geographic": _geographic},
}
_JP2S: Mapping[str, Callable[[Path], None]] = {"rgb": _jp2_rgb, "numbers": _jp2_numbers, "tiles": _jp2_tiles}
