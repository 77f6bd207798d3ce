"""Accuracy, time and memory of the command on full tiles at 10 m with a known displacement field.

python -m benchmarks.native [--sizes 2745 5490 8235 10980] [--preset thorough] [--processors 1] [--repeats 3]
                            [--json FILE]

The tiles are two dates of a synthetic landscape in JPEG 2000; the second one is deformed by a smooth field of 0.3 to
2 px. The command runs in its own process. The model in its JSON is compared with the truth over the whole scene. What
is not measured is kept in the JSON.
"""

import argparse
import itertools
import json
import math
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from benchmarks.cost import command_cost
from benchmarks.deformations import deformed, field
from benchmarks.environment import environment
from benchmarks.markdown import row
from benchmarks.networks import ROOT
from benchmarks.result_file import write_result
from s2match.core.point_maps import grid_points
from s2match.registration.file_model import ControlPoints, FrameModel
from s2match.synthetic import SceneSpec, make_ground, render
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads, processors

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "native.json"
SIZES = (2745, 5490, 8235, 10_980)

# Side of the landscape; a tile repeats it rotated and mirrored, so that no two parts are alike.
_GROUND_PX = 2745
_SEED = 3
_DATES = (
    SceneSpec("B", datetime(2024, 8, 13, 10, 36, 31)),
    SceneSpec("B", datetime(2023, 4, 21, 10, 36, 21), clouds=0.15),
)
_NAMES = ("T31NEA_20240813T103631_TCI.jp2", "T31NEA_20230421T103621_TCI.jp2")
_TRANSFORM = rasterio.Affine(10, 0, 500_000, 0, -10, 109_800)
_CRS = "EPSG:32631"
_POINTS_PER_AXIS = 101


@dataclass(frozen=True)
class Native:
    """Result of the command on two tiles.

    Attributes:
        size_px: Side of the tiles.
        preset: Preset of the command.
        processors: Number of processors that the command may use.
        file_mb: Size of both files in MB.
        matches: Number of matches.
        model: Name of the model.
        bias_px: Mean error (x, y) of the model.
        rmse_px: Root mean square error of the model.
        worst_px: Largest error of the model.
        seconds: Time of the whole command; of several runs, the median.
        peak_gb: Peak memory of the command; of several runs, the largest.
    """

    size_px: int
    preset: str
    processors: int
    file_mb: float
    matches: int
    model: str
    bias_px: tuple[float, float]
    rmse_px: float
    worst_px: float
    seconds: float
    peak_gb: float


def write_pair(folder: Path, size: int, dates: list[NDArray[np.uint8]]) -> list[Path]:
    """Write two dates as tiles of a size in pixels, the second deformed; return the files."""
    paths = []
    for number, (name, date) in enumerate(zip(_NAMES, dates, strict=True)):
        image = _mosaic(date, size)
        if number:
            image = deformed(image, field())
        paths.append(folder / name)
        profile = {"driver": "JP2OpenJPEG", "width": size, "height": size, "count": 3, "dtype": "uint8"}
        profile |= {"crs": _CRS, "transform": _TRANSFORM, "QUALITY": "35"}
        with rasterio.open(paths[-1], "w", **profile) as file:
            file.write(image.transpose(2, 0, 1))
    return paths


def render_dates() -> list[NDArray[np.uint8]]:
    """The landscape on the two dates."""
    ground = make_ground(_GROUND_PX, 0, _SEED)
    return [render(ground, spec, _SEED) for spec in _DATES]


def measure(paths: list[Path], size: int, preset: str, count: int) -> Native:
    """Run the command on two tiles with some processors, and compare its model with the truth."""
    folder = paths[0].parent
    out = folder / "result.json"
    command = [sys.executable, "model_inference.py", "--images", *map(str, paths), "--preset", preset, "--no-show"]
    command += ["--json", str(out), "--output", str(folder / "result.png"), "--overwrite"]
    seconds, peak_gb = command_cost(["taskset", "--cpu-list", f"0-{count - 1}", *command])
    facts = json.loads(out.read_text())
    axis = np.linspace(0, size, _POINTS_PER_AXIS)
    xy = grid_points(axis, axis)
    error = _map_points(facts["registration"], xy) - field().forward(xy, (size, size))
    length = np.linalg.norm(error, axis=1)
    return Native(
        size,
        preset,
        count,
        sum(path.stat().st_size for path in paths) / 1e6,
        facts["matches"],
        facts["registration"]["model"],
        (float(error[:, 0].mean()), float(error[:, 1].mean())),
        float(np.sqrt((length**2).mean())),
        float(length.max()),
        seconds,
        peak_gb,
    )


def _combined(runs: list[Native]) -> Native:
    """The median of the times of runs of one command, and the largest of their memories."""
    seconds = statistics.median(run.seconds for run in runs)
    return replace(runs[0], seconds=seconds, peak_gb=max(run.peak_gb for run in runs))


def table(results: list[Native]) -> str:
    """Markdown table with a row for each size and preset."""
    head = ["tiles", "preset", "files", "matches", "model", "RMSE", "worst", "processors", "time", "per megapixel"]
    head += ["memory"]
    lines = [row(head), "|---:|---|" + "---:|" * (len(head) - 2)]
    for n in results:
        cells = [f"{n.size_px}²", n.preset, f"{n.file_mb:.0f} MB", str(n.matches), n.model, f"{n.rmse_px:.3f} px"]
        per_megapixel = n.seconds / (n.size_px**2 / 1e6)
        cells += [
            f"{n.worst_px:.2f} px",
            str(n.processors),
            f"{n.seconds:.0f} s",
            f"{per_megapixel:.2f} s",
            f"{n.peak_gb:.2f} GB",
        ]
        lines.append(row(cells))
    return "\n".join(lines)


def _key(native: Native) -> tuple[bool, int, int]:
    """What is measured once, in the order of the table: preset, with thorough first, size, and number of processors."""
    return native.preset != "thorough", native.size_px, -native.processors


def _mosaic(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """An image of a size in pixels from rotated and mirrored copies of a square one."""
    side = len(image)
    count = math.ceil(size / side)
    out = np.empty((count * side, count * side, 3), np.uint8)
    for number in range(count**2):
        down, right = divmod(number, count)
        copy = np.rot90(image, number % 4)
        copy = copy[:, ::-1] if number // 4 % 2 else copy
        # after the eight symmetries of the square, its halves are swapped
        copy = np.roll(copy, number // 8 * side // 2, axis=(0, 1))
        out[down * side : (down + 1) * side, right * side : (right + 1) * side] = copy
    return out[:size, :size]


def _map_points(registration: dict[str, Any], xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) target pixels of (N, 2) reference pixels, by the model in the JSON."""
    matrix = np.array(registration["matrix_reference_file_px_to_target_file_px"])
    field = registration["field_reference_file_px_to_target_file_px"]
    control = None if field is None else ControlPoints(**field | {"coefficients": np.array(field["coefficients"])})
    return FrameModel(matrix, control).apply(xy)


@limit_threads()
def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--preset", nargs="+", default=["thorough", "fast"])
    parser.add_argument("--processors", type=int, nargs="+", default=[processors()])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    dates = render_dates()
    kept = json.loads(arguments.json.read_text())["found"] if arguments.json.exists() else []
    results = {_key(one): one for one in (Native(**facts) for facts in kept)}
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            paths = write_pair(Path(folder), size, dates)
            for preset, count in itertools.product(arguments.preset, arguments.processors):
                found = _combined([measure(paths, size, preset, count) for _ in range(arguments.repeats)])
                results[_key(found)] = found
                print(table([found]).splitlines()[-1], flush=True)
    ordered = [results[key] for key in sorted(results)]
    print(table(ordered))
    result = {"environment": environment(pick_device("auto")), "found": [asdict(n) for n in ordered]}
    write_result(arguments.json, result)


if __name__ == "__main__":
    main()
