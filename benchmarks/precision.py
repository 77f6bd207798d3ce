"""Matches of the test pairs in float32 and in the fastest precision of the machine.

python -m benchmarks.precision [--data ../shared/data/ukraine] [--size 1024] [--weights sentinel2]
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.accuracy import DEFAULT_DATA
from benchmarks.markdown import row
from benchmarks.scoring import RIGHT_PX, SURE, moved
from s2match.core.georeference import predict
from s2match.core.matches import Matches
from s2match.core.raster import Raster
from s2match.io.reader import read_raster
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.single_pass import match_rasters
from s2match.settings import Settings
from s2match.util.devices import best_precision, pick_device
from s2match.util.threads import limit_threads

CONFIDENCE = 0.2
_OFFSET = (3.0, 5.0)


@dataclass(frozen=True)
class Agreement:
    """Agreement of two precisions on a pair.

    Attributes:
        sure: Matches above ``SURE`` in float32.
        common: Number of them that half precision finds within ``RIGHT_PX``, at any confidence.
        right: Matches within ``RIGHT_PX`` of the truth in float32.
        right_half: Matches within ``RIGHT_PX`` of the truth in half precision.
        moved_px: Median distance between common matches.
    """

    sure: int
    common: int
    right: int
    right_half: int
    moved_px: float


def agreement(reference: Raster, target: Raster, full: Matches, half: Matches) -> Agreement:
    """Compare the matches of two precisions on georeferenced images."""
    sure = full.subset(full.confidence > SURE)
    # matches with the same reference point are the same match
    _, one, other = np.intersect1d(_key(sure.xy0), _key(half.xy0), return_indices=True)
    distance_px = np.linalg.norm(sure.xy1[one] - half.xy1[other], axis=1)
    common = distance_px < RIGHT_PX
    right, right_half = (
        int((np.linalg.norm(m.xy1 - predict(m.xy0, reference, target), axis=1) < RIGHT_PX).sum()) for m in (full, half)
    )
    moved_px = float(np.median(distance_px[common])) if common.any() else 0.0
    return Agreement(len(sure), int(common.sum()), right, right_half, moved_px)


def _key(xy: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(xy[:, 0] + 1j * xy[:, 1])


@limit_threads()
def main() -> None:
    """Match every pair in both precisions and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--weights", default="sentinel2")
    arguments = parser.parse_args()
    device = pick_device("auto")
    fast = best_precision(device)
    if fast == torch.float32:
        parser.error("float32 is the fastest precision of this machine: there is nothing to compare")
    matchers = [LoftrMatcher(load_network(arguments.weights), device, precision) for precision in (torch.float32, fast)]
    print(row(["pair", "above 0.8", "in both", "right", f"right in {str(fast).removeprefix('torch.')}", "moved by"]))
    print("|---|---:|---:|---:|---:|---:|")
    agreements, settings = [], Settings(confidence=CONFIDENCE, refine=False)
    for names in json.loads((arguments.data / "split.json").read_text())["pairs"]:
        reference, target = (
            read_raster(next(arguments.data.glob(f"{name}*.jp2")), (arguments.size, arguments.size)) for name in names
        )
        target = moved(target, _OFFSET)
        matches = [match_rasters(matcher, reference, target, settings) for matcher in matchers]
        agreements.append(agreement(reference, target, *matches))
        print(_line(" – ".join(name[:15] for name in names), agreements[-1]))
    print(_line("**all**", total(agreements)))


def total(agreements: list[Agreement]) -> Agreement:
    """Sums over all pairs, and the median of the distances."""
    sure, common, right, right_half = (
        sum(getattr(each, name) for each in agreements) for name in ("sure", "common", "right", "right_half")
    )
    return Agreement(sure, common, right, right_half, float(np.median([each.moved_px for each in agreements])))


def _line(title: str, pair: Agreement) -> str:
    common = f"{pair.common} ({pair.common / max(pair.sure, 1):.1%})"
    return row([title, str(pair.sure), common, str(pair.right), str(pair.right_half), f"{pair.moved_px:.3f} px"])


if __name__ == "__main__":
    main()
