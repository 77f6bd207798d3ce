"""Known warps of real 10 m scenes, and pairs of months of one place.

python -m benchmarks.warps [--data ../shared/data/native10m] [--weights sentinel2]

Every scene is matched with a copy of itself that is shifted, rotated by up to 10° and scaled by 0.9 to 1.1, resampled
once (Lanczos-4): the truth is exact. The months are matched without a warp. They lie on one pixel grid, but some are
off by about a pixel. So the errors of months are deviations from the identity.
"""

import argparse
import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.environment import environment
from benchmarks.scoring import RIGHT_PX
from s2match.core.matches import GreyImage, Matches
from s2match.io.reader import read_raster
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.greyscale import prepare
from s2match.registration.evidence import FitFailure
from s2match.registration.fit import fit
from s2match.registration.model import apply_matrix
from s2match.util.atomic_write import atomic_write
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads

DEFAULT_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "native10m"
DEFAULT_JSON = Path(__file__).resolve().parent / "results" / "warps.json"
MONTHS = "zone9_*.png"

# Shift (x, y) in pixels, rotation in degrees, scale.
WARPS = (
    (3.3, 5.6, 0.0, 1.0),
    (-12.5, 7.2, 4.0, 1.0),
    (6.4, -3.7, -10.0, 1.0),
    (2.1, 9.8, 0.0, 0.9),
    (-5.7, -8.4, 0.0, 1.1),
    (4.6, 1.3, 7.0, 1.05),
)


@dataclass(frozen=True)
class Row:
    """Result of a pair.

    Attributes:
        name: Title of the pair.
        matches: Number of matches above the confidence.
        right: Number of matches within ``RIGHT_PX`` of the truth.
        median_px: Median error of the right matches; None without any.
        corner_px: Error of the model at the worst corner; None without a model.
    """

    name: str
    matches: int
    right: int
    median_px: float | None
    corner_px: float | None


def warp_matrix(warp: tuple[float, float, float, float], size: tuple[int, int]) -> NDArray[np.float64]:
    """3×3 matrix from reference to target pixels, GDAL frame: rotation and scale about the centre, and a shift."""
    x, y, angle, scale = warp
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), angle, scale)
    matrix[:2, 2] += (x, y)
    return matrix


def warped(image: GreyImage, matrix: NDArray[np.float64]) -> GreyImage:
    """The image warped by a matrix, at the same size; pixels from outside of the image are invalid."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    # in OpenCV the centre of the first pixel is (0, 0)
    centred = (np.linalg.inv(half) @ matrix @ half)[:2]
    size = image.grey.shape[::-1]
    grey = cv2.warpAffine(image.grey, centred, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    valid = cv2.warpAffine(image.valid.astype(np.float32), centred, size) > 0.999
    return GreyImage(np.where(valid, np.clip(grey, 0, 1), 0).astype(np.float32), valid)


def row(name: str, matches: Matches, truth: NDArray[np.float64], size: tuple[int, int]) -> Row:
    """Compare matches, and the model fitted to them, with a known 3×3 matrix."""
    error = np.linalg.norm(matches.xy1 - apply_matrix(truth, matches.xy0), axis=1)
    right = error < RIGHT_PX
    registration = fit(matches)
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], size], float)
    corner_error = None
    if not isinstance(registration, FitFailure):
        corner_error = registration.apply(corners) - apply_matrix(truth, corners)
    return Row(
        name,
        len(matches),
        int(right.sum()),
        float(np.median(error[right])) if right.any() else None,
        None if corner_error is None else float(np.linalg.norm(corner_error, axis=1).max()),
    )


def measure_warps(matcher: LoftrMatcher, paths: list[Path], confidence: float) -> list[Row]:
    """Match every scene with every warp of itself."""
    rows = []
    for path, warp in tqdm(list(itertools.product(paths, WARPS)), desc="warps", leave=False):
        image = prepare(read_raster(path))
        size = (image.grey.shape[1], image.grey.shape[0])
        truth = warp_matrix(warp, size)
        matches = matcher.match(image, warped(image, truth), confidence)
        rows.append(row(f"{path.stem} {warp[2]:g}° ×{warp[3]:g}", matches, truth, size))
    return rows


def measure_months(matcher: LoftrMatcher, paths: list[Path], confidence: float) -> list[Row]:
    """Match every pair of dates on one pixel grid."""
    images = {path.stem: prepare(read_raster(path)) for path in paths}
    rows = []
    for (first, image0), (second, image1) in tqdm(
        list(itertools.combinations(images.items(), 2)), desc="months", leave=False
    ):
        matches = matcher.match(image0, image1, confidence)
        rows.append(row(f"{first} – {second}", matches, np.eye(3), (image0.grey.shape[1], image0.grey.shape[0])))
    return rows


def table(rows: list[Row]) -> str:
    """Text table with a line for each pair, and one for all."""
    lines = [
        f"{r.name:40s} {r.right:6d} of {r.matches:6d}  median {_px(r.median_px)}  worst corner {_px(r.corner_px)}"
        for r in rows
    ]
    medians = [r.median_px for r in rows if r.median_px is not None]
    modelled = sum(r.corner_px is not None for r in rows)
    close = sum(r.corner_px is not None and r.corner_px <= 1 for r in rows)
    lines.append(
        f"{len(rows)} pairs: {modelled} with a model, {close} of them within 1 px of the truth at the worst corner;"
        f" median of the medians {np.median(medians):.3f} px"
    )
    return "\n".join(lines)


def _px(value: float | None) -> str:
    return "     –   " if value is None else f"{value:6.2f} px"


@limit_threads()
def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--weights", default="sentinel2")
    parser.add_argument("--confidence", type=float, default=0.2)
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    paths = sorted(arguments.data.glob("*.png"))
    if not paths:
        parser.error(f"the images are not there: {arguments.data}")
    months = sorted(arguments.data.glob(MONTHS))
    matcher = LoftrMatcher(load_network(arguments.weights), pick_device("auto"))
    rows = {
        "warps": measure_warps(matcher, [path for path in paths if path not in months[1:]], arguments.confidence),
        "months": measure_months(matcher, months, arguments.confidence),
    }
    print("\n\n".join(table(part) for part in rows.values()))
    result = {"environment": environment(matcher.device), "confidence": arguments.confidence}
    with atomic_write(arguments.json) as partial:
        measured = {name: [asdict(r) for r in part] for name, part in rows.items()}
        partial.write_text(json.dumps(result | measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
