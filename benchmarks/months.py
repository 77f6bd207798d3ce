"""How far the months of one place are off each other, by every pair of them, and whether the pairs agree.

python -m benchmarks.months [--data ../shared/data/native10m]

The twelve images lie on one grid, and some are off by more than a pixel from others. Nobody knows by how much, but two
things can be asked: whether 66 pairs, each measured by itself, are explained by one offset for every month (what is
left over is the part of a pair's error that its two months do not share with other pairs), and whether correlation,
which knows nothing of LoFTR, finds the same offsets.
"""

import argparse
import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.environment import environment
from benchmarks.networks import ROOT
from benchmarks.pairs import DEFAULT_DATA
from benchmarks.registration import methods
from benchmarks.tables import row
from benchmarks.warps import MONTHS
from s2match.core.matches import Matches
from s2match.core.raster import Raster
from s2match.io.reader import read_raster
from s2match.loftr.device import pick_device
from s2match.registration.evidence import FitFailure
from s2match.registration.fit import fit
from s2match.util.atomic_write import atomic_write
from s2match.util.threads import limit_threads

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "months.json"
_METHODS = ("LoFTR, refined", "phase correlation")
_ORDER = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Offsets:
    """What a method says of the months.

    Attributes:
        method: The method.
        registered: Pairs that it found a model for.
        pairs: All pairs.
        offset_px: (x, y) of each month from where most are, in their order: where it shows the ground.
        left_px: Root mean square of what the pairs say beyond the offsets of their months, for the degrees of freedom.
    """

    method: str
    registered: int
    pairs: int
    offset_px: list[tuple[float, float]]
    left_px: float


def moved_px(found: Matches, size: tuple[int, int]) -> NDArray[np.float64] | None:
    """(2,) how far a model moves the middle of an image, (x, y); None without a model."""
    registration = fit(found)
    middle = np.array([size]) / 2
    return None if isinstance(registration, FitFailure) else np.asarray(registration.apply(middle) - middle)[0]


def explained(method: str, count: int, moved: dict[tuple[int, int], NDArray[np.float64] | None]) -> Offsets:
    """Offsets of some months that come closest, by least squares, to what their pairs say."""
    known = {pair: by for pair, by in moved.items() if by is not None}
    design = np.zeros((len(known) + 1, count))
    for line, (first, second) in enumerate(known):
        design[line, [first, second]] = -1, 1
    # pairs tell differences only
    design[-1] = 1
    said = np.array([*known.values(), np.zeros(2)])
    offset = np.linalg.lstsq(design, said, rcond=None)[0]
    left = (design @ offset - said)[:-1]
    free = max(1, len(known) - (count - 1))
    offset -= np.median(offset, axis=0)
    listed = [(float(x), float(y)) for x, y in offset]
    return Offsets(method, len(known), len(moved), listed, float(np.sqrt((left**2).sum() / free)))


def measure(images: list[Raster], weights: str) -> list[Offsets]:
    """Offsets by LoFTR, refined, and by phase correlation around a grid of points."""
    every = methods(weights)
    pairs = list(itertools.combinations(range(len(images)), 2))
    return [
        explained(
            name,
            len(images),
            {
                (first, second): moved_px(every[name](images[first], images[second]), images[first].size)
                for first, second in tqdm(pairs, desc=name, leave=False)
            },
        )
        for name in _METHODS
    ]


def table(months: list[str], found: list[Offsets]) -> str:
    """Markdown: a line for each month, and one for what is left over."""
    lines = [row(["month", *(o.method for o in found)]), "|---|" + "---:|" * len(found)]
    for k, month in enumerate(months):
        lines.append(row([month, *(f"{o.offset_px[k][0]:+.2f}, {o.offset_px[k][1]:+.2f} px" for o in found)]))
    apart = [np.linalg.norm(np.subtract(o.offset_px, found[0].offset_px), axis=1).max() for o in found[1:]]
    lines.append(row(["**largest difference**", "–", *(f"{px:.2f} px" for px in apart)]))
    lines.append(row(["**left over in a pair**", *(f"{o.left_px:.2f} px" for o in found)]))
    lines.append(row(["**pairs with a model**", *(f"{o.registered} of {o.pairs}" for o in found)]))
    return "\n".join(lines)


@limit_threads()
def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA / "native10m")
    parser.add_argument("--weights", default="sentinel2")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    paths = sorted(arguments.data.glob(MONTHS), key=lambda path: _ORDER.index(path.stem[-3:]))
    if not paths:
        parser.error(f"the images are not there: {arguments.data}")
    found, months = measure([read_raster(path) for path in paths], arguments.weights), [p.stem[-3:] for p in paths]
    print(table(months, found))
    result = {"environment": environment(pick_device("auto")), "months": months, "found": [asdict(o) for o in found]}
    with atomic_write(arguments.json) as file:
        file.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
