"""Known shifts, turns and scales of real 10 m scenes.

python -m benchmarks.warps [--data ../shared/data/native10m] [--weights sentinel2] [--continue]

Every scene is registered with a copy of itself that is moved, turned and scaled, resampled once (quintic splines, after
a low-pass filter where it gets fewer pixels): the truth is exact. No image has a georeference. The copy has the size of
the scene, and pixels from outside of the scene have no data. The JSON is written after each scene; ``--continue``
measures those that it lacks.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.environment import environment
from benchmarks.exact_sampling import pixel_centres, sampled
from benchmarks.result_file import write_result
from benchmarks.scoring import RIGHT_PX
from benchmarks.trust import within_region
from s2match.core.grid import Grid
from s2match.core.matches import Matches
from s2match.core.point_maps import turn_and_scale
from s2match.core.raster import Raster
from s2match.io.reader import read_raster
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.single_pass import match_rasters
from s2match.pipeline import register
from s2match.registration.model import apply_matrix
from s2match.registration.uncertainty import covariance_px2
from s2match.settings import Settings
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads

DEFAULT_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "native10m"
DEFAULT_JSON = Path(__file__).resolve().parent / "results" / "warps.json"

# Dates of one place, of which only the first is taken.
MONTHS = "zone9_*.png"

# Error at the worst corner up to which a warp counts as found, in pixels.
FOUND_PX = 0.5


@dataclass(frozen=True)
class Warp:
    """A known movement of the target against the reference.

    Attributes:
        shift: (x, y) in pixels of the target, at the middle of the images.
        turn_deg: Clockwise turn in degrees.
        scale: Pixels of the target along a pixel of the reference.
    """

    shift: tuple[float, float]
    turn_deg: float
    scale: float

    def matrix(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """3×3 matrix from reference to target pixels, GDAL frame, of images of one size."""
        matrix, middle = np.eye(3), np.array(size) / 2
        matrix[:2, :2] = turn_and_scale(self.turn_deg, self.scale)
        matrix[:2, 2] = middle + self.shift - matrix[:2, :2] @ middle
        return matrix


# Two that the network matches as they are, and those whose orientation is searched.
WARPS = (
    Warp((6.4, -3.7), -10, 1.0),
    Warp((4.6, 1.3), 7, 1.05),
    Warp((3.3, 5.6), 30, 1.0),
    Warp((-6.2, 4.1), 45, 1.0),
    Warp((2.7, -8.3), 90, 1.0),
    Warp((-4.4, 3.9), 135, 1.0),
    Warp((5.1, 7.6), 180, 1.0),
    Warp((-3.2, -2.3), 270, 1.0),
    Warp((1.4, 2.6), 0, 0.5),
    Warp((-2.9, 3.7), 0, 0.7),
    Warp((4.8, -5.2), 0, 1.4),
    Warp((3.6, 6.1), 0, 2.0),
    Warp((-1.7, 4.4), 45, 0.7),
    Warp((2.2, -3.1), 135, 1.4),
)


@dataclass(frozen=True)
class Row:
    """Result of a scene and a warp.

    Attributes:
        scene: The scene.
        turn_deg: Clockwise turn of the warp.
        scale: Scale of the warp.
        matches: Number of matches above the confidence.
        right: Number of matches within ``RIGHT_PX`` of the truth.
        median_px: Median error of the right matches, in pixels of the target; None without any.
        corner_px: Error of the model at the worst corner of the image that shows less ground, in pixels of the coarser
            image; None without a model.
        corners_inside: Number of these four corners at which the error lies within the 95 % region of the model; None
            without a model.
    """

    scene: str
    turn_deg: float
    scale: float
    matches: int
    right: int
    median_px: float | None
    corner_px: float | None
    corners_inside: int | None = None


def warped(raster: Raster, warp: Warp) -> Raster:
    """The image moved by a warp, at the same size and without a georeference."""
    size, image = raster.size, raster.image
    centres = pixel_centres(size)
    to_reference = np.asarray(np.linalg.inv(warp.matrix(size)), np.float64)
    positions = apply_matrix(to_reference, centres.reshape(-1, 2)).reshape(centres.shape)
    if warp.scale < 1:
        sigma = 0.5 * math.sqrt(1 / warp.scale**2 - 1)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.uint8)
    # valid where all pixels around a position are
    whole = cv2.erode(np.pad(raster.valid.astype(np.uint8), 1), np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0
    column, line = np.floor(positions).astype(int).transpose(2, 0, 1)
    inside = (column >= 0) & (column < size[0]) & (line >= 0) & (line < size[1])
    valid = inside & whole[line.clip(0, size[1] - 1), column.clip(0, size[0] - 1)]
    # valid pixels are 1 to 255
    pixels = np.where(valid[..., None], np.maximum(sampled(image, positions), 1), 0).astype(np.uint8)
    return Raster(Grid(size, None, None, size, raster.scene), pixels, np.asarray(valid))


def row(reference: Raster, target: Raster, warp: Warp, matches: Matches, settings: Settings) -> Row:
    """Compare matches, and the model fitted to them, with a known warp."""
    truth = warp.matrix(reference.size)
    error = np.linalg.norm(matches.xy1 - apply_matrix(truth, matches.xy0), axis=1)
    right = error < RIGHT_PX
    registration = register(reference, target, matches, settings).registration
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * np.array(reference.size, float)
    if warp.scale > 1:
        corners = apply_matrix(np.asarray(np.linalg.inv(truth), np.float64), corners)
    corner_px, inside = None, None
    if registration is not None:
        errors = registration.apply(corners) - apply_matrix(truth, corners)
        corner_px = float(np.linalg.norm(errors, axis=1).max()) / max(1.0, warp.scale)
        inside = int(within_region(errors, covariance_px2(registration, matches, corners)).sum())
    return Row(
        reference.scene.path.stem,
        warp.turn_deg,
        warp.scale,
        len(matches),
        int(right.sum()),
        float(np.median(error[right])) if right.any() else None,
        corner_px,
        inside,
    )


def measure(matcher: LoftrMatcher, path: Path, settings: Settings) -> list[Row]:
    """Register a scene with every warp of itself."""
    rows = []
    reference = without_georeference(read_raster(path))
    for warp in WARPS:
        target = warped(reference, warp)
        matches = match_rasters(matcher, reference, target, settings)
        rows.append(row(reference, target, warp, matches, settings))
    return rows


def without_georeference(raster: Raster) -> Raster:
    """The same pixels at no known place."""
    return Raster(replace(raster.grid, transform=None, crs=None), raster.image, raster.valid)


def table(rows: Sequence[Row]) -> str:
    """Markdown table with a line for each turn and scale; results without regions have no column of them."""
    regions = any(one.corners_inside is not None for one in rows)
    lines = [
        "| turn | scale | scenes | model within 0.5 px | worst corner, median | largest | median error of a point |"
        + " corners in the 95 % region |" * regions,
        "|---:|---:|---:|---:|---:|---:|---:|" + "---:|" * regions,
    ]
    for turn_deg, scale in dict.fromkeys((one.turn_deg, one.scale) for one in rows):
        chosen = [one for one in rows if (one.turn_deg, one.scale) == (turn_deg, scale)]
        corners = [one.corner_px for one in chosen if one.corner_px is not None]
        medians = [one.median_px for one in chosen if one.median_px is not None]
        found = sum(corner <= FOUND_PX for corner in corners)
        largest = f"{max(corners):.2f} px" if len(corners) == len(chosen) else "none"
        lines.append(
            f"| {turn_deg:g}° | {scale:g} | {len(chosen)} | {found} | {np.median(corners):.2f} px | {largest} "
            f"| {np.median(medians):.2f} px |" + f" {_inside(chosen)} |" * regions
        )
    found = sum(one.corner_px is not None and one.corner_px <= FOUND_PX for one in rows)
    lines.append(f"| **all** | | {len(rows)} | {found} | | | |" + f" {_inside(rows)} |" * regions)
    return "\n".join(lines)


def _inside(rows: Sequence[Row]) -> str:
    """Share of the corners of models that lie within their 95 % region."""
    counts = [one.corners_inside for one in rows if one.corners_inside is not None]
    return f"{np.mean(counts) / 4:.1%}" if counts else "–"


@limit_threads()
def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--weights", default="sentinel2")
    parser.add_argument("--continue", dest="resume", action="store_true", help="keep the scenes of the JSON")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    paths = sorted(arguments.data.glob("*.png"))
    if not paths:
        parser.error(f"the images are not there: {arguments.data}")
    months = sorted(arguments.data.glob(MONTHS))
    matcher = LoftrMatcher(load_network(arguments.weights), pick_device("auto"))
    settings = Settings()
    result = {"environment": environment(matcher.device), "confidence": settings.confidence}
    rows = [Row(**one) for one in json.loads(arguments.json.read_text())["warps"]] if arguments.resume else []
    done = {one.scene for one in rows}
    for path in tqdm([path for path in paths if path not in months[1:] and path.stem not in done], leave=False):
        rows += measure(matcher, path, settings)
        write_result(arguments.json, result | {"warps": [asdict(one) for one in rows]})
    print(table(rows))


if __name__ == "__main__":
    main()
