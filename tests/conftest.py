"""What tests share: synthetic textures, images on disk, and the real images where there are any."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from browser import find_chromium
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.grid import Grid
from s2match.core.matches import GreyImage, Matches
from s2match.core.raster import Raster
from s2match.core.scene import scene_of
from s2match.matching.matcher import Matcher

# tests call PyTorch without the limits of threads, and would spin beside other processes; read when it is imported
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ROOT = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("S2MATCH_REAL_DATA", ROOT.parent / "shared" / "data"))
# What the network is run in, by the processor; tests of its numbers hold in each.
PRECISIONS = ("float32", "bfloat16")
UTM = CRS.from_epsg(32636)
GRID = Affine(10, 0, 600000, 0, -10, 5600040)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Give each process that runs tests, and its commands, one thread: together they fill the processors."""
    os.environ.update(OMP_NUM_THREADS="1", OPENCV_FOR_THREADS_NUM="1")
    # a hundred processes would compile the same modules again
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # files with the most slow tests first, so that no process is left alone with one
    slow = Counter(item.path for item in items if "slow" in item.keywords)
    items.sort(key=lambda item: -slow[item.path])
    if find_chromium() is None:
        for item in items:
            if "browser" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="there is no chromium: apt-get install chromium"))
    if not (REAL / "ukraine").is_dir():
        skip = pytest.mark.skip(reason=f"the real Sentinel-2 images are not in {REAL}")
        for item in items:
            if "real" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def bundled_weights_loaded_once() -> Iterator[None]:
    """Load the bundled weights once for all commands in this process: none of them changes the network."""
    # tests of modules that need no PyTorch do not wait for it
    if "torch" not in sys.modules:
        yield
        return
    from s2match.loftr import checkpoints

    load, bundled = checkpoints.load_network, cache(checkpoints.load_network)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checkpoints, "load_network", lambda name: (bundled if name == "sentinel2" else load)(name))
        yield


@contextmanager
def _as_it_is(figure: Any) -> Iterator[None]:
    """Save a figure without its layout engine, which takes as long as the drawing."""
    figure.set_layout_engine(None)
    yield


def draw_coarsely(patched: pytest.MonkeyPatch) -> None:
    """Draw figures with few pixels and no layout."""
    patched.setattr("s2match.outputs.figures.saving.DPI", 30)
    patched.setattr("s2match.outputs.figures.saving._laid_out", _as_it_is)


@pytest.fixture
def coarse_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw figures coarsely, where a test is not about them."""
    draw_coarsely(monkeypatch)


def texture(width: int, height: int, seed: int = 0, detail_px: float = 6.0) -> NDArray[np.uint8]:
    """H×W uint8 in 20 to 220, smooth at the scale of a pixel and rich above ``detail_px``."""
    noise = np.random.default_rng(seed).standard_normal((height, width)).astype(np.float32)
    image = sum(cv2.GaussianBlur(noise, (0, 0), detail_px * 2**k) * 2**k for k in range(3))
    low, high = np.percentile(image, [0.5, 99.5])
    return np.clip((image - low) / (high - low) * 200 + 20, 20, 220).astype(np.uint8)


def make_raster(
    image: NDArray[np.uint8],
    transform: Affine | None = GRID,
    crs: CRS | None = UTM,
    valid: NDArray[np.bool_] | None = None,
    name: str = "T36UXA_20180820T083601_TCI.jp2",
) -> Raster:
    """A raster from a grey H×W image."""
    valid = np.ones(image.shape, np.bool_) if valid is None else valid
    colour = np.repeat(image[..., None], 3, axis=2)
    size = (image.shape[1], image.shape[0])
    return Raster(Grid(size, transform, crs, size, scene_of(Path(name))), colour, valid)


def write_geotiff(
    path: Path, bands: NDArray[Any], transform: Affine | None = GRID, crs: CRS | None = UTM, **profile: Any
) -> Path:
    """Write a GeoTIFF, or a lossless JP2 by the suffix; bands H×W or B×H×W."""
    bands = bands[None] if bands.ndim == 2 else bands
    count, height, width = bands.shape
    profile = {"driver": "JP2OpenJPEG" if path.suffix == ".jp2" else "GTiff", **profile}
    if profile["driver"] == "JP2OpenJPEG":
        profile = {"QUALITY": "100", "REVERSIBLE": "YES", **profile}
    if transform is not None:
        profile |= {"transform": transform, "crs": crs}
    with rasterio.open(path, "w", width=width, height=height, count=count, dtype=bands.dtype, **profile) as file:
        file.write(bands)
    return path


def match_images(matcher: Matcher[Any], images: Sequence[GreyImage], confidence: float) -> Matches:
    """Matches of two images by a matcher."""
    return matcher.match_encoded(*map(matcher.encode, images), confidence)


Writer = Callable[..., Path]


@pytest.fixture
def write_image(tmp_path: Path) -> Writer:
    """Write an image file: ``write_image(name, bands, transform=…, crs=…, **profile)``; bands H×W or B×H×W."""

    def write(
        name: str, bands: NDArray[Any], transform: Affine | None = GRID, crs: CRS | None = UTM, **profile: Any
    ) -> Path:
        return write_geotiff(tmp_path / name, bands, transform, crs, **profile)

    return write


@pytest.fixture
def dataset(tmp_path: Path, write_image: Writer) -> Path:
    """A folder of three small scenes: two dates of one tile, 3 and 5 px apart, and one of another place."""
    scene = texture(320, 320, seed=1)
    away = Affine.translation(500_000, 0) @ GRID
    (tmp_path / "images").mkdir()
    for name, image, transform in (
        ("T36UXA_20180820T083601_TCI.jp2", scene[:256, :256], GRID),
        ("T36UXA_20190606T083601_TCI.jp2", scene[5:261, 3:259], GRID @ Affine.translation(3, 5)),
        ("T40UXA_20190606T083601_TCI.jp2", texture(256, 256, seed=2), away),
    ):
        write_image(f"images/{name}", np.stack([image] * 3), transform)
    return tmp_path / "images"
