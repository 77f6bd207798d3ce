"""Whole series with known or checkable shifts: real dates whose georeference is right, closure, time and memory.

python -m benchmarks.series [--data ../shared/data] [--workers 2] [--only ukraine slovenia months speed dates]

- ukraine: 50 dates of two neighbouring tiles. Their georeference is right, so every shift is an error.
- slovenia: 68 dates of one place whose georeference is off by up to 2 px. Closure and the scatter of the corrected
  stack are measured without truth.
- months: twelve images of one place without georeference, compared with all 66 pairs (benchmarks/months.py).
- speed: time of the same pairs on one and on two workers, and features computed once or for each pair.
- dates: time and memory of whole series of 10, 25 and 50 dates.
"""

import argparse
import csv
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray

from benchmarks.environment import environment
from benchmarks.months import DEFAULT_JSON as MONTHS_JSON
from benchmarks.networks import ROOT
from benchmarks.pairs import DEFAULT_DATA
from benchmarks.result_file import write_result
from benchmarks.series_tables import Facts, table
from s2match.registration.verdict import CHI2_95
from s2match.settings import Settings
from s2match.timeseries.correction import SeriesCorrection, correct_series
from s2match.timeseries.execution_order import execution_order
from s2match.timeseries.executor import Execution
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.pair_graph import plan_pairs
from s2match.timeseries.quick_looks import quick_looks
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateStatus
from s2match.timeseries.run import SERIES_STAGES, run_series
from s2match.timeseries.sources import SeriesSource, read_source
from s2match.util.progress import progress_bar

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "series.json"

# Quantiles of the standard deviations over time that the figure shows.
_QUANTILES = np.linspace(0.02, 0.98, 25)

# Numbers of dates whose plans, and whose time, are measured.
_DATE_COUNTS = (10, 25, 50)

# Pairs of the measurement of time.
_SPEED_PAIRS = 24


def ukraine(data: Path, workers: int, folder: Path) -> Facts:
    """Errors of 50 dates whose georeference is right."""
    result = _run(read_source(data / "ukraine"), SeriesOptions(), workers, folder / "ukraine")
    rows = [date for date in result.dates if date.status is DateStatus.PLACED]
    index = [date.index for date in rows]
    errors = result.adjustment.shifts[index]
    squares = np.einsum("ni,nij,nj->n", errors, np.linalg.inv(result.adjustment.covariance[index]), errors)
    lengths = np.linalg.norm(errors, axis=1)
    return _common(result) | {
        "errors_px": (lengths / result.pixel).tolist(),
        "within_0.1_px": int((lengths <= 0.1 * result.pixel).sum()),
        "inside_95": int((squares <= CHI2_95).sum()),
        "normalised": float(squares.mean()),
        "dates": [[date.date, date.tile, date.dx_px, date.dy_px, date.dx_std_px, date.dy_std_px] for date in rows],
        "groups": [[term.name, term.images, *(v / result.pixel for v in term.shift)] for term in result.group_terms],
        "not_placed": [[date.file, date.reason] for date in result.dates if date.status is not DateStatus.PLACED],
    }


def slovenia(data: Path, workers: int, folder: Path) -> Facts:
    """Closure of 68 dates, and the scatter over time before and after the correction."""
    source = data / "series_slovenia"
    table = folder / "slovenia.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "mask"])
        for path in sorted(source.glob("NDVI_*.tif")):
            writer.writerow([path.resolve(), path.resolve().with_name(path.name.replace("NDVI", "CLM"))])
    result = _run(read_source(table), SeriesOptions(), workers, folder / "slovenia")
    correct_series(result, SeriesCorrection(folder / "corrected", overwrite=True))
    before, after = _scatter(result, folder / "corrected")
    # resampling alone smooths: the same shifts in the wrong direction show by how much
    reverse = replace(result, adjustment=replace(result.adjustment, shifts=-result.adjustment.shifts))
    correct_series(reverse, SeriesCorrection(folder / "reversed", overwrite=True))
    _, wrong = _scatter(result, folder / "reversed")
    placed = [date.index for date in result.dates if date.status is DateStatus.PLACED]
    lengths = np.linalg.norm(result.adjustment.shifts[placed], axis=1) / result.pixel
    return _common(result) | {
        "shift_px": np.quantile(lengths, [0.5, 0.95]).tolist(),
        "scatter": [float(np.median(before)), float(np.median(after))],
        "scatter_reversed": float(np.median(wrong)),
        "falling": float((after < before).mean()),
        "scatter_quantiles": [np.quantile(values, _QUANTILES).tolist() for values in (before, after)],
        "closures_px": (result.closure.lengths / result.pixel).tolist(),
        "pixels": len(before),
    }


def months(data: Path, workers: int, folder: Path) -> Facts:
    """Offsets of twelve months, compared with those from all pairs."""
    measured = json.loads(MONTHS_JSON.read_text(encoding="utf-8"))
    table = folder / "months.csv"
    lines = [
        f"{(data / 'native10m').resolve()}/zone9_{m}.png,2019-{k:02d}-15" for k, m in enumerate(measured["months"], 1)
    ]
    table.write_text("\n".join(["path,date", *lines]), encoding="utf-8")
    settings = Settings(image_size=None)
    result = _run(read_source(table), SeriesOptions(settings), workers, folder / "months")
    expected = np.array(measured["found"][0]["offset_px"])
    shifts = result.adjustment.shifts
    difference = (shifts - np.nanmedian(shifts, axis=0)) - (expected - np.median(expected, axis=0))
    return _common(result) | {"differences_px": np.linalg.norm(difference, axis=1).tolist()}


def speed(data: Path, workers: int, folder: Path) -> Facts:
    """Time of the same pairs on one worker and on several, and with features for each pair."""
    source = read_source(data / "ukraine")
    pairs = _planned(source)
    source = replace(source, pairs=pairs)
    facts: Facts = {"pairs": len(pairs)}
    for name, execution in {
        "one_worker": Execution(1),
        "workers": Execution(workers),
        # too little memory to keep any features
        "features_for_each_pair": Execution(1, memory_bytes=1 << 20),
    }.items():
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            result = run_series(source, SeriesOptions(), execution, Path(fresh) / "pairs")
        facts[name] = {
            "wall_s": time.perf_counter() - begun,
            "pair_s": float(np.median([observation.seconds for observation in result.observations])),
            "encoded": sum(observation.encoded for observation in result.observations),
            "worker_gb": _largest_worker_gb(),
        }
    return facts


def dates(data: Path, workers: int, folder: Path) -> Facts:
    """Time and memory of whole series by their number of dates, smallest first."""
    source = read_source(data / "ukraine")
    facts: Facts = {}
    for count in _DATE_COUNTS:
        subset = replace(source, images=_evenly(source.images, count))
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            result = run_series(subset, SeriesOptions(), Execution(workers), Path(fresh) / "pairs")
        facts[str(count)] = {
            "wall_s": time.perf_counter() - begun,
            "pairs": len(result.plan),
            "worker_gb": _largest_worker_gb(),
        }
    return {"workers": workers, "by_dates": facts}


def plan(data: Path, workers: int, folder: Path) -> Facts:
    """Pairs that are planned for series by their number of dates."""
    images = read_source(data / "ukraine").images
    looks = dict(zip((image.scene.path for image in images), quick_looks(images), strict=True))
    pairs = {}
    for count in _DATE_COUNTS:
        subset = _evenly(images, count)
        pairs[str(count)] = len(plan_pairs(subset, [looks[image.scene.path] for image in subset], SeriesOptions()))
    return {"pairs": pairs}


def _evenly(images: Sequence[SeriesImage], count: int) -> tuple[SeriesImage, ...]:
    """Images at even steps of a series, numbered anew."""
    chosen = np.linspace(0, len(images) - 1, count).round().astype(int)
    return tuple(replace(images[k], index=number) for number, k in enumerate(chosen))


def _largest_worker_gb() -> float:
    """Peak memory of the largest process that has ended: of this run and those before."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1 << 20)


def _planned(source: SeriesSource) -> tuple[tuple[int, int], ...]:
    """The first pairs of a plan, as they are run: those of one tile in summer share images."""
    looks = quick_looks(source.images)
    pairs = plan_pairs(source.images, looks, SeriesOptions())
    return tuple((pairs[k].reference, pairs[k].target) for k in execution_order(pairs)[:_SPEED_PAIRS])


def _run(source: SeriesSource, options: SeriesOptions, workers: int, folder: Path) -> SeriesResult:
    with progress_bar(SERIES_STAGES) as progress:
        return run_series(source, options, Execution(workers), folder, progress=progress)


def _common(result: SeriesResult) -> Facts:
    """What every series has."""
    left_out = np.linalg.norm(result.adjustment.left_out[result.adjustment.weights > 0], axis=1) / result.pixel
    closure = result.closure
    return {
        "images": len(result.images),
        "placed": sum(date.status is DateStatus.PLACED for date in result.dates),
        "pairs": len(result.plan),
        "measured": sum(observation.measured for observation in result.observations),
        "kept": int((result.adjustment.weights > 0).sum()),
        "triangles": len(closure.lengths),
        "closure_px": [closure.quantile(0.5) / result.pixel, closure.quantile(0.9) / result.pixel],
        "left_out_px": np.nanquantile(left_out, [0.5, 0.9]).tolist(),
        "variance_factor": result.adjustment.variance_factor,
        "std_px": float(np.median([date.dx_std_px for date in result.dates if date.dx_std_px is not None])),
        "pair_s": float(np.median([observation.seconds for observation in result.observations])),
        "encoded": sum(observation.encoded for observation in result.observations),
    }


def _scatter(result: SeriesResult, corrected: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standard deviation over time of each pixel, in the files and in the corrected files.

    Each image is reduced by its own mean first, so that seasons do not hide shifts. Only values that are valid in both
    count, of pixels with ten and more.
    """
    stacks: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
    for image, date in zip(result.images, result.dates, strict=True):
        if date.status is not DateStatus.PLACED:
            continue
        with rasterio.open(image.masks[0]) as file:
            cloud = file.read(1) != 0
        for stack, path in zip(
            stacks, (image.scene.path, corrected / f"{image.scene.path.stem}_coregistered.tif"), strict=True
        ):
            with rasterio.open(path) as file:
                values = file.read(1, masked=True).astype(float).filled(np.nan)
            values[cloud] = np.nan
            stack.append(values - np.nanmean(values))
    before, after = (np.array(stack) for stack in stacks)
    both = np.isfinite(before) & np.isfinite(after)
    before, after = (np.where(both, stack, np.nan) for stack in (before, after))
    many = both.sum(axis=0) >= 10
    return np.nanstd(before, axis=0)[many], np.nanstd(after, axis=0)[many]


PARTS: dict[str, Callable[[Path, int, Path], Facts]] = {
    "ukraine": ukraine,
    "slovenia": slovenia,
    "months": months,
    "speed": speed,
    "dates": dates,
    "plan": plan,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure these, keep the others")
    parser.add_argument("--folder", type=Path, help="folder of the finished pairs, to go on after an interruption")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args(argv)
    result = json.loads(arguments.json.read_text(encoding="utf-8")) if arguments.json.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for name in arguments.only:
            result[name] = PARTS[name](arguments.data, arguments.workers, folder)
            content = {**result, "environment": environment(torch.device("cpu"))}
            write_result(arguments.json, content)
    print(table(result))


if __name__ == "__main__":
    main()
