"""Agreement of wrong matches by chance: pairs of images that show different places.

python -m benchmarks.evidence FOLDER_OR_IMAGE ... [--size 256] [--confidence 0.2] [--no-refine] [--json FILE]
python -m benchmarks.evidence FOLDER_OR_IMAGE ... --hypotheses
python -m benchmarks.evidence FOLDER_OR_IMAGE ... --crop 160 [--enlarge 2] [--pairs 150] [--confidence 0.2]

All pairs of the images, or random crops of random pairs, are matched without a georeference, so that turns and scales
are tried, too, and every model is fitted. The table shows how many pairs ``s2match.registration.fit.fit`` registers
wrongly, and how close the others come: number of inliers, squares with inliers, and weight of the inliers. With
``--hypotheses`` it also shows how close the hypotheses of the search for a turn and a scale come. With ``--json`` the
fits are written after each pair, and pairs that the file contains are not matched again.
"""

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.environment import environment
from benchmarks.networks import ROOT
from benchmarks.result_file import write_result
from benchmarks.warps import without_georeference
from s2match.core.raster import Raster
from s2match.core.window import Window
from s2match.io.reader import read_grid, read_raster, read_whole
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.orientation_search import candidates
from s2match.matching.single_pass import match_rasters
from s2match.registration.estimators import best_model
from s2match.registration.evidence import common_ground, count_patches, evidence_weight
from s2match.registration.fit import fit
from s2match.registration.model import Registration
from s2match.registration.options import FIELD, MODELS, FitOptions
from s2match.settings import Settings
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "evidence.json"

_SEED = 0

# Between the names of the two images of a pair.
_BETWEEN = " – "


@dataclass(frozen=True)
class ChanceOrientation:
    """The hypotheses of a turn and a scale for two images of different places.

    Attributes:
        names: The images.
        significant: Number of hypotheses with significant evidence.
        weight: Largest weight of the inliers of a hypothesis.
        share: That weight as a share of the cells of the common ground.
    """

    names: str
    significant: int
    weight: float
    share: float


@dataclass(frozen=True)
class ChanceFit:
    """The fit of a model to the matches of two images of different places.

    Attributes:
        names: The images.
        registered: Whether the fit is accepted as a registration.
        matches: Number of matches.
        inliers: Number of inliers.
        squares: Number of squares with inliers, see :func:`s2match.registration.evidence.count_patches`.
        weight: Weight of the inliers, see :func:`s2match.registration.evidence.evidence_weight`.
        share: Weight as a share of the cells of the common ground.
    """

    names: str
    registered: bool
    matches: int
    inliers: int
    squares: int
    weight: float
    share: float


def whole_pairs(paths: list[Path], size: int) -> Iterator[tuple[Raster, Raster]]:
    """All pairs of the images, resized."""
    return itertools.combinations([read_raster(path, (size, size)) for path in paths], 2)


def cropped_pairs(paths: list[Path], side: int, enlarge: int, count: int) -> Iterator[tuple[Raster, Raster]]:
    """Random crops of random pairs of the images that are large enough.

    Args:
        paths: The images.
        side: Side of the crops, in pixels of the files.
        enlarge: Factor of enlargement before matching.
        count: Number of pairs.

    Yields:
        Two crops of different images.
    """
    rng = np.random.default_rng(_SEED)
    grids = [grid for grid in map(read_grid, paths) if min(grid.size) >= side]
    for _ in range(count):
        crops = []
        for index in rng.choice(len(grids), 2, replace=False):
            x, y = (int(rng.integers(0, length - side + 1)) for length in grids[index].size)
            crop = grids[index].cropped(Window(x, y, side, side))
            crops.append(read_whole(crop.resized((side * enlarge, side * enlarge))))
        yield crops[0], crops[1]


def chance_fits(matcher: LoftrMatcher, pair: tuple[Raster, Raster], settings: Settings) -> dict[str, ChanceFit]:
    """Match a pair and fit every model except the field; a fit by the name of its model."""
    first, second = pair
    matches = match_rasters(matcher, first, second, settings)
    ground, expected = common_ground(first, second), matches.origin.linear
    names, fits = names_of(pair), {}
    for model in (name for name in MODELS if name != FIELD):
        best = best_model(matches, FitOptions(model))
        inliers = np.zeros(len(matches), np.bool_) if best is None else best.inliers
        weight = evidence_weight(matches, inliers)
        fits[model] = ChanceFit(
            names,
            isinstance(fit(matches, FitOptions(model), expected, ground=ground), Registration),
            len(matches),
            int(inliers.sum()),
            count_patches(matches, inliers),
            weight,
            0.0 if best is None else weight / max(ground.cells(best.apply, matches.origin.network_scale), 1.0),
        )
    return fits


def chance_orientation(matcher: LoftrMatcher, pair: tuple[Raster, Raster]) -> ChanceOrientation:
    """Match a pair under every hypothesis of a turn and a scale."""
    tried = list(candidates(matcher, *pair, FitOptions()))
    significant = sum(candidate.significant for candidate in tried)
    weight, share = max(((one.weight, one.fraction) for one in tried), default=(0.0, 0.0))
    return ChanceOrientation(names_of(pair), significant, weight, share)


def names_of(pair: tuple[Raster, Raster]) -> str:
    """Names of two images, as a text."""
    return _BETWEEN.join(raster.scene.path.stem for raster in pair)


def orientation_report(pairs: list[ChanceOrientation]) -> str:
    """Lines on the hypotheses with significant evidence, and on those that come closest to it."""
    wrong = [pair.names for pair in pairs if pair.significant]
    heaviest = max(pairs, key=lambda pair: pair.weight)
    return "\n".join(
        [
            f"{'orientation':<12} {len(wrong)} with significant hypotheses {wrong}",
            f"{'':<12} largest weight: {heaviest.weight:.1f}, {heaviest.share:.2f} of the cells, {heaviest.names}",
        ]
    )


def report(model: str, fits: list[ChanceFit]) -> str:
    """Lines on the wrong registrations of a model, and on the fits that come closest to one."""
    wrong = [pair.names for pair in fits if pair.registered]
    most, heaviest = max(fits, key=lambda pair: pair.inliers), max(fits, key=lambda pair: pair.weight)
    histogram = np.bincount([pair.squares for pair in fits])
    return "\n".join(
        [
            f"{model:<12} {len(wrong)} registered {wrong}",
            f"{'':<12} most inliers: {most.inliers} of {most.matches} matches, {most.names}",
            f"{'':<12} largest weight: {heaviest.weight:.1f}, {heaviest.share:.2f} of the cells of the common ground",
            f"{'':<12} pairs by number of squares with inliers: {dict(enumerate(histogram.tolist()))}",
        ]
    )


def sentence(result: dict[str, Any]) -> str:
    """Sentence on how many pairs of different places were registered."""
    pairs = _fits_of(result)
    places = {place for fits in pairs for fit in fits.values() for place in fit.names.split(_BETWEEN)}
    wrong = sum(any(fit.registered for fit in fits.values()) for fits in pairs)
    return (
        f"Of the {len(pairs)} pairs of {len(places)} places, resized to {result['size_px']} px and matched at "
        f"confidence {result['confidence']:g} without a georeference, {wrong or 'none'} was registered by any model."
    )


def _kept(path: Path, settings: dict[str, Any]) -> list[dict[str, ChanceFit]]:
    """The fits of the pairs in a file; none where there is no file.

    Raises:
        ValueError: They were measured with other settings.
    """
    if not path.exists():
        return []
    before = json.loads(path.read_text(encoding="utf-8"))
    if any(before[name] != value for name, value in settings.items()):
        raise ValueError(f"the pairs of {path} were measured with other settings")
    return _fits_of(before)


def _fits_of(result: dict[str, Any]) -> list[dict[str, ChanceFit]]:
    """The fits of each pair of a result, by the name of the model."""
    return [{name: ChanceFit(**facts) for name, facts in fits.items()} for fits in result["pairs"]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, nargs="+", help="images, or folders of images, all of different places")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--crop", type=int, help="match random crops of this side, in pixels of the files")
    parser.add_argument("--enlarge", type=int, default=1, help="factor of enlargement of the crops")
    parser.add_argument("--pairs", type=int, default=150, help="number of pairs of crops")
    parser.add_argument("--confidence", type=float, default=0.2)
    parser.add_argument("--refine", action=argparse.BooleanOptionalAction, default=Settings.refine)
    parser.add_argument("--hypotheses", action="store_true", help="try every hypothesis of a turn and a scale")
    parser.add_argument("--weights", default="sentinel2")
    parser.add_argument("--json", type=Path, help="file of the fits of whole images; pairs that it contains are kept")
    return parser


@limit_threads()
def main() -> None:
    """Match all pairs and print the report of each model."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.json is not None and (arguments.crop is not None or arguments.hypotheses):
        parser.error("--json is for whole images without --hypotheses")
    paths = [path for image in arguments.images for path in (sorted(image.iterdir()) if image.is_dir() else [image])]
    if arguments.crop is None:
        pairs, count = whole_pairs(paths, arguments.size), len(paths) * (len(paths) - 1) // 2
    else:
        pairs, count = cropped_pairs(paths, arguments.crop, arguments.enlarge, arguments.pairs), arguments.pairs
    matcher = LoftrMatcher(load_network(arguments.weights), pick_device("auto"))
    settings = Settings(confidence=arguments.confidence, refine=arguments.refine)
    measured_with = {"size_px": arguments.size, "confidence": arguments.confidence, "refine": arguments.refine}
    fits = [] if arguments.json is None else _kept(arguments.json, measured_with)
    done, orientations = {one.names for by_model in fits for one in by_model.values()}, []
    for first, second in tqdm(pairs, total=count, leave=False):
        pair = without_georeference(first), without_georeference(second)
        if names_of(pair) in done:
            continue
        fits.append(chance_fits(matcher, pair, settings))
        if arguments.hypotheses:
            orientations.append(chance_orientation(matcher, pair))
        if arguments.json is not None:
            found = [{name: asdict(one) for name, one in by_model.items()} for by_model in fits]
            write_result(arguments.json, {"environment": environment(matcher.device), **measured_with, "pairs": found})
    print(f"{len(fits)} pairs of different places at confidence {arguments.confidence:g}")
    for model in fits[0]:
        print(report(model, [by_model[model] for by_model in fits]))
    if orientations:
        print(orientation_report(orientations))


if __name__ == "__main__":
    main()
