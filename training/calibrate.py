"""Calibrate the confidence of weights on held-out dates, so that it is the probability of a correct match.

python -m training.calibrate --data FOLDER... --weights FILE

The pairs are those of ``training.validate``, and all pairs of different places, where no match is right. The
three coefficients of :func:`s2match.loftr.local_affine.calibrated_confidence` are written into the file's metadata.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from s2match.loftr.checkpoints import load_network, save_weights
from s2match.loftr.engine import Engine
from s2match.loftr.local_affine import calibration_features
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads
from training.pairs import apply
from training.scenes import list_images
from training.validate import HELD_OUT, RIGHT_PX, SAME_PLACE, Check, held_out_checks, match, points

_ROUNDS, _DECAY = 50, 1e-3

# Weight of pairs of different places relative to pairs of one place, which are more common in use.
_DIFFERENT = 0.3


def gather(engine: Engine, checks: Sequence[Check]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features (N, 2), correctness (N,) and weights (N,) of all matches of all pairs."""
    features, right, weights = [], [], []
    for check in checks:
        matches = match(engine, check, 0.0)
        count = len(matches.confidence)
        if count == 0:
            continue
        features.append(calibration_features(matches.precision, matches.inlier_fraction).cpu().double())
        is_right = np.zeros(count, bool)
        if check.warp is not None:
            xy0, xy1 = points(matches)
            is_right = np.linalg.norm(xy1 - apply(check.warp, xy0), axis=1) < RIGHT_PX
        right.append(torch.from_numpy(is_right).double())
        # errors of neighbours are correlated: many matches of one pair count less than as many of several pairs
        weight = count**-0.5 * (1.0 if check.warp is not None else _DIFFERENT)
        weights.append(torch.full((count,), weight, dtype=torch.float64))
    if not features:
        return torch.empty(0, 2), torch.empty(0), torch.empty(0)
    return torch.cat(features), torch.cat(right), torch.cat(weights)


def logistic(features: torch.Tensor, right: torch.Tensor, weights: torch.Tensor) -> tuple[float, float, float]:
    """Constant and coefficients of a weighted logistic regression, by Newton's method with slight regularisation."""
    design = torch.cat([torch.ones_like(features[:, :1]), features], 1)
    coefficients = torch.zeros(design.shape[1], dtype=torch.float64)
    decay = _DECAY * weights.sum() * torch.eye(design.shape[1], dtype=torch.float64)
    for _ in range(_ROUNDS):
        likely = torch.sigmoid(design @ coefficients)
        gradient = design.T @ (weights * (right - likely)) - decay @ coefficients
        hessian = (design * (weights * likely * (1 - likely))[:, None]).T @ design + decay
        coefficients = coefficients + torch.linalg.solve(hessian, gradient)
    constant, precision, inlier_fraction = coefficients.tolist()
    return constant, precision, inlier_fraction


def calibrate(weights: Path, checks: Sequence[Check]) -> tuple[float, float, float] | None:
    """Calibrate a file of weights in place; None, without a change, if its matches are all right or all wrong."""
    network = load_network(str(weights))
    plain = replace(network.config, calibration=None)
    engine = Engine(network.net, pick_device("auto"), config=plain)
    features, right, match_weights = gather(engine, checks)
    if not 0 < right.sum() < len(right):
        return None
    config = replace(plain, calibration=logistic(features, right, match_weights))
    save_weights(network.net.cpu(), network.pixel_centre, weights, config)
    return config.calibration


@limit_threads()
def main() -> None:
    """Calibrate and print the coefficients."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--same-place", nargs="*", default=SAME_PLACE, metavar="PATTERN")
    parser.add_argument("--hold-out", nargs="*", default=HELD_OUT, metavar="PATTERN")
    a = parser.parse_args()
    print(calibrate(a.weights, held_out_checks(list_images(a.data), a.hold_out, a.same_place, different=None)))


if __name__ == "__main__":
    main()
