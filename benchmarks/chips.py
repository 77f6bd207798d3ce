"""Registration of small images with a known movement.

python -m benchmarks.chips [--data ../shared/data/native10m] [--sides 64 96 ...] [--pairs 24] [--weights sentinel2]

Random chips of two months of one place, and of a scene and itself. The second image is moved by a fraction of a pixel,
resampled once (Lanczos-4). For a scene and itself the truth is exact. Months are off by up to a pixel, and not by the
same amount everywhere: they are compared with phase correlation of the same chips, which is independent of LoFTR.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.baselines import phase_shift
from benchmarks.environment import environment
from benchmarks.exact_sampling import pixel_centres, sampled
from benchmarks.markdown import row
from benchmarks.result_file import write_result
from benchmarks.warps import DEFAULT_DATA, MONTHS
from s2match.core.grid import Grid
from s2match.core.raster import Raster
from s2match.io.reader import read_raster
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.greyscale import prepare
from s2match.matching.single_pass import match_rasters
from s2match.registration.evidence import common_ground
from s2match.registration.fit import fit
from s2match.registration.model import Registration
from s2match.settings import Settings
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads

DEFAULT_JSON = Path(__file__).resolve().parent / "results" / "chips.json"
SIDES = (64, 80, 96, 120, 128, 144, 176)
MOVED_PX = (0.4, -0.6)

# Chips keep this distance from the edge of a scene, where the moved image shows no new ground.
_EDGE_PX = 4


@dataclass(frozen=True)
class Chip:
    """Two chips with a known movement.

    Attributes:
        reference: The chip of the reference.
        target: The chip of the target, in the same place.
        shift_px: (2,) true shift (x, y) of the target, or that of phase correlation.
    """

    reference: Raster
    target: Raster
    shift_px: NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """Result of the chips of one size.

    Attributes:
        kind: ``months`` or ``one scene``.
        side_px: Side of the chips.
        refined: Whether matches were refined.
        pairs: Number of pairs.
        errors_px: Distance of the model from the true shift at the centre, for each registered pair.
    """

    kind: str
    side_px: int
    refined: bool
    pairs: int
    errors_px: list[float]


def moved(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image moved by :data:`MOVED_PX`."""
    return sampled(image, pixel_centres((image.shape[1], image.shape[0])) - MOVED_PX)


def month_chips(months: list[Raster], side: int) -> Iterator[Chip]:
    """Random chips of random pairs of months, without end; those without nodata."""
    rng = np.random.default_rng(side)
    while True:
        first, second = (months[index] for index in rng.choice(len(months), 2, replace=False))
        chip = _chip(first, moved(second.image), np.array(MOVED_PX), side, rng)
        if chip.reference.valid.all():
            images = prepare(chip.reference), prepare(chip.target)
            yield replace(chip, shift_px=np.array(phase_shift(*images)))


def scene_chips(scenes: list[Raster], side: int) -> Iterator[Chip]:
    """Random chips of one scene after the other, without end; those without nodata, of scenes that are large enough."""
    rng = np.random.default_rng(side)
    large = [scene for scene in scenes if min(scene.size) >= side + 2 * _EDGE_PX]
    while True:
        for scene in large:
            chip = _chip(scene, moved(scene.image), np.array(MOVED_PX), side, rng)
            if chip.reference.valid.all():
                yield chip


def _chip(
    scene: Raster, other: NDArray[np.uint8], shift_px: NDArray[np.float64], side: int, rng: np.random.Generator
) -> Chip:
    x, y = (int(rng.integers(_EDGE_PX, length - side - _EDGE_PX + 1)) for length in scene.size)
    cut = np.s_[y : y + side, x : x + side]
    grid = Grid((side, side), None, None, (side, side), scene.scene)
    reference, target = (Raster(grid, image[cut], scene.valid[cut]) for image in (scene.image, other))
    return Chip(reference, target, shift_px)


def measure(matcher: LoftrMatcher, kind: str, chips: list[Chip], refine: bool) -> Outcome:
    """Match chips of one size and compare the models with the truth."""
    settings, errors_px = Settings(refine=refine), []
    for chip in tqdm(chips, desc=f"{kind} {chips[0].reference.size[0]} px", leave=False):
        pair = chip.reference, chip.target
        registration = fit(match_rasters(matcher, *pair, settings), ground=common_ground(*pair))
        if isinstance(registration, Registration):
            centre = np.array([chip.reference.size]) / 2
            errors_px.append(float(np.linalg.norm(registration.apply(centre) - centre - chip.shift_px)))
    return Outcome(kind, chips[0].reference.size[0], refine, len(chips), errors_px)


def table(outcomes: list[Outcome]) -> str:
    """Markdown table: a row for each kind and size, with and without refinement."""
    lines = [
        row(
            [
                "chips",
                "side",
                "registered",
                "median error",
                "worst",
                "without refinement: registered",
                "median",
                "worst",
            ]
        ),
        "|---|" + "---:|" * 7,
    ]
    for refined in (o for o in outcomes if o.refined):
        (network,) = (o for o in outcomes if not o.refined and (o.kind, o.side_px) == (refined.kind, refined.side_px))
        cells = [cell for outcome in (refined, network) for cell in _cells(outcome)]
        lines.append(row([refined.kind, f"{refined.side_px} px", *cells]))
    return "\n".join(lines)


def _cells(outcome: Outcome) -> tuple[str, str, str]:
    registered = f"{len(outcome.errors_px)} of {outcome.pairs}"
    if not outcome.errors_px:
        return registered, "–", "–"
    return registered, f"{np.median(outcome.errors_px):.2f} px", f"{max(outcome.errors_px):.2f} px"


@limit_threads()
def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    parser.add_argument("--pairs", type=int, default=24, help="pairs of each kind and size")
    parser.add_argument("--weights", default="sentinel2")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    scenes = {path.stem: read_raster(path) for path in sorted(arguments.data.glob("*.png"))}
    if not scenes:
        parser.error(f"the images are not there: {arguments.data}")
    months = [scenes.pop(name) for name in [*scenes] if Path(f"{name}.png").match(MONTHS)]
    matcher = LoftrMatcher(load_network(arguments.weights), pick_device("auto"))
    outcomes = []
    for side in arguments.sides:
        endless = {"months": month_chips(months, side), "one scene": scene_chips([*scenes.values()], side)}
        for kind, chips in endless.items():
            some = [next(chips) for _ in range(arguments.pairs)]
            outcomes += [measure(matcher, kind, some, refine) for refine in (True, False)]
    outcomes.sort(key=lambda outcome: outcome.kind)
    print(table(outcomes))
    result = {"environment": environment(matcher.device), "moved_px": MOVED_PX, "chips": [asdict(o) for o in outcomes]}
    write_result(arguments.json, result)


if __name__ == "__main__":
    main()
