"""How often intervals hold the truth, and how often verdicts are right, for pairs with known truth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from benchmarks.markdown import row
from s2match.core.footprint import common_corners
from s2match.core.georeference import predict
from s2match.core.matches import Matches
from s2match.core.raster import HasGrid, Raster
from s2match.registration.model import Registration
from s2match.registration.uncertainty import covariance_px2
from s2match.registration.verdict import CHI2_95, Decision, judge
from s2match.util.threads import limit_threads

# Lengths by which the georeference of a target is moved in turn, pixels, and the number of directions.
MOVEMENTS_PX = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0)
DIRECTIONS = 8

# Farther matches are wrong, and not a matter of covariance.
_RIGHT_PX = 1.5


@dataclass(frozen=True)
class Trust:
    """What a result says of its own errors, against the truth.

    Attributes:
        normalised: Mean over the right matches of the squared error, normalised by the covariance of the match; 2 is
            exact. None without covariances.
        corners_inside: Number of the four corners of the common ground at which the error of the model lies within its
            95 % region.
        registered: For each of :data:`MOVEMENTS_PX` the number of directions with the verdict "already registered".
        register: Likewise, with the verdict "register".
    """

    normalised: float | None
    corners_inside: int
    registered: list[int]
    register: list[int]


@limit_threads()
def trust_of(reference: Raster, target: Raster, matches: Matches, registration: Registration) -> Trust:
    """Compare intervals and verdicts of a pair with its georeference, which is right."""
    corners = common_corners(reference, target)
    error = registration.apply(corners) - predict(corners, reference, target)
    inside = within_region(error, covariance_px2(registration, matches, corners))
    registered, register = [], []
    for length in MOVEMENTS_PX:
        decisions = [
            judge(reference, _moved(target, length, number), matches, registration).decision
            for number in range(DIRECTIONS)
        ]
        registered.append(decisions.count(Decision.REGISTERED))
        register.append(decisions.count(Decision.REGISTER))
    return Trust(
        mean_normalised(matches, predict(matches.xy0, reference, target)), int(inside.sum()), registered, register
    )


def mean_normalised(matches: Matches, true_xy1: NDArray[np.float64]) -> float | None:
    """Mean normalised squared error of the right matches; None without covariances or right matches."""
    error = matches.xy1 - true_xy1
    right = np.linalg.norm(error, axis=1) <= _RIGHT_PX
    if matches.covariance_px2 is None or not right.any():
        return None
    return float(normalised_square(error[right], matches.covariance_px2[right]).mean())


def normalised_square(error: NDArray[np.float64], covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) squares of errors (N, 2), normalised by covariances (N, 2, 2)."""
    return np.asarray(np.einsum("ni,nij,nj->n", error, np.linalg.inv(covariance), error))


def within_region(error: NDArray[np.float64], covariance: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) bool, whether errors (N, 2) lie within the 95 % regions of covariances (N, 2, 2)."""
    return np.asarray(normalised_square(error, covariance) <= CHI2_95)


def verdict_table(trusts: Sequence[Trust]) -> str:
    """Markdown table with a row for each movement of the georeference."""
    head = ["georeference moved by", "already registered", "register", "neither"]
    lines = [row(head), "|---|---:|---:|---:|"]
    count = len(trusts) * DIRECTIONS
    for number, length in enumerate(MOVEMENTS_PX):
        registered, register = (sum(getattr(t, name)[number] for t in trusts) for name in ("registered", "register"))
        numbers = (registered, register, count - registered - register)
        lines.append(row([f"{length:g} px", *(f"{each / count:.1%}" for each in numbers)]))
    return "\n".join(lines)


def interval_sentence(trusts: Sequence[Trust]) -> str:
    """Sentence on the intervals of the models and the covariances of the matches."""
    inside = sum(t.corners_inside for t in trusts)
    normalised = [t.normalised for t in trusts if t.normalised is not None]
    text = f"The 95 % region of the model holds the truth at {inside} of {4 * len(trusts)} corners"
    if not normalised:
        return f"{text}."
    return (
        f"{text}. The mean normalised squared error of the matches is {np.mean(normalised):.2f} (2 is exact), and "
        f"{min(normalised):.2f} to {max(normalised):.2f} in single pairs."
    )


def _moved(target: Raster, length: float, number: int) -> HasGrid:
    """The grid of a target with its georeference moved by some pixels in one of the directions."""
    angle = 2 * math.pi * number / DIRECTIONS
    assert target.transform is not None
    moved = target.transform @ Affine.translation(length * math.cos(angle), length * math.sin(angle))
    return replace(target.grid, transform=moved)
