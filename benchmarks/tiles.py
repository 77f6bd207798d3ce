"""Time of the whole command on two full tiles, against full decoding, area resizing and stock kornia."""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio

from benchmarks.cost import command_cost
from benchmarks.networks import PRETRAINED, ROOT, network
from s2match.io.reader import read_raster
from s2match.io.scene_files import list_scenes
from s2match.loftr.checkpoints import save_weights

TILE_PX, TILE_SIZE = 10_980, (1098, 1098)

# Standard deviation of the noise in each band: a lossless tile then has 130 MB, as those of ESA.
_NOISE = 1.2


def write_tiles(folder: Path) -> list[Path]:
    """Write two dates of the sample as tiles of 10 980 px in JPEG 2000, with noise for realistic file sizes."""
    rng = np.random.default_rng(0)
    paths = []
    for scene in (list_scenes(ROOT / "dataset" / "sample")[k] for k in (15, 5)):
        raster = read_raster(scene.path)
        image = cv2.resize(raster.image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_CUBIC)
        assert raster.transform is not None
        scale = raster.size[0] / TILE_PX
        profile = {"driver": "JP2OpenJPEG", "width": TILE_PX, "height": TILE_PX, "count": 3, "dtype": "uint8"}
        profile |= {"crs": raster.crs, "transform": raster.transform @ rasterio.Affine.scale(scale)}
        profile |= {"QUALITY": "100", "REVERSIBLE": "YES"}
        paths.append(folder / scene.path.name)
        with rasterio.open(paths[-1], "w", **profile) as file:
            for band in range(3):
                noise = rng.normal(0, _NOISE, (TILE_PX, TILE_PX)).round().astype(np.int16)
                file.write(np.clip(image[..., band] + noise, 0, 255).astype(np.uint8), band + 1)
    return paths


STOCK_COMMAND = """
import sys, cv2, numpy as np, rasterio, torch
from benchmarks.cost import command_cost
from benchmarks.networks import network
net = network(sys.argv[1]).net
images = []
for path in sys.argv[2:]:
    with rasterio.open(path) as file:
        grey = file.read().astype(np.float32).mean(axis=0)
    small = cv2.resize(grey, (1098, 1098), interpolation=cv2.INTER_AREA) / 255
    images.append(torch.from_numpy(small)[None, None])
with torch.inference_mode():
    net({"image0": images[0], "image1": images[1]})
"""


def time_tiles(repeats: int) -> list[dict[str, Any]]:
    """Median time and peak memory of the command and of stock kornia on two full tiles, as JSON types."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tiles = [str(path) for path in write_tiles(folder)]
        save_weights(network(PRETRAINED).net, 0.5, folder / "random.safetensors")
        for name, weights in ((PRETRAINED, str(folder / "random.safetensors")), ("sentinel2", "sentinel2")):
            ours = [sys.executable, "model_inference.py", "--images", *tiles, "--model_pretrained", weights]
            ours += ["--image_size", *map(str, TILE_SIZE), "--no-show", "--output", str(folder / "result.png")]
            ours.append("--overwrite")
            commands = {"stock": [sys.executable, "-c", STOCK_COMMAND, name, *tiles], "ours": ours}
            costs_by_path: dict[str, list[tuple[float, float]]] = {"stock": [], "ours": []}
            for _ in range(repeats):
                for path, command in commands.items():
                    costs_by_path[path].append(command_cost(command))
            for path, costs in costs_by_path.items():
                seconds, memory = (statistics.median(values) for values in zip(*costs, strict=True))
                rows.append({"network": name, "path": path, "total_s": seconds, "peak_gb": memory})
        megabytes = [Path(tile).stat().st_size / 1e6 for tile in tiles]
    return [row | {"tile_mb": megabytes} for row in rows]
