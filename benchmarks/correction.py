"""How often measures of the agreement call a right correction better, and a wrong one.

python -m benchmarks.correction [--data ../shared/data]

Images of one pixel grid are reduced by 4 × 4 pixels. The target is reduced from pixels that begin up to 4 pixels
further on, so its content moves by a known part of a reduced pixel without being resampled. A right correction removes
this movement. A wrong one corrects a target that was not moved by as much. Both resample the target once, as
``s2match.warp`` does.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import s2match
from benchmarks.environment import environment
from benchmarks.markdown import row
from benchmarks.networks import ROOT
from benchmarks.pairs import DEFAULT_DATA
from benchmarks.result_file import write_result
from benchmarks.warps import MONTHS
from s2match.core.raster import Raster
from s2match.correction.image_similarity import ImageParts, similarities
from s2match.io.reader import read_raster
from s2match.registration.model import Registration
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "correction.json"

# Side of the squares of pixels that are averaged.
_FACTOR = 4

# Movements of the target, in pixels of the files; divided by _FACTOR in reduced pixels.
_MOVES = (1, 2, 4)

# Months that are off by a pixel themselves (benchmarks/months.py).
_DISPLACED = ("May", "Sep", "Oct")


@dataclass(frozen=True)
class Rates:
    """How often the measures call a correction better.

    Attributes:
        pairs: Title of the pairs.
        moved_px: Movement that the correction removes, or adds if it is wrong, in reduced pixels.
        count: Number of corrections of either kind.
        similarity_right: Right corrections that structural similarity calls better.
        similarity_wrong: Wrong corrections that it calls better.
        information_right: Right corrections that mutual information calls better.
        information_wrong: Wrong corrections that it calls better.
    """

    pairs: str
    moved_px: float
    count: int
    similarity_right: int
    similarity_wrong: int
    information_right: int
    information_wrong: int


Image = np.ma.MaskedArray[tuple[int, int], np.dtype[np.float32]]
Pair = tuple[Image, Image]


def image_pairs(data: Path) -> Iterator[tuple[str, list[Pair]]]:
    """Titles and pairs of grey images, each pair on one pixel grid and of one place."""
    ukraine = _pairs(sorted((data / "ukraine").glob("T36UXA_*_TCI.jp2")))
    months = [path for path in sorted((data / "native10m").glob(MONTHS)) if not path.stem.endswith(_DISPLACED)]
    yield "Ukraine, dates of a tile", ukraine
    yield "Ukraine, contrast inverted", [(first, 255 - second) for first, second in ukraine]
    yield "desert, months", _pairs(months)
    yield "Alps NDVI, seasons", _pairs(sorted((data / "ndvi").glob("*.tif")))


def reduced(image: Image, offset: tuple[int, int]) -> Image:
    """Means of squares of pixels, the first at an offset (x, y) in pixels; masked where a pixel is."""
    height, width = ((side - 2 * _FACTOR) // _FACTOR for side in image.shape)
    x, y = offset
    part = image[y : y + height * _FACTOR, x : x + width * _FACTOR]
    squares = part.reshape(height, _FACTOR, width, _FACTOR)
    missing = np.ma.getmaskarray(squares).any(axis=(1, 3))
    return np.ma.masked_array(squares.mean(axis=(1, 3), dtype=np.float32), missing)


def better(pair: Pair, move: tuple[int, int], wrong: bool) -> tuple[bool, bool]:
    """Whether structural similarity and mutual information call a correction better.

    Args:
        pair: The reference and the target.
        move: (x, y) in pixels of the files.
        wrong: Whether the target is not moved, and the correction moves it.
    """
    reference = reduced(pair[0], (_FACTOR, _FACTOR))
    x, y = (0, 0) if wrong else move
    target = reduced(pair[1], (_FACTOR + x, _FACTOR + y))
    shift = np.array(move) / _FACTOR * (1 if wrong else -1)
    matrix = np.array([[1.0, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]])
    corrected = s2match.warp(target, Registration("translation", matrix, np.ones(0, np.bool_), np.ones(0)))
    common = ~(np.ma.getmaskarray(reference) | np.ma.getmaskarray(target) | np.ma.getmaskarray(corrected))
    whole = slice(None), slice(None)
    before, after = similarities([ImageParts(_values(reference), (_values(target), _values(corrected)), common, whole)])
    return after.similarity > before.similarity, after.mutual_information > before.mutual_information


def measure(title: str, pairs: list[Pair]) -> Iterator[Rates]:
    """The rates of each movement, along x and along y of every pair."""
    for move in _MOVES:
        trials = list(itertools.product(pairs, [(move, 0), (0, move)]))
        counts = np.zeros((2, 2), int)
        for pair, direction in tqdm(trials, desc=f"{title}, {move / _FACTOR:g} px", leave=False):
            for wrong in (False, True):
                counts[:, int(wrong)] += better(pair, direction, wrong)
        yield Rates(title, move / _FACTOR, len(trials), *counts.ravel().tolist())


def table(rates: list[Rates]) -> str:
    """Markdown table with a row for each group of pairs and movement."""
    head = ["pairs", "moved by", "right, SSIM", "right, mutual information", "wrong, SSIM", "wrong, mutual information"]
    lines = [row(head), "|---|---:|" + "---:|" * 4]
    for r in rates:
        counts = r.similarity_right, r.information_right, r.similarity_wrong, r.information_wrong
        lines.append(row([r.pairs, f"{r.moved_px:g} px", *(f"{count} of {r.count}" for count in counts)]))
    return "\n".join(lines)


def _pairs(paths: list[Path]) -> list[Pair]:
    return list(itertools.combinations([_grey(read_raster(path)) for path in paths], 2))


def _grey(raster: Raster) -> Image:
    return np.ma.masked_array(raster.image.mean(axis=2, dtype=np.float32), ~raster.valid)


def _values(image: Image) -> NDArray[np.float32]:
    return np.clip(image.filled(0), 0, 255).astype(np.float32)


@limit_threads()
def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    rates = [each for title, pairs in image_pairs(arguments.data) for each in measure(title, pairs)]
    print(table(rates))
    content = environment(pick_device("cpu")) | {"rates": [asdict(each) for each in rates]}
    write_result(arguments.json, content)


if __name__ == "__main__":
    main()
