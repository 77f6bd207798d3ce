"""Offsets between twelve months of one place, from all pairs of months.

python -m benchmarks.months [--data ../shared/data/native10m]

The twelve images lie on one pixel grid, but some are off by more than a pixel. The true offsets are unknown. Two checks
are possible without them. First, one offset for each month is fitted to the shifts of the 66 pairs by least squares, at
each of 81 places: the residuals show the errors of single pairs. Second, phase correlation must find the same offsets
in the middle of the image as LoFTR.
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.environment import environment
from benchmarks.markdown import row
from benchmarks.networks import ROOT
from benchmarks.pairs import DEFAULT_DATA
from benchmarks.registration import methods
from benchmarks.result_file import write_result
from benchmarks.trust import within_region
from benchmarks.warps import MONTHS
from s2match.core.matches import Matches
from s2match.core.point_maps import grid_points
from s2match.core.raster import Raster
from s2match.io.reader import read_raster
from s2match.registration.evidence import FitFailure
from s2match.registration.fit import fit
from s2match.registration.uncertainty import covariance_px2
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "months.json"
METHODS = ("LoFTR, refined", "phase correlation")
# Places along each axis, an odd number, so that one is the middle.
_PLACES_PER_AXIS = 9
_ORDER = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Offsets:
    """Offsets of the months by a method.

    Attributes:
        method: The method.
        registered: Pairs with a model.
        pairs: All pairs.
        offset_px: (x, y) offset of each month from the median in the middle of the image, in their order.
        left_px: Root mean square residual of the pairs at all places, per degree of freedom.
        inside: Share of the residuals that lie within their 95 % region, by the covariances of the models.
    """

    method: str
    registered: int
    pairs: int
    offset_px: list[tuple[float, float]]
    left_px: float
    inside: float | None = None


@dataclass(frozen=True)
class Shift:
    """Shifts of a fitted model at the places of an image.

    Attributes:
        xy_px: (P, 2) shifts (x, y).
        covariance_px2: (P, 2, 2) their covariances.
    """

    xy_px: NDArray[np.float64]
    covariance_px2: NDArray[np.float64]


def shift_of(matches: Matches, size: tuple[int, int]) -> Shift | None:
    """Shifts of the fitted model at the places of an image; None without a model."""
    registration = fit(matches)
    if isinstance(registration, FitFailure):
        return None
    x, y = (np.linspace(0, side, _PLACES_PER_AXIS + 2)[1:-1] for side in size)
    xy = grid_points(x, y)
    return Shift(registration.apply(xy) - xy, covariance_px2(registration, matches, xy))


def adjust(method: str, count: int, shifts: dict[tuple[int, int], Shift | None]) -> Offsets:
    """Fit an offset for each month to the shifts of the pairs by least squares, at each place by itself.

    Args:
        method: Name of the method.
        count: Number of months.
        shifts: Shift from the first to the second month of each pair; None without a model.
    """
    measured = {pair: shift for pair, shift in shifts.items() if shift is not None}
    design = np.zeros((len(measured) + 1, count))
    for line, (first, second) in enumerate(measured):
        design[line, [first, second]] = -1, 1
    # shifts are differences: the sum of the offsets is set to 0
    design[-1] = 1
    observed = np.array([shift.xy_px for shift in measured.values()])
    solution = np.linalg.pinv(design)[:, :-1]
    offset = np.einsum("ik,kpa->ipa", solution, observed)
    to_residual = np.eye(len(measured)) - design[:-1] @ solution
    residual = np.einsum("kj,jpa->kpa", to_residual, observed)
    degrees_of_freedom = max(1, len(measured) - (count - 1))
    middle = offset[:, offset.shape[1] // 2]
    offsets = [(float(x), float(y)) for x, y in middle - np.median(middle, axis=0)]
    rms = float(np.sqrt((residual**2).sum() / degrees_of_freedom / residual.shape[1]))
    covariances = np.array([shift.covariance_px2 for shift in measured.values()])
    covariance = np.einsum("kj,jpab->kpab", to_residual**2, covariances)
    inside = within_region(residual.reshape(-1, 2), covariance.reshape(-1, 2, 2)).mean()
    return Offsets(method, len(measured), len(shifts), offsets, rms, float(inside))


def measure(images: list[Raster], weights: str, names: Sequence[str] = METHODS) -> list[Offsets]:
    """Offsets by methods: refined LoFTR, and phase correlation on a grid of points."""
    matchers = methods(weights)
    pairs = list(itertools.combinations(range(len(images)), 2))
    return [
        adjust(
            name,
            len(images),
            {
                (first, second): shift_of(matchers[name](images[first], images[second]), images[first].size)
                for first, second in tqdm(pairs, desc=name, leave=False)
            },
        )
        for name in names
    ]


def table(months: list[str], results: list[Offsets]) -> str:
    """Markdown table: a row for each month, and rows for differences, residuals and registered pairs."""
    lines = [row(["month", *(o.method for o in results)]), "|---|" + "---:|" * len(results)]
    for k, month in enumerate(months):
        lines.append(row([month, *(f"{o.offset_px[k][0]:+.2f}, {o.offset_px[k][1]:+.2f} px" for o in results)]))
    difference = [np.linalg.norm(np.subtract(o.offset_px, results[0].offset_px), axis=1).max() for o in results[1:]]
    lines.append(row(["**largest difference**", "–", *(f"{px:.2f} px" for px in difference)]))
    lines.append(row(["**RMS residual of a pair**", *(f"{o.left_px:.2f} px" for o in results)]))
    if all(o.inside is not None for o in results):
        shares = [f"{o.inside or 0:.0%}" for o in results]
        lines.append(row(["**residuals in their 95 % region**", *shares]))
    lines.append(row(["**pairs with a model**", *(f"{o.registered} of {o.pairs}" for o in results)]))
    return "\n".join(lines)


@limit_threads()
def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA / "native10m")
    parser.add_argument("--weights", default="sentinel2")
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="measure these again; keep others of the JSON")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    paths = sorted(arguments.data.glob(MONTHS), key=lambda path: _ORDER.index(path.stem[-3:]))
    if not paths:
        parser.error(f"the images are not there: {arguments.data}")
    months = [path.stem[-3:] for path in paths]
    names = METHODS if arguments.methods is None else arguments.methods
    by_method = {o.method: o for o in measure([read_raster(p) for p in paths], arguments.weights, names)}
    if arguments.methods is not None:
        before = [Offsets(**each) for each in json.loads(arguments.json.read_text())["found"]]
        by_method = {each.method: each for each in before} | by_method
    results = [by_method[name] for name in METHODS]
    print(table(months, results))
    result = {"environment": environment(pick_device("auto")), "months": months, "found": [asdict(o) for o in results]}
    write_result(arguments.json, result)


if __name__ == "__main__":
    main()
