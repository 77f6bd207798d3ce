"""How many wrong matches agree by chance, and in how many places, on pairs of images that show different places.

python -m benchmarks.evidence FOLDER_OR_IMAGE ... [--size 512] [--confidence 0.2]

Every two of the images are matched and fitted with every model, whatever the evidence; the table shows how many of them
``s2match.geometry.fit`` calls a registration.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s2match.evidence import common_ground, patches
from s2match.geometry import fit
from s2match.loftr import LoftrMatcher, pick_device
from s2match.matching import match_rasters
from s2match.models import FIELD, MODELS, Registration, best_model
from s2match.raster import read_raster
from s2match.weights import load_network


def main() -> None:
    """Match all pairs and print the closest calls of each model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, nargs="+", help="images, or folders of images, all of different places")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--confidence", type=float, default=0.2)
    parser.add_argument("--weights", default="sentinel2")
    arguments = parser.parse_args()
    paths = [p for given in arguments.images for p in (sorted(given.iterdir()) if given.is_dir() else [given])]
    rasters = [read_raster(path, (arguments.size, arguments.size)) for path in paths]
    matcher = LoftrMatcher(load_network(arguments.weights), pick_device("auto"))
    rows: dict[str, list[tuple[bool, int, int, int, str]]] = {model: [] for model in MODELS if model != FIELD}
    for first, second in tqdm(list(itertools.combinations(rasters, 2)), leave=False):
        matches = match_rasters(matcher, first, second, arguments.confidence)
        for model in rows:
            found = best_model(matches, model)
            inliers = 0 if found is None else int(found.inliers.sum())
            registered = isinstance(fit(matches, model, ground=common_ground(first, second)), Registration)
            names = f"{first.scene.path.stem} – {second.scene.path.stem}"
            places = 0 if found is None else patches(matches, found.inliers)
            rows[model].append((registered, inliers, places, len(matches), names))
    print(f"{len(rows['affine'])} pairs of different places at confidence {arguments.confidence:g}")
    for model, found_pairs in rows.items():
        wrong = [names for registered, *_, names in found_pairs if registered]
        _, inliers, _, count, names = max(found_pairs, key=lambda row: row[1])
        print(f"{model:<12} {len(wrong)} registered {wrong}; most inliers: {inliers} of {count}, {names}")
        spread = np.bincount([places for _, _, places, _, _ in found_pairs])
        print(f"{'':<12} pairs by the squares that hold inliers: {dict(enumerate(spread.tolist()))}")


if __name__ == "__main__":
    main()
