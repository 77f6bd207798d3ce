"""Accuracy of matches on 16 test pairs, by their georeference, for LoFTR and other methods.

python -m benchmarks.accuracy [--data ../shared/data/ukraine] [--size 1024] [--offset 3 5 ...] [--weights sentinel2 ...]

The true position of a match follows from the georeference of the two images. Aligned images favour LoFTR, because
their true matches lie on its coarse grid of 8 px. ``--offset X Y`` crops the target's left and upper edges. With
offsets that are not multiples of 8, the fine stage must find the rest. With fractions of a pixel, the target is
resampled.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.baselines import match_sift, phase_shift
from benchmarks.environment import environment
from benchmarks.result_file import write_result
from benchmarks.scoring import Score, moved, score
from benchmarks.tables import Run, has_confidence, per_pair, scores_of, totals
from s2match.core.matches import Matches
from s2match.core.raster import Raster
from s2match.errors import WeightsDownloadError
from s2match.io.reader import read_raster
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.greyscale import prepare
from s2match.matching.single_pass import match_rasters
from s2match.outputs.figures.matches import plot_pair
from s2match.outputs.figures.saving import save_figure
from s2match.settings import Settings
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads

OFFSETS = ((0.0, 0.0), (3.0, 5.0), (1.0, 2.0), (4.0, 4.0), (0.5, 0.5), (2.4, 6.7))
DEFAULT_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "ukraine"
DEFAULT_JSON = Path(__file__).resolve().parent / "results" / "accuracy.json"

# Returns matches, or a 3×3 matrix from reference to target pixels, or None.
Method = Callable[[Raster, Raster], Matches | NDArray[np.float64] | None]


def loftr(weights: str, confidence: float) -> dict[str, Method]:
    """LoFTR with named weights, by name: the points of the network, and refined points."""
    matcher = LoftrMatcher(load_network(weights), pick_device("auto"))
    settings = Settings(confidence=confidence)
    return {
        f"LoFTR {weights}": partial(_match, matcher, settings.but(refine=False)),
        f"LoFTR {weights}, refined": partial(_match, matcher, settings),
    }


def _match(matcher: LoftrMatcher, settings: Settings, reference: Raster, target: Raster) -> Matches:
    return match_rasters(matcher, reference, target, settings)


def sift(reference: Raster, target: Raster) -> Matches:
    """OpenCV SIFT on the grey images that LoFTR gets."""
    return match_sift(prepare(reference), prepare(target))


def phase_correlation(reference: Raster, target: Raster) -> NDArray[np.float64]:
    """3×3 matrix of one shift for the whole image."""
    matrix = np.eye(3)
    matrix[:2, 2] = phase_shift(prepare(reference), prepare(target))
    return matrix


def identity(reference: Raster, target: Raster) -> NDArray[np.float64]:
    """3×3 identity matrix, as a baseline."""
    return np.eye(3)


def measure(data: Path, method: Method, size: int, offset: tuple[float, float], title: str) -> list[Score]:
    """Score a method on every test pair, with the target cropped by an offset in pixels."""
    pairs = json.loads((data / "split.json").read_text())["pairs"]
    scores = []
    for names in tqdm(pairs, desc=f"{title} {offset[0]:g},{offset[1]:g}", leave=False):
        reference, target = (read_raster(next(data.glob(f"{name}*.jp2")), (size, size)) for name in names)
        target = moved(target, offset)
        scores.append(score(reference, target, method(reference, target)))
    return scores


def draw_unregistered(data: Path, size: int, runs: list[Run], folder: Path) -> None:
    """Draw the pairs that LoFTR did not register at every offset."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = [s for run in runs if has_confidence(run) for s in scores_of(run)]
    for names in sorted({(s.reference, s.target) for s in scores if not s.registered}):
        pair = [read_raster(next(data.glob(f"{name}*.jp2")), (size, size)) for name in names]
        save_figure(plot_pair(pair[0], pair[1]), folder / f"{names[0][:15]}_{names[1][:15]}.png")


def _runs_of(result: dict[str, Any], without: Sequence[str]) -> dict[tuple[str, tuple[float, float]], Run]:
    """The runs of an earlier result by method and offset, without those of some methods."""
    return {
        (run["matcher"], (run["offset_px"][0], run["offset_px"][1])): run
        for run in result["runs"]
        if run["matcher"] not in without
    }


@limit_threads()
def main() -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--offset", type=float, nargs=2, action="append", metavar=("X", "Y"))
    parser.add_argument("--confidence", type=float, default=0.2)
    parser.add_argument("--weights", nargs="+", default=["sentinel2", "outdoor", "indoor", "indoor_new"])
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="measure these again; keep others of the JSON")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    parser.add_argument("--figures", type=Path, help="folder to draw the pairs in that LoFTR does not register")
    arguments = parser.parse_args()
    if not (arguments.data / "split.json").is_file():
        parser.error(f"the test images are not there: {arguments.data}")
    methods: dict[str, Method] = {"identity": identity, "phase correlation": phase_correlation, "OpenCV SIFT": sift}
    for weights in arguments.weights:
        try:
            methods |= loftr(weights, arguments.confidence)
        except WeightsDownloadError as error:
            print(f"{weights}: not measured. {error}\n")
    kept = {} if arguments.methods is None else _runs_of(json.loads(arguments.json.read_text()), arguments.methods)

    def run_of(name: str, offset: tuple[float, float]) -> Run:
        if (name, offset) in kept:
            return kept[name, offset]
        scores = measure(arguments.data, methods[name], arguments.size, offset, name)
        return {"matcher": name, "offset_px": list(offset), "scores": [asdict(s) for s in scores]}

    result: dict[str, Any] = {
        "environment": environment(pick_device("auto")),
        "measured_before": sorted({name for name, _ in kept}),
        "size_px": arguments.size,
        "confidence": arguments.confidence,
        "runs": [run_of(name, tuple(offset)) for offset in arguments.offset or OFFSETS for name in methods],
    }
    print("\n\n".join([totals(result), *(per_pair(result, tuple(o)) for o in arguments.offset or OFFSETS)]))
    if arguments.figures is not None:
        draw_unregistered(arguments.data, arguments.size, result["runs"], arguments.figures)
    write_result(arguments.json, result)


if __name__ == "__main__":
    main()
