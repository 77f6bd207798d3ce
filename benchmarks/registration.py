"""Known deformations put into pairs of dates, and recovered: by LoFTR, refined or not, and by other methods.

python -m benchmarks.registration [--data ../shared/data] [--arosics PYTHON] [--json FILE]

The target of every pair is resampled once through a known map of fractions of a pixel to 2 px: a shift, a turn with a
scale, an affine map, and a smooth local field. Each method finds points, the same fit chooses a model by held-out
points, and what counts is how far that model is from the truth, all over the ground that both dates show. Phase
correlation looks in windows around a regular grid of points, as correlation software does. AROSICS, which is such
software, is measured where an interpreter that has it is named.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.arosics import match_arosics, version_of
from benchmarks.baselines import match_phase, match_sift
from benchmarks.deformations import Deformation, deformations, deformed
from benchmarks.environment import environment
from benchmarks.networks import ROOT
from benchmarks.pairs import DEFAULT_DATA, DatePair, date_pairs
from benchmarks.scoring import RIGHT_PX
from benchmarks.tables import row
from s2match.core.matches import Matches
from s2match.core.raster import Raster
from s2match.loftr.checkpoints import load_network
from s2match.loftr.device import pick_device
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.greyscale import prepare
from s2match.matching.single_pass import match_rasters
from s2match.registration.evidence import FitFailure
from s2match.registration.fit import fit
from s2match.settings import Settings
from s2match.util.atomic_write import atomic_write
from s2match.util.threads import limit_threads

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "registration.json"

# Points at which models are compared with the truth, along each axis; and squares by which coverage is counted.
_LATTICE, _SQUARES = 41, 8

# Points this near to the truth are close.
_CLOSE_PX = 0.5

# The method that does nothing.
IDENTITY = "identity"

Method = Callable[[Raster, Raster], Matches]


@dataclass(frozen=True)
class Outcome:
    """What a method made of a deformed pair.

    Attributes:
        pair: The two dates.
        deformation: What was put in.
        method: What looked for it.
        exact: Whether the truth is known, see :class:`benchmarks.pairs.DatePair`.
        model: The model that was chosen; None without a registration.
        points: Inliers of the model.
        coverage: Share of 8 × 8 squares of the scene with inliers.
        bias_px: Mean error (x, y) of the model.
        rmse_px: Root mean square error of the model.
        ce90_px: What 90 % of its errors do not exceed.
        seconds: From two images to a model.
        correlated: Points that the edges alone found, where no match was left.
        correlated_right: Of those within ``RIGHT_PX`` of the truth.
        correlated_close: Of those within half a pixel.
    """

    pair: str
    deformation: str
    method: str
    exact: bool
    model: str | None
    points: int
    coverage: float
    bias_px: tuple[float, float] | None
    rmse_px: float | None
    ce90_px: float | None
    seconds: float
    correlated: int = 0
    correlated_right: int = 0
    correlated_close: int = 0


def methods(weights: str, arosics: Path | None = None) -> dict[str, Method]:
    """Everything that finds points; AROSICS where an interpreter that has it is given."""
    matcher = LoftrMatcher(load_network(weights), pick_device("auto"))
    refined = Settings(confidence=0.8, max_points=5000, refine=True)
    every: dict[str, Method] = {
        "phase correlation": lambda a, b: match_phase(prepare(a), prepare(b)),
        "OpenCV SIFT": lambda a, b: match_sift(prepare(a), prepare(b)),
        "LoFTR": lambda a, b: match_rasters(matcher, a, b, Settings(confidence=0.8)),
        "LoFTR, refined": lambda a, b: match_rasters(matcher, a, b, refined),
    }
    if arosics is not None:
        every["AROSICS local"] = partial(match_arosics, arosics)
    return every


def measure(pair: DatePair, deformation: Deformation, name: str, method: Method) -> Outcome:
    """Put a deformation into a pair, and recover it."""
    target = replace(
        pair.target,
        image=deformed(pair.target.image, deformation),
        valid=deformed(pair.target.valid.astype(np.uint8) * 255, deformation) > 254,
    )
    begin = time.perf_counter()
    matches = method(pair.reference, target)
    found = fit(matches)
    seconds = time.perf_counter() - begin
    if isinstance(found, FitFailure):
        return Outcome(pair.name, deformation.name, name, pair.exact, None, 0, 0.0, None, None, None, seconds)
    xy = lattice(pair)
    error = found.apply(xy) - deformation.forward(xy, pair.reference.size)
    inliers = matches.xy0[found.inliers]
    marked = matches.subset(matches.is_correlated)
    off_px = np.linalg.norm(marked.xy1 - deformation.forward(marked.xy0, pair.reference.size), axis=1)
    squares = np.unique(np.floor(inliers / np.array(pair.reference.size) * _SQUARES), axis=0)
    return Outcome(
        pair.name,
        deformation.name,
        name,
        pair.exact,
        found.model,
        len(inliers),
        len(squares) / _SQUARES**2,
        (float(error[:, 0].mean()), float(error[:, 1].mean())),
        float(np.sqrt((error**2).sum(axis=1).mean())),
        float(np.percentile(np.linalg.norm(error, axis=1), 90)),
        seconds,
        len(off_px),
        int((off_px <= RIGHT_PX).sum()),
        int((off_px <= _CLOSE_PX).sum()),
    )


def identity(pair: DatePair, deformation: Deformation) -> Outcome:
    """Doing nothing."""
    xy = lattice(pair)
    error = xy - deformation.forward(xy, pair.reference.size)
    length = np.linalg.norm(error, axis=1)
    bias = (float(error[:, 0].mean()), float(error[:, 1].mean()))
    rmse, ce90 = float(np.sqrt((length**2).mean())), float(np.percentile(length, 90))
    return Outcome(pair.name, deformation.name, IDENTITY, pair.exact, IDENTITY, 0, 0.0, bias, rmse, ce90, 0.0)


def lattice(pair: DatePair) -> NDArray[np.float64]:
    """(N, 2) reference pixels on the ground that both dates show, evenly spread."""
    width, height = pair.reference.size
    x, y = (np.linspace(0, side, _LATTICE + 2)[1:-1] for side in (width, height))
    xy = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    column, line = np.floor(xy).astype(int).T
    return np.asarray(xy[(pair.reference.valid & pair.target.valid)[line, column]])


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: a line for each pair and deformation, the RMSE and the model of each method."""
    names = list(dict.fromkeys(o.method for o in outcomes))
    lines = [row(["pair", "put in", *names]), "|---|---|" + "---:|" * len(names)]
    for pair, deformation in dict.fromkeys((o.pair, o.deformation) for o in outcomes):
        cells = {o.method: _cell(o) for o in outcomes if (o.pair, o.deformation) == (pair, deformation)}
        lines.append(row([pair, deformation, *(cells[name] for name in names)]))
    return "\n".join(lines)


def overview(outcomes: Sequence[Outcome]) -> str:
    """Markdown: a line for each method, over all pairs whose truth is known."""
    exact = [o for o in outcomes if o.exact]
    head = ["method", "registered", "within 0.1 px", "median RMSE", "median CE90", "median coverage", "median time"]
    lines = [row(head), "|---|" + "---:|" * (len(head) - 1)]
    for name in dict.fromkeys(o.method for o in exact):
        some = [o for o in exact if o.method == name]
        registered = "–" if name == IDENTITY else f"{sum(o.model is not None for o in some)} of {len(some)}"
        errors = [f"{_median(exact, name, figure)} px" for figure in ("rmse_px", "ce90_px")]
        coverage, seconds = np.median([o.coverage for o in some]), np.median([o.seconds for o in some])
        lines.append(row([name, registered, _close(exact, name), *errors, f"{coverage:.0%}", f"{seconds:.1f} s"]))
    return "\n".join(lines)


def correlated(outcomes: Sequence[Outcome]) -> str:
    """A sentence on the points that the edges alone found, in all pairs whose truth is known."""
    some = [o for o in outcomes if o.exact]
    found, right, close = (
        sum(getattr(o, name) for o in some) for name in ("correlated", "correlated_right", "correlated_close")
    )
    return (
        f"Of {found} points that the edges alone found in these pairs, {right} were within {RIGHT_PX:g} px of the "
        f"truth and {close} within {_CLOSE_PX:g} px."
    )


def _cell(outcome: Outcome) -> str:
    return "–" if outcome.rmse_px is None else f"{outcome.rmse_px:.2f}"


def _median(outcomes: Sequence[Outcome], method: str, figure: str) -> str:
    """Where there was no registration nothing was done: the error is that of identity."""
    nothing_done = {(o.pair, o.deformation): getattr(o, figure) for o in outcomes if o.method == IDENTITY}
    some = [o for o in outcomes if o.method == method]
    errors = [nothing_done[o.pair, o.deformation] if o.model is None else getattr(o, figure) for o in some]
    return f"{np.median(errors):.2f}"


def _close(outcomes: Sequence[Outcome], method: str) -> str:
    of_method = [o for o in outcomes if o.method == method]
    return f"{sum(o.rmse_px is not None and o.rmse_px <= 0.1 for o in of_method)} of {len(of_method)}"


@limit_threads()
def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--weights", default="sentinel2")
    parser.add_argument("--arosics", type=Path, metavar="PYTHON", help="an interpreter that has AROSICS")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    versions = environment(pick_device("auto"))
    if arguments.arosics is not None:
        versions["arosics"] = version_of(arguments.arosics)
    every = methods(arguments.weights, arguments.arosics)
    outcomes = []
    for pair in tqdm(list(date_pairs(arguments.data)), desc="pairs", leave=False):
        for deformation in deformations():
            outcomes.append(identity(pair, deformation))
            outcomes += [measure(pair, deformation, name, method) for name, method in every.items()]
    print(table(outcomes), overview(outcomes), correlated(outcomes), sep="\n\n")
    result = {"environment": versions, "outcomes": [asdict(o) for o in outcomes]}
    with atomic_write(arguments.json) as file:
        file.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
