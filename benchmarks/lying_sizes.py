"""Time and memory of commands on small files that claim to be very large.

python -m benchmarks.lying_sizes        (a few minutes)
"""

import argparse
import json
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rasterio

from benchmarks.cost import measured
from benchmarks.markdown import row
from benchmarks.networks import ROOT
from s2match.util.atomic_write import write_text

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "lying_sizes.json"

_SAMPLE = ROOT / "dataset" / "sample"
_REFERENCE = _SAMPLE / "SYNTHETIC-B_20240510T103621_TCI.jp2"
_TARGET = _SAMPLE / "SYNTHETIC-B_20240813T103631_TCI.jp2"
_TILE_M = 10_980


@dataclass(frozen=True)
class Cost:
    """What a command on such a file took.

    Attributes:
        file: What the file claims.
        kilobytes: Its size on disk.
        use: What it is used as.
        code: Exit code.
        seconds: Time of the command.
        peak_mib: Most resident memory.
        sentence: Whether an error was one sentence; True without one.
    """

    file: str
    kilobytes: int
    use: str
    code: int
    seconds: float
    peak_mib: float
    sentence: bool


def _empty(path: Path, side: int, **profile: Any) -> None:
    """Write a GeoTIFF of which no pixel is written."""
    with rasterio.open(_REFERENCE) as file:
        corner, crs = file.transform, file.crs
    transform = rasterio.Affine(_TILE_M / side, 0, corner.c, 0, -_TILE_M / side, corner.f)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "compress": "deflate", "BIGTIFF": "YES", **profile}
    with rasterio.open(path, "w", width=side, height=side, sparse_ok=True, crs=crs, transform=transform, **profile):
        pass


def _one_tile(path: Path, side: int) -> None:
    """Write a JPEG 2000 that claims to be one tile."""
    data = bytearray(_REFERENCE.read_bytes())
    sizes = data.find(b"\xff\x4f\xff\x51") + 8
    struct.pack_into(">8I", data, sizes, side, side, 0, 0, side, side, 0, 0)
    struct.pack_into(">II", data, data.find(b"ihdr") + 4, side, side)
    path.write_bytes(data)


FILES: Mapping[str, Callable[[Path], None]] = {
    "JPEG 2000, one tile of 40 000²": partial(_one_tile, side=40_000),
    "TIFF of 40 000², 3 bands, tiles of 512²": partial(
        _empty, side=40_000, count=3, tiled=True, blockxsize=512, blockysize=512
    ),
    "TIFF of 40 000², one strip": partial(_empty, side=40_000, blockysize=40_000),
    "TIFF of 40 000², tiles of 16 384²": partial(_empty, side=40_000, tiled=True, blockxsize=16_384, blockysize=16_384),
    "TIFF of 200 000², tiles of 4096²": partial(_empty, side=200_000, tiled=True, blockxsize=4096, blockysize=4096),
}


def _uses(path: Path) -> Mapping[str, list[str]]:
    """Options of the command by what a file is used as."""
    pair = ["--no-figure", "--image_size", "512", "512", "--images", str(_REFERENCE)]
    corrected = ["--coregister", str(path.with_name("corrected.tif"))]
    return {
        "list": ["--list", "--dataset_path", str(path.parent)],
        "match": [*pair, str(path)],
        "mask": [*pair, str(_TARGET), "--mask", str(path)],
        "apply_to": [*pair, str(_TARGET), *corrected, "--apply_to", str(path)],
    }


def measure() -> list[Cost]:
    """Every file in every use, one command after the other."""
    costs = []
    for name, write in FILES.items():
        folder = Path(tempfile.mkdtemp())
        path = folder / "T31NEA_20240701T103621_TCI.jp2"
        write(path)
        for use, options in _uses(path).items():
            cost = measured([sys.executable, "model_inference.py", *options])
            sentence = cost.code == 0 or ("Traceback" not in cost.errors and path.stem in cost.errors)
            size_kb = -(-path.stat().st_size // 1024)
            costs.append(Cost(name, size_kb, use, cost.code, cost.seconds, 1024 * cost.peak_gib, sentence))
            print(costs[-1], file=sys.stderr)
        shutil.rmtree(folder)
    return costs


def table(costs: Sequence[Cost]) -> str:
    """Markdown table with a row for each file and a column for each use."""
    uses = list(dict.fromkeys(cost.use for cost in costs))
    lines = [row(["file", "size", *uses]), row(["---", "---:", *["---:"] * len(uses)])]
    for name in dict.fromkeys(cost.file for cost in costs):
        of_file = [cost for cost in costs if cost.file == name]
        lines.append(row([name, f"{of_file[0].kilobytes} kB", *map(_cell, of_file)]))
    return "\n".join(lines)


def _cell(cost: Cost) -> str:
    end = "read" if cost.code == 0 else f"code {cost.code}" if cost.sentence else "no sentence"
    return f"{end}, {cost.seconds:.0f} s, {cost.peak_mib:.0f} MiB"


def main() -> None:
    """Measure, print the table and write the JSON."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    costs = measure()
    print(table(costs))
    write_text(DEFAULT_JSON, json.dumps({"costs": [asdict(cost) for cost in costs]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
