"""Recovery of known deformations between two dates, by LoFTR, refined LoFTR and other methods.

python -m benchmarks.registration [--data ../shared/data] [--arosics PYTHON] [--json FILE]

The target of every pair is resampled once with a known deformation of up to 2 px: a shift, a rotation with a scale, an
affine map, and a smooth displacement field. Each method finds points. The same fit chooses a model by held-out points.
The error is the distance of that model from the truth over the common ground of both dates. Phase correlation runs in
windows around a regular grid of points. AROSICS is measured with an interpreter that has it.
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
from benchmarks.markdown import row
from benchmarks.networks import ROOT
from benchmarks.pairs import DEFAULT_DATA, DatePair, date_pairs
from benchmarks.result_file import write_result
from benchmarks.scoring import RIGHT_PX
from benchmarks.trust import mean_normalised, normalised_square
from s2match.core.matches import Matches
from s2match.core.point_maps import grid_points
from s2match.core.raster import Raster
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.greyscale import prepare
from s2match.matching.single_pass import match_rasters
from s2match.registration.evidence import FitFailure
from s2match.registration.fit import fit
from s2match.registration.uncertainty import covariance_px2
from s2match.registration.verdict import CHI2_95
from s2match.settings import Settings
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "registration.json"

# Points along each axis at which models are compared with the truth, and squares along each axis for the coverage.
_POINTS_PER_AXIS, _SQUARES = 41, 8

# Largest error of a close point.
_CLOSE_PX = 0.5

# Name of the baseline that does nothing.
IDENTITY = "identity"
REFINED = "LoFTR, refined"

Method = Callable[[Raster, Raster], Matches]


@dataclass(frozen=True)
class Outcome:
    """Result of a method on a deformed pair.

    Attributes:
        pair: Title of the pair.
        deformation: Name of the deformation.
        method: Name of the method.
        exact: Whether the truth is known, see :class:`benchmarks.pairs.DatePair`.
        model: Name of the model; None without a registration.
        points: Number of inliers.
        coverage: Share of 8 × 8 squares of the scene with inliers.
        bias_px: Mean error (x, y) of the model.
        rmse_px: Root mean square error of the model.
        ce90_px: 90th percentile of the errors of the model.
        seconds: Time from two images to a model.
        normalised: Mean squared error of the right points, normalised by their covariance: 2 is exact. None without
            covariances.
        inside: Share of the common ground where the error of the model lies within its 95 % region; None without a
            model.
        correlated: Points by orientation correlation, where the network had no match.
        correlated_right: Number of them within ``RIGHT_PX`` of the truth.
        correlated_close: Number of them within half a pixel of the truth.
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
    normalised: float | None = None
    inside: float | None = None
    correlated: int = 0
    correlated_right: int = 0
    correlated_close: int = 0


def methods(weights: str, arosics: Path | None = None) -> dict[str, Method]:
    """The methods by name; AROSICS where an interpreter with it is given."""
    matcher = LoftrMatcher(load_network(weights), pick_device("auto"))
    network, refined = Settings(confidence=0.8, refine=False), Settings(confidence=0.8, max_points=5000)
    by_name: dict[str, Method] = {
        "phase correlation": lambda a, b: match_phase(prepare(a), prepare(b)),
        "OpenCV SIFT": lambda a, b: match_sift(prepare(a), prepare(b)),
        "LoFTR": lambda a, b: match_rasters(matcher, a, b, network),
        REFINED: lambda a, b: match_rasters(matcher, a, b, refined),
    }
    if arosics is not None:
        by_name["AROSICS local"] = partial(match_arosics, arosics)
    return by_name


def measure(pair: DatePair, deformation: Deformation, name: str, method: Method) -> Outcome:
    """Deform the target of a pair, match it and compare the model with the deformation."""
    target = replace(
        pair.target,
        image=deformed(pair.target.image, deformation),
        valid=deformed(pair.target.valid.astype(np.uint8) * 255, deformation) > 254,
    )
    begin = time.perf_counter()
    matches = method(pair.reference, target)
    registration = fit(matches)
    seconds = time.perf_counter() - begin
    if isinstance(registration, FitFailure):
        return Outcome(pair.name, deformation.name, name, pair.exact, None, 0, 0.0, None, None, None, seconds)
    xy = common_points(pair)
    error = registration.apply(xy) - deformation.forward(xy, pair.reference.size)
    inliers = matches.xy0[registration.inliers]
    correlated = matches.subset(matches.is_correlated)
    error_px = np.linalg.norm(correlated.xy1 - deformation.forward(correlated.xy0, pair.reference.size), axis=1)
    squares = np.unique(np.floor(inliers / np.array(pair.reference.size) * _SQUARES), axis=0)
    return Outcome(
        pair.name,
        deformation.name,
        name,
        pair.exact,
        registration.model,
        len(inliers),
        len(squares) / _SQUARES**2,
        (float(error[:, 0].mean()), float(error[:, 1].mean())),
        float(np.sqrt((error**2).sum(axis=1).mean())),
        float(np.percentile(np.linalg.norm(error, axis=1), 90)),
        seconds,
        mean_normalised(matches, deformation.forward(matches.xy0, pair.reference.size)),
        float((normalised_square(error, covariance_px2(registration, matches, xy)) <= CHI2_95).mean()),
        len(error_px),
        int((error_px <= RIGHT_PX).sum()),
        int((error_px <= _CLOSE_PX).sum()),
    )


def identity(pair: DatePair, deformation: Deformation) -> Outcome:
    """The outcome of no registration at all, as a baseline."""
    xy = common_points(pair)
    error = xy - deformation.forward(xy, pair.reference.size)
    length = np.linalg.norm(error, axis=1)
    bias = (float(error[:, 0].mean()), float(error[:, 1].mean()))
    rmse, ce90 = float(np.sqrt((length**2).mean())), float(np.percentile(length, 90))
    return Outcome(pair.name, deformation.name, IDENTITY, pair.exact, IDENTITY, 0, 0.0, bias, rmse, ce90, 0.0)


def common_points(pair: DatePair) -> NDArray[np.float64]:
    """(N, 2) evenly spaced reference pixels on the common ground of both dates."""
    width, height = pair.reference.size
    x, y = (np.linspace(0, side, _POINTS_PER_AXIS + 2)[1:-1] for side in (width, height))
    xy = grid_points(x, y)
    column, line = np.floor(xy).astype(int).T
    return np.asarray(xy[(pair.reference.valid & pair.target.valid)[line, column]])


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown table of the RMSE: a row for each pair and deformation, a column for each method."""
    names = list(dict.fromkeys(o.method for o in outcomes))
    lines = [row(["pair", "deformation", *names]), "|---|---|" + "---:|" * len(names)]
    for pair, deformation in dict.fromkeys((o.pair, o.deformation) for o in outcomes):
        cells = {o.method: _cell(o) for o in outcomes if (o.pair, o.deformation) == (pair, deformation)}
        lines.append(row([pair, deformation, *(cells[name] for name in names)]))
    return "\n".join(lines)


def overview(outcomes: Sequence[Outcome]) -> str:
    """Markdown table with a row for each method, over all pairs with known truth."""
    exact = [o for o in outcomes if o.exact]
    head = [
        "method",
        "registered",
        "within 0.1 px",
        "median RMSE",
        "median CE90",
        "95 % regions right",
        "median coverage",
    ]
    head += ["median time"]
    lines = [row(head), "|---|" + "---:|" * (len(head) - 1)]
    for name in dict.fromkeys(o.method for o in exact):
        of_method = [o for o in exact if o.method == name]
        registered = "–" if name == IDENTITY else f"{sum(o.model is not None for o in of_method)} of {len(of_method)}"
        errors = [f"{_median(exact, name, figure)} px" for figure in ("rmse_px", "ce90_px")]
        coverage, seconds = (np.median([getattr(o, key) for o in of_method]) for key in ("coverage", "seconds"))
        inside = [o.inside for o in of_method if o.inside is not None]
        right = f"{np.mean(inside):.0%}" if inside else "–"
        lines.append(
            row([name, registered, _close(exact, name), *errors, right, f"{coverage:.0%}", f"{seconds:.1f} s"])
        )
    return "\n".join(lines)


def correlated(outcomes: Sequence[Outcome]) -> str:
    """Sentence on the points by orientation correlation, over all pairs with known truth."""
    exact = [o for o in outcomes if o.exact]
    points, right, close = (
        sum(getattr(o, name) for o in exact) for name in ("correlated", "correlated_right", "correlated_close")
    )
    return (
        f"Of {points} points by orientation correlation in these pairs, {right} were within {RIGHT_PX:g} px of the "
        f"truth and {close} within {_CLOSE_PX:g} px."
    )


def _cell(outcome: Outcome) -> str:
    return "–" if outcome.rmse_px is None else f"{outcome.rmse_px:.2f}"


def _median(outcomes: Sequence[Outcome], method: str, figure: str) -> str:
    """Median error of a method; a pair without a registration counts with the error of doing nothing."""
    unregistered = {(o.pair, o.deformation): getattr(o, figure) for o in outcomes if o.method == IDENTITY}
    of_method = [o for o in outcomes if o.method == method]
    errors = [unregistered[o.pair, o.deformation] if o.model is None else getattr(o, figure) for o in of_method]
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
    parser.add_argument("--arosics", type=Path, metavar="PYTHON", help="a Python interpreter with AROSICS")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="measure these again; keep others of the JSON")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    versions = environment(pick_device("auto"))
    if arguments.arosics is not None:
        versions["arosics"] = version_of(arguments.arosics)
    by_name = methods(arguments.weights, arguments.arosics)
    kept = []
    if arguments.methods is not None:
        before = json.loads(arguments.json.read_text())
        kept = [Outcome(**each) for each in before["outcomes"] if each["method"] not in arguments.methods]
        by_name = {name: method for name, method in by_name.items() if name in arguments.methods}
        versions["measured_before"] = ", ".join(dict.fromkeys(each.method for each in kept))
    outcomes = []
    for pair in tqdm(list(date_pairs(arguments.data)), desc="pairs", leave=False):
        for deformation in deformations():
            of_pair = [each for each in kept if (each.pair, each.deformation) == (pair.name, deformation.name)]
            of_pair += [] if kept else [identity(pair, deformation)]
            outcomes += of_pair + [measure(pair, deformation, name, method) for name, method in by_name.items()]
    print(table(outcomes), overview(outcomes), correlated(outcomes), sep="\n\n")
    result = {"environment": versions, "outcomes": [asdict(o) for o in outcomes]}
    write_result(arguments.json, result)


if __name__ == "__main__":
    main()
