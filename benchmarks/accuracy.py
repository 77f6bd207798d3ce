"""Matches of the 16 fixed test pairs against the georeference, for every matcher that can be had.

python -m benchmarks.accuracy [--data ../shared/data/ukraine] [--size 1024] [--offset 0 0] [--weights sentinel2 ...]

The truth of a match is where the georeference of the two images places the point. Aligned images flatter LoFTR: their
true matches all lie on the network's grid of 8 px. ``--offset X Y`` crops the target by whole pixels, and with offsets
that are not multiples of 8 the fine stage has to find what the grid does not give away.
"""

import argparse
import json
import platform
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import kornia
import numpy as np
import torch
from affine import Affine
from numpy.typing import NDArray
from tqdm import tqdm

from s2match.baselines import match_sift
from s2match.errors import WeightsDownloadError
from s2match.files import written_whole
from s2match.geometry import Registration, apply_matrix, fit
from s2match.georeference import common_corners, predict
from s2match.loftr import LoftrMatcher, Matches, pick_device
from s2match.matching import match_rasters, prepare
from s2match.raster import Raster, read_raster
from s2match.weights import load_network

RIGHT_PX = 1.5
REGISTERED_PX = 1.0
DEFAULT_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "ukraine"
DEFAULT_JSON = Path(__file__).resolve().parent / "results" / "accuracy.json"

Matcher = Callable[[Raster, Raster], Matches]


@dataclass(frozen=True)
class Score:
    """How one matcher did on one pair.

    Attributes:
        reference: Tile and sensing time.
        target: Tile and sensing time.
        matches: Matches above the confidence.
        right: Matches within ``RIGHT_PX`` of the truth.
        right_above_08: Those of them with a confidence above 0.8.
        above_08: Matches with a confidence above 0.8.
        median_px: Median error of the right matches; None without any.
        corner_px: Error of the fitted affine model at the worst corner of the common footprint; None without a model.
    """

    reference: str
    target: str
    matches: int
    right: int
    above_08: int
    right_above_08: int
    median_px: float | None
    corner_px: float | None

    @property
    def registered(self) -> bool:
        """Whether all corners of the model are within ``REGISTERED_PX`` of the truth."""
        return self.corner_px is not None and self.corner_px <= REGISTERED_PX


def crop(raster: Raster, offset: tuple[int, int]) -> Raster:
    """Cut columns from the left and rows from the top; the georeference stays true."""
    x, y = offset
    assert raster.transform is not None
    return replace(
        raster,
        image=np.ascontiguousarray(raster.image[y:, x:]),
        valid=np.ascontiguousarray(raster.valid[y:, x:]),
        transform=raster.transform @ Affine.translation(x, y),
    )


def score(reference: Raster, target: Raster, matches: Matches) -> Score:
    """Compare the matches of a pair, and the model fitted to them, with the georeference."""
    error = np.linalg.norm(matches.xy1 - predict(matches.xy0, reference, target), axis=1)
    right, sure = error < RIGHT_PX, matches.confidence > 0.8
    registration = fit(matches)
    return Score(
        reference.scene.path.stem.removesuffix("_TCI"),
        target.scene.path.stem.removesuffix("_TCI"),
        matches=len(matches),
        right=int(right.sum()),
        above_08=int(sure.sum()),
        right_above_08=int((right & sure).sum()),
        median_px=float(np.median(error[right])) if right.any() else None,
        corner_px=None if registration is None else _corner_error_px(registration, reference, target),
    )


def _corner_error_px(registration: Registration, reference: Raster, target: Raster) -> float:
    """Largest over the corners of the common footprint."""
    corners = common_corners(reference, target)
    error: NDArray[np.float64] = apply_matrix(registration.matrix, corners) - predict(corners, reference, target)
    return float(np.linalg.norm(error, axis=1).max())


def loftr(weights: str, confidence: float) -> Matcher:
    """A matcher with named weights."""
    matcher = LoftrMatcher(load_network(weights), pick_device("auto"))
    return lambda reference, target: match_rasters(matcher, reference, target, confidence)


def sift(reference: Raster, target: Raster) -> Matches:
    """OpenCV SIFT on the images the networks see."""
    return match_sift(prepare(reference), prepare(target))


def measure(data: Path, matcher: Matcher, size: int, offset: tuple[int, int], title: str) -> list[Score]:
    """Score a matcher on every test pair."""
    pairs = json.loads((data / "split.json").read_text())["pairs"]
    scores = []
    for names in tqdm(pairs, desc=f"{title} {offset[0]},{offset[1]}", leave=False):
        reference, target = (read_raster(next(data.glob(f"{name}*.jp2")), (size, size)) for name in names)
        target = crop(target, offset)
        scores.append(score(reference, target, matcher(reference, target)))
    return scores


def table(title: str, scores: list[Score]) -> str:
    """A Markdown table: a line for each pair, and one for all."""
    lines = [
        f"**{title}**",
        "",
        "| reference | target | matches | right | median error | above 0.8 | right of those | corners | registered |",
        "|---|---|---:|---:|---:|---:|---:|---:|:---:|",
    ]
    for s in scores:
        median = "–" if s.median_px is None else f"{s.median_px:.2f} px"
        corner = "–" if s.corner_px is None else f"{s.corner_px:.2f} px"
        yes = "yes" if s.registered else "no"
        lines.append(
            f"| {s.reference[:15]} | {s.target[:15]} | {s.matches} | {s.right} | {median} | {s.above_08} "
            f"| {s.right_above_08} | {corner} | {yes} |"
        )
    total = [sum(getattr(s, name) for s in scores) for name in ("matches", "right", "above_08", "right_above_08")]
    registered = f"{sum(s.registered for s in scores)} of {len(scores)}"
    lines.append(f"| **all** | | {total[0]} | {total[1]} | | {total[2]} | {total[3]} | | {registered} |")
    return "\n".join(lines)


def comparison(result: dict[str, Any]) -> str:
    """The README's tables, from the JSON: for each offset, all matchers side by side on every pair."""
    blocks = []
    for offset in sorted({tuple(run["offset_px"]) for run in result["runs"]}):
        runs = [run for run in result["runs"] if tuple(run["offset_px"]) == offset]
        head = [
            f"pair, target cropped by {offset[0]}, {offset[1]} px",
            *(title for run in runs for title in _titles(run)),
        ]
        lines = [_row(head), "|---|" + "---:|" * (len(head) - 1)]
        for scores in zip(*(run["scores"] for run in runs), strict=True):
            pair = " – ".join(scores[0][side][:15].replace("_", " ") for side in ("reference", "target"))
            measured = [_cells(Score(**each), _has_confidence(run)) for each, run in zip(scores, runs, strict=True)]
            lines.append(_row([pair, *(cell for cells in measured for cell in cells)]))
        lines.append(_row(["**all 16**", *(cell for run in runs for cell in _total_cells(run))]))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _has_confidence(run: dict[str, Any]) -> bool:
    return str(run["matcher"]).startswith("LoFTR")


def _titles(run: dict[str, Any]) -> list[str]:
    sure = ["right of those above 0.8"] if _has_confidence(run) else []
    return [f"{run['matcher']}: right of all", *sure, "median", "worst corner"]


def _cells(s: Score, confidence: bool) -> list[str]:
    median = "–" if s.median_px is None else f"{s.median_px:.2f}"
    corner = "–" if s.corner_px is None else f"{s.corner_px:.2f}" if s.corner_px < 100 else "> 100"
    sure = [f"{s.right_above_08} of {s.above_08}"] if confidence else []
    return [f"{s.right} of {s.matches}", *sure, median, f"**{corner}**" if s.registered else corner]


def _total_cells(run: dict[str, Any]) -> list[str]:
    scores = [Score(**each) for each in run["scores"]]
    names = ("right", "matches", "right_above_08", "above_08")
    right, matches, right_above, above = (sum(getattr(s, name) for s in scores) for name in names)
    sure = [f"{right_above} of {above}"] if _has_confidence(run) else []
    return [f"{right} of {matches}", *sure, "", f"**{sum(s.registered for s in scores)} registered**"]


def environment(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured with."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kornia": kornia.__version__,
        "opencv": cv2.__version__,
        "device": str(device),
        "threads": torch.get_num_threads(),
    }


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip() or None


def main() -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--offset", type=int, nargs=2, action="append", metavar=("X", "Y"))
    parser.add_argument("--confidence", type=float, default=0.2)
    parser.add_argument("--weights", nargs="+", default=["sentinel2", "outdoor", "indoor", "indoor_new"])
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    if not (arguments.data / "split.json").is_file():
        parser.error(f"the test images are not there: {arguments.data}")
    matchers: dict[str, Matcher] = {"OpenCV SIFT": sift}
    for weights in arguments.weights:
        try:
            matchers[f"LoFTR {weights}"] = loftr(weights, arguments.confidence)
        except WeightsDownloadError as error:
            print(f"{weights}: not measured. {error}\n")
    runs = []
    for offset in arguments.offset or [(0, 0), (3, 5)]:
        for name, matcher in matchers.items():
            scores = measure(arguments.data, matcher, arguments.size, tuple(offset), name)
            print(table(f"{name}, {arguments.size} px, target cropped by {offset[0]}, {offset[1]} px", scores) + "\n")
            runs.append({"matcher": name, "offset_px": list(offset), "scores": [asdict(s) for s in scores]})
    result = {"environment": environment(pick_device("auto")), "size_px": arguments.size, "runs": runs}
    arguments.json.parent.mkdir(exist_ok=True)
    with written_whole(arguments.json) as partial:
        partial.write_text(json.dumps(result | {"confidence": arguments.confidence}, indent=1) + "\n")


if __name__ == "__main__":
    main()
