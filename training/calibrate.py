"""Find what makes the confidence of weights a probability, on dates that training holds out.

python -m training.calibrate --data FOLDER... --weights FILE

The pairs are those of ``training.validate``, and every two of the places against each other, where no match is right.
The three numbers of :func:`s2match.loftr.local_affine.calibrated` are written into the file's metadata.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from s2match.loftr.checkpoints import load_network, save_weights
from s2match.loftr.device import pick_device
from s2match.loftr.engine import Engine
from s2match.loftr.local_affine import calibration_features
from s2match.util.threads import limit_threads
from training.pairs import apply
from training.scenes import list_images
from training.validate import HELD_OUT, RIGHT_PX, SAME_PLACE, Check, held_out_checks, match, points

_ROUNDS, _DECAY = 50, 1e-3

# What pairs of different places count against those of one place: users mostly have the latter.
_DIFFERENT = 0.3


def gather(engine: Engine, checks: Sequence[Check]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All matches of all pairs: what speaks for each (N, 2), whether it is right (N,), and what it counts (N,)."""
    known, right, weights = [], [], []
    for check in checks:
        found = match(engine, check, 0.0)
        count = len(found.confidence)
        if count == 0:
            continue
        known.append(calibration_features(found.precision, found.inlier_fraction).cpu().double())
        fits = np.zeros(count, bool)
        if check.warp is not None:
            xy0, xy1 = points(found)
            fits = np.linalg.norm(xy1 - apply(check.warp, xy0), axis=1) < RIGHT_PX
        right.append(torch.from_numpy(fits).double())
        # neighbours share their errors: many matches of a pair are worth less than as many of several
        counts = count**-0.5 * (1.0 if check.warp is not None else _DIFFERENT)
        weights.append(torch.full((count,), counts, dtype=torch.float64))
    if not known:
        return torch.empty(0, 2), torch.empty(0), torch.empty(0)
    return torch.cat(known), torch.cat(right), torch.cat(weights)


def logistic(known: torch.Tensor, right: torch.Tensor, weights: torch.Tensor) -> tuple[float, float, float]:
    """Constant and factors of a weighted logistic regression, by Newton's method with a little decay."""
    design = torch.cat([torch.ones_like(known[:, :1]), known], 1)
    factors = torch.zeros(design.shape[1], dtype=torch.float64)
    decay = _DECAY * weights.sum() * torch.eye(design.shape[1], dtype=torch.float64)
    for _ in range(_ROUNDS):
        likely = torch.sigmoid(design @ factors)
        slope = design.T @ (weights * (right - likely)) - decay @ factors
        curve = (design * (weights * likely * (1 - likely))[:, None]).T @ design + decay
        factors = factors + torch.linalg.solve(curve, slope)
    constant, support, share = factors.tolist()
    return constant, support, share


def calibrate(weights: Path, checks: Sequence[Check]) -> tuple[float, float, float] | None:
    """Calibrate a file of weights in place; None where they match nothing, and the file stays as it was."""
    network = load_network(str(weights))
    plain = replace(network.config, calibration=None)
    engine = Engine(network.net, pick_device("auto"), config=plain)
    known, right, counts = gather(engine, checks)
    if not 0 < right.sum() < len(right):
        return None
    config = replace(plain, calibration=logistic(known, right, counts))
    save_weights(network.net.cpu(), network.pixel_centre, weights, config)
    return config.calibration


@limit_threads()
def main() -> None:
    """Calibrate and print the factors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--same-place", nargs="*", default=SAME_PLACE, metavar="PATTERN")
    parser.add_argument("--hold-out", nargs="*", default=HELD_OUT, metavar="PATTERN")
    a = parser.parse_args()
    print(calibrate(a.weights, held_out_checks(list_images(a.data), a.hold_out, a.same_place, different=None)))


if __name__ == "__main__":
    main()
