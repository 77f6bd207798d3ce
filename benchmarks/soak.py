"""Memory, open files and threads of one process that matches and corrects many pairs.

python -m benchmarks.soak [--pairs 500] [--corrections 50] [--scenes 8]

Each pair is matched from files, and its JSON and tie points are written; some targets are corrected, and their figures
drawn. Pixels differ from pair to pair, so that nothing that is kept for a file is used again.
"""

import argparse
import functools
import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from tqdm import tqdm

import s2match
from benchmarks.environment import environment
from benchmarks.fuzz.image_seeds import TRANSFORM, UTM, write_raster
from benchmarks.markdown import row
from benchmarks.networks import ROOT
from benchmarks.result_file import write_result
from s2match.pipeline import create_matcher, match_files
from s2match.settings import Settings

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "soak.json"

# Side of the images, and the shift between them: right and down.
_SIDE_PX, _SHIFT_PX = 128, (3, 2)

# Part of the pairs before which memory still grows: caches of libraries fill.
_WARM_UP = 0.2

_MB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """What the process has after a pair.

    Attributes:
        resident_mb: Resident memory, MiB.
        open_files: Open file descriptors.
        threads: Threads.
    """

    resident_mb: float
    open_files: int
    threads: int


@dataclass(frozen=True)
class Soak:
    """What became of the process.

    Attributes:
        pairs: Pairs that were matched.
        registered: Pairs with a registration.
        corrected: Targets that were corrected.
        seconds: Time of all of them.
        samples: The process after each pair.
    """

    pairs: int
    registered: int
    corrected: int
    seconds: float
    samples: tuple[Sample, ...]

    @property
    def steady(self) -> tuple[Sample, ...]:
        """The samples behind the first pairs, in which caches fill."""
        return self.samples[int(len(self.samples) * _WARM_UP) :]

    @property
    def growth_kb(self) -> tuple[float, float]:
        """Growth of the resident memory for each pair, kB, and its standard error, by a line through the samples."""
        resident = np.array([sample.resident_mb for sample in self.steady]) * 1024
        steps = np.arange(len(resident)) - (len(resident) - 1) / 2
        slope = float(steps @ resident / (steps @ steps))
        residuals = resident - resident.mean() - slope * steps
        return slope, float(np.sqrt(residuals @ residuals / (len(resident) - 2) / (steps @ steps)))


def run_soak(pairs: int, corrections: int, settings: Settings, scenes: int | None = None) -> Soak:
    """Match pairs, and correct some of them, in this process.

    Args:
        pairs: Number of pairs.
        corrections: Number of them whose target is corrected and whose figure is drawn.
        settings: The options of matching.
        scenes: Number of different pairs, which are matched in turn; None: all differ.
    """
    load_matcher = functools.cache(create_matcher)
    process, begun = psutil.Process(), time.perf_counter()
    registered, corrected, samples = 0, 0, []
    with tempfile.TemporaryDirectory(prefix="s2match-soak-") as name:
        folder = Path(name)
        for number in tqdm(range(pairs), disable=None):
            reference, target = _write_pair(folder, number, number % (scenes or pairs))
            # spread evenly
            if (number + 1) * corrections // pairs > number * corrections // pairs:
                done = s2match.coregister(
                    reference, target, folder / "corrected.tif", settings=settings, overwrite=True, force=True
                )
                result, corrected = done.result, corrected + len(done.files)
                s2match.save_figure(s2match.plot_matches(result), folder / "result.png")
            else:
                result = match_files(reference, target, settings, load_matcher=load_matcher)
            s2match.write_json(result, folder / "result.json")
            s2match.write_tie_points(s2match.tie_points_of(result), folder / "points.gpkg")
            registered += result.registration is not None
            del result
            gc.collect()
            reference.unlink()
            target.unlink()
            samples.append(_sample(process))
    return Soak(pairs, registered, corrected, time.perf_counter() - begun, tuple(samples))


def _sample(process: psutil.Process) -> Sample:
    return Sample(process.memory_info().rss / _MB, process.num_fds(), process.num_threads())


def _write_pair(folder: Path, number: int, scene_number: int) -> tuple[Path, Path]:
    """Write two images of one scene, the second moved; their names are those of no other pair."""
    right, down = _SHIFT_PX
    scene = _scene(scene_number)
    paths = folder / f"reference{number}.tif", folder / f"target{number}.tif"
    for path, image in zip(paths, (scene[:_SIDE_PX, :_SIDE_PX], scene[down:, right:]), strict=True):
        write_raster(path, np.stack([image[:_SIDE_PX, :_SIDE_PX]] * 3), transform=TRANSFORM, crs=UTM)
    return paths


def _scene(number: int) -> NDArray[np.uint8]:
    """A texture, a little larger than the images."""
    side = _SIDE_PX + max(_SHIFT_PX)
    noise = np.random.default_rng(number).standard_normal((side, side)).astype(np.float32)
    image = sum((cv2.GaussianBlur(noise, (0, 0), 3.0 * 2**k) * 2**k for k in range(3)), start=np.zeros_like(noise))
    low, high = np.percentile(image, [0.5, 99.5])
    return np.asarray(np.clip((image - low) / (high - low) * 200 + 20, 20, 220), np.uint8)


def table(result: dict[str, float]) -> str:
    """Markdown table of a run."""
    rows = {
        "pairs matched in one process": f"{result['pairs']}, {result['registered']} registered",
        "targets corrected, figures drawn": f"{result['corrected']}",
        "time": f"{result['seconds']:.0f} s",
        "resident memory after a fifth of the pairs, and at the end": (
            f"{result['begin_mb']:.0f} MiB, {result['end_mb']:.0f} MiB"
        ),
        "growth for each pair (± standard error)": f"{result['growth_kb']:.1f} ± {result['growth_error_kb']:.1f} kB",
        "open files, then and at the end": f"{result['begin_files']}, {result['end_files']}",
        "threads, then and at the end": f"{result['begin_threads']}, {result['end_threads']}",
    }
    return "\n".join([row(["", ""]), "|---|---|", *(row([name, value]) for name, value in rows.items())])


def facts_of(soak: Soak) -> dict[str, float]:
    """The figures of a run as JSON types."""
    first, last = soak.steady[0], soak.steady[-1]
    growth, error = soak.growth_kb
    return {
        "pairs": soak.pairs,
        "registered": soak.registered,
        "corrected": soak.corrected,
        "seconds": round(soak.seconds),
        "begin_mb": round(first.resident_mb, 1),
        "end_mb": round(last.resident_mb, 1),
        "growth_kb": round(growth, 2),
        "growth_error_kb": round(error, 2),
        "begin_files": first.open_files,
        "end_files": last.open_files,
        "begin_threads": first.threads,
        "end_threads": last.threads,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the soak, print its table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--corrections", type=int, default=50)
    parser.add_argument("--scenes", type=int, help="number of different pairs, in turn (default: all differ)")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args(argv)
    settings = Settings(confidence=0.2, device="cpu")
    result = facts_of(run_soak(arguments.pairs, arguments.corrections, settings, arguments.scenes))
    print(table(result))
    write_result(arguments.json, {**result, "environment": environment(torch.device("cpu"))})


if __name__ == "__main__":
    main()
