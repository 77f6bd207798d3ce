"""Read folders of images into stacks: dates of one place on one grid, with masks of hidden ground."""

import fnmatch
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.raster import Raster
from s2match.errors import DatasetError, NoValidPixelsError
from s2match.io.reader import read_raster

SUFFIXES = (".jp2", ".tif", ".tiff", ".png", ".jpg", ".jpeg")
SPLIT_FILE = "split.json"

# Cloud is brighter than the median date of its place by this (uint8); the threshold is kept within these bounds.
_CLOUD_ABOVE_MEDIAN, _CLOUD_LEAST, _CLOUD_SURE = 45, 100, 252
_SHEET_BELOW_PX, _SHEET_COLUMNS = 160, 12
_FULL_WEIGHT_PX = 6e5


@dataclass(frozen=True)
class Stack:
    """The dates of one place.

    Attributes:
        names: T file names.
        images: (T, C, H, W) uint8; C is 1 (grey), or 4: red, green, blue and their mean.
        data: (T, H, W) bool, False where there is no data.
        clear: (T, H, W) bool, False where there is no data or the ground is hidden.
        transform: Pixel (x, y) in the GDAL frame to map coordinates; None without a georeference.
        crs: Coordinate reference system of the map; None without a georeference.
    """

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    data: NDArray[np.bool_]
    clear: NDArray[np.bool_]
    transform: Affine | None = None
    crs: CRS | None = None

    @property
    def weight(self) -> float:
        """Sampling weight of this place: its area, up to a bound, times its number of dates."""
        area = min(1.0, self.images.shape[-2] * self.images.shape[-1] / _FULL_WEIGHT_PX)
        return float(area * len(self.names))


def list_images(folders: Sequence[Path]) -> list[Path]:
    """Image files under the folders, sorted, without those that a ``split.json`` beside them reserves for testing.

    ``split.json`` holds ``{"test": [...]}``, the beginnings of file names.

    Raises:
        DatasetError: A folder is missing or none holds an image.
    """
    paths: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise DatasetError(f"The folder {folder} is not there.")
        paths += [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    banned = {parent: _test_names(parent) for parent in {path.parent for path in paths}}
    kept = [path for path in paths if not path.name.startswith(banned[path.parent])]
    if not kept:
        raise DatasetError(f"There is no image to train on in {', '.join(map(str, folders))}.")
    return kept


def _test_names(folder: Path) -> tuple[str, ...]:
    split = folder / SPLIT_FILE
    return tuple(json.loads(split.read_text())["test"]) if split.is_file() else ()


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether a file name matches one of some shell patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def load_stacks(paths: Sequence[Path], same_place: Sequence[str] = (), max_side: int = 2048) -> list[Stack]:
    """Read images and group the dates of one place.

    Georeferenced images on one grid (CRS, transform and size) are dates of one place, and images without a georeference
    are if they match one pattern of ``same_place``. Chips too small to cut a pair from are laid out on one sheet.

    Args:
        paths: Image files.
        same_place: Shell patterns of file names, such as ``zone9_*``.
        max_side: Longer images are read reduced to this many pixels.
    """
    groups: dict[object, list[Raster]] = {}
    chips: list[Raster] = []
    for path in paths:
        raster = _read(path, max_side)
        if raster is None:
            continue
        if max(raster.size) < _SHEET_BELOW_PX:
            chips.append(raster)
        else:
            groups.setdefault(_place_key(raster, same_place), []).append(raster)
    stacks = [_stack(rasters) for rasters in groups.values()]
    return stacks + ([_sheet(chips)] if chips else [])


def _read(path: Path, max_side: int) -> Raster | None:
    """Read an image, reduced to a longest side; None if it has no valid pixels."""
    try:
        raster = read_raster(path)
    except NoValidPixelsError:
        return None
    if max(raster.size) <= max_side:
        return raster
    scale = max_side / max(raster.size)
    return read_raster(path, (round(raster.size[0] * scale), round(raster.size[1] * scale)))


def _place_key(raster: Raster, same_place: Sequence[str]) -> object:
    """Key that is equal for the dates of one place."""
    if raster.georeferenced:
        return (str(raster.crs), tuple(raster.transform or ()), raster.size)
    name = raster.scene.path.name
    fitting = [pattern for pattern in same_place if fnmatch.fnmatchcase(name, pattern)]
    return (fitting[0], raster.size) if fitting else raster.scene.path


def _bands(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(C, H, W): one band of a grey image, or red, green, blue and the mean."""
    if (image == image[..., :1]).all():
        return np.ascontiguousarray(image[None, ..., 0])
    grey = np.round(image.mean(axis=2, dtype=np.float32)).astype(np.uint8)
    return np.concatenate([image.transpose(2, 0, 1), grey[None]])


def _stack(rasters: list[Raster]) -> Stack:
    bands = [_bands(raster.image) for raster in rasters]
    channels = max(len(b) for b in bands)
    images = np.stack([np.repeat(b, channels, axis=0) if len(b) < channels else b for b in bands])
    data = np.stack([raster.valid for raster in rasters])
    names = tuple(raster.scene.path.name for raster in rasters)
    return Stack(names, images, data, data & ~_cloud(images[:, -1], data), rasters[0].transform, rasters[0].crs)


def _cloud(grey: NDArray[np.uint8], data: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(T, H, W) bool, where a date is far brighter than the median date; of fewer than three, where it saturates."""
    if len(grey) < 3:
        return np.asarray(grey > _CLOUD_SURE)
    ordered = np.sort(np.where(data, grey, 255), axis=0)
    middle = np.maximum(data.sum(axis=0) - 1, 0) // 2
    median = np.take_along_axis(ordered, middle[None], axis=0)[0].astype(int)
    return np.asarray(grey > np.clip(median + _CLOUD_ABOVE_MEDIAN, _CLOUD_LEAST, _CLOUD_SURE))


def _sheet(chips: list[Raster]) -> Stack:
    """Stack of one date, with chips side by side."""
    side = max(max(chip.size) for chip in chips)
    rows = -(-len(chips) // _SHEET_COLUMNS)
    sheet = np.zeros((rows * side, _SHEET_COLUMNS * side, 3), np.uint8)
    for k, chip in enumerate(chips):
        row, column = divmod(k, _SHEET_COLUMNS)
        width, height = chip.size
        sheet[row * side : row * side + height, column * side : column * side + width] = chip.image
    data = np.asarray(sheet.any(axis=2, keepdims=True)).transpose(2, 0, 1)
    return Stack(("sheet of chips",), _bands(sheet)[None], data, data)
