"""How many wrong matches agree by chance, and in how many places, on pairs of images that show different places.

python -m benchmarks.evidence FOLDER_OR_IMAGE ... [--size 512] [--confidence 0.2]
python -m benchmarks.evidence FOLDER_OR_IMAGE ... --crop 160 [--enlarge 2] [--pairs 150] [--confidence 0.2]

Every two of the images, or crops at random of random two, are matched and fitted with every model, whatever the
evidence. The table shows how many of them ``s2match.registration.fit.fit`` calls a registration, and how close the
others come: inliers, the squares that hold some, and what the inliers weigh.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s2match.core.raster import Raster
from s2match.core.window import Window
from s2match.io.reader import read_grid, read_raster, read_whole
from s2match.loftr.checkpoints import load_network
from s2match.loftr.device import pick_device
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.single_pass import match_rasters
from s2match.registration.estimators import best_model
from s2match.registration.evidence import common_ground, count_patches, evidence_weight
from s2match.registration.fit import fit
from s2match.registration.model import Registration
from s2match.registration.options import FIELD, MODELS, FitOptions
from s2match.settings import Settings
from s2match.util.threads import limit_threads

_SEED = 0


@dataclass(frozen=True)
class Call:
    """What one model makes of one pair of different places.

    Attributes:
        names: The images.
        registered: Whether it is called a registration.
        matches: Number of matches.
        inliers: Those that agree.
        squares: Squares that hold some of them, see :func:`s2match.registration.evidence.patches`.
        weight: Of the inliers, see :func:`s2match.registration.evidence.weight`.
        share: The same as a share of the cells in common.
    """

    names: str
    registered: bool
    matches: int
    inliers: int
    squares: int
    weight: float
    share: float


def whole_pairs(paths: list[Path], size: int) -> Iterator[tuple[Raster, Raster]]:
    """Every two of the images, resized."""
    return itertools.combinations([read_raster(path, (size, size)) for path in paths], 2)


def cropped_pairs(paths: list[Path], side: int, enlarge: int, count: int) -> Iterator[tuple[Raster, Raster]]:
    """Crops at random of random two of the images that are large enough.

    Args:
        paths: The images.
        side: Side of the crops, pixels of the files.
        enlarge: How many times larger they are matched.
        count: Number of pairs.
    """
    rng = np.random.default_rng(_SEED)
    grids = [grid for grid in map(read_grid, paths) if min(grid.size) >= side]
    for _ in range(count):
        crops = []
        for index in rng.choice(len(grids), 2, replace=False):
            x, y = (int(rng.integers(0, length - side + 1)) for length in grids[index].size)
            part = grids[index].cropped(Window(x, y, side, side))
            crops.append(read_whole(part.resized((side * enlarge, side * enlarge))))
        yield crops[0], crops[1]


def calls(matcher: LoftrMatcher, pair: tuple[Raster, Raster], confidence: float) -> dict[str, Call]:
    """Match a pair and fit every model but a field."""
    first, second = pair
    matches = match_rasters(matcher, first, second, Settings(confidence=confidence))
    ground = common_ground(first, second)
    names, found = f"{first.scene.path.stem} – {second.scene.path.stem}", {}
    for model in (each for each in MODELS if each != FIELD):
        best = best_model(matches, FitOptions(model))
        inliers = np.zeros(len(matches), np.bool_) if best is None else best.inliers
        weighs = evidence_weight(matches, inliers)
        found[model] = Call(
            names,
            isinstance(fit(matches, FitOptions(model), ground=ground), Registration),
            len(matches),
            int(inliers.sum()),
            count_patches(matches, inliers),
            weighs,
            0.0 if best is None else weighs / max(ground.cells(best.apply), 1.0),
        )
    return found


def report(model: str, found: list[Call]) -> str:
    """The closest calls of a model."""
    wrong = [call.names for call in found if call.registered]
    most, heaviest = max(found, key=lambda call: call.inliers), max(found, key=lambda call: call.weight)
    spread = np.bincount([call.squares for call in found])
    return "\n".join(
        [
            f"{model:<12} {len(wrong)} registered {wrong}",
            f"{'':<12} {most.inliers} inliers of {most.matches} at most, {most.names}",
            f"{'':<12} inliers weigh {heaviest.weight:.1f} at most, {heaviest.share:.2f} of the cells in common",
            f"{'':<12} pairs by the squares that hold inliers: {dict(enumerate(spread.tolist()))}",
        ]
    )


@limit_threads()
def main() -> None:
    """Match all pairs and print the closest calls of each model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, nargs="+", help="images, or folders of images, all of different places")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--crop", type=int, help="match crops of this side, in pixels of the files, instead")
    parser.add_argument("--enlarge", type=int, default=1, help="how many times larger crops are matched")
    parser.add_argument("--pairs", type=int, default=150, help="pairs of crops")
    parser.add_argument("--confidence", type=float, default=0.2)
    parser.add_argument("--weights", default="sentinel2")
    arguments = parser.parse_args()
    paths = [p for given in arguments.images for p in (sorted(given.iterdir()) if given.is_dir() else [given])]
    if arguments.crop is None:
        pairs, count = whole_pairs(paths, arguments.size), len(paths) * (len(paths) - 1) // 2
    else:
        pairs, count = cropped_pairs(paths, arguments.crop, arguments.enlarge, arguments.pairs), arguments.pairs
    matcher = LoftrMatcher(load_network(arguments.weights), pick_device("auto"))
    found = [calls(matcher, pair, arguments.confidence) for pair in tqdm(pairs, total=count, leave=False)]
    print(f"{len(found)} pairs of different places at confidence {arguments.confidence:g}")
    for model in found[0]:
        print(report(model, [each[model] for each in found]))


if __name__ == "__main__":
    main()
