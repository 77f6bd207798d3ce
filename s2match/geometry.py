"""A registration from matches: which model, whether there is enough evidence for it, and how uncertain it is."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from s2match.errors import OptionError
from s2match.matches import PATCH_PX, Matches
from s2match.models import FIELD, MODELS, Registration, best_model
from s2match.selection import CANDIDATES, choose

# A registration needs MIN_INLIERS plus this share of the matches to agree: wrong matches agree by chance, the more of
# them the more. benchmarks/evidence.py measures by how much.
MIN_INLIERS = 12
CHANCE_SHARE = 0.1

# Matches that lie where their neighbours agree are no independent witnesses: wrong ones come as one patch that agrees
# with itself. A patch as large as s2match.consensus looks touches at most four squares of its size; a fifth must agree.
MIN_PATCHES = 5

# Points along a square of a field's control points at which it must be plausible.
_PER_SQUARE = 4

# Models that are free to follow wrong matches to more places than MIN_PATCHES allows for.
_BENDING = {"homography", FIELD}

# Chooses the model by the error on held-out matches.
AUTO = "auto"


def fit(
    matches: Matches,
    model: str = AUTO,
    threshold_px: float = 1.5,
    seed: int = 0,
    expected: NDArray[np.float64] | None = None,
    candidates: Sequence[str] = CANDIDATES,
) -> Registration | None:
    """Fit a model to matches that are not all right, see :func:`s2match.models.best_model`.

    Args:
        matches: The matches.
        model: One of :data:`s2match.models.MODELS`, or :data:`AUTO` for the one that :func:`s2match.selection.choose`
            finds.
        threshold_px: Largest distance of an inlier from the model, in target pixels.
        seed: Makes the random draws repeatable.
        expected: 2×2 linear part that the grids of the images lead to expect; None: the same scale and orientation.
        candidates: Models that :data:`AUTO` chooses from, from the simplest.

    Returns:
        The registration, or None when too few matches agree, so that chance explains it (:func:`is_evidence`), or
        when they agree on what no ground seen from above could do: against ``expected``, be mirrored or scaled by more
        than 2, anywhere. A homography or a field bends towards wrong matches, too: they are only tried where those
        that agree on one affine model within the threshold are evidence alone.

    Raises:
        OptionError: ``model`` is unknown, ``threshold_px`` is not positive or ``seed`` is negative.
    """
    check_fit_options(model, threshold_px, seed)
    tried = candidates if model == AUTO else (model,)
    if set(tried) & _BENDING and not _believed(best_model(matches, "affine", threshold_px, seed), matches):
        tried = tuple(other for other in tried if other not in _BENDING)
    if not tried:
        return None
    if model in (AUTO, FIELD):
        choice = choose(matches, threshold_px, seed, tried)
        found = best_model(matches, choice.model, threshold_px, seed, choice.smoothness)
        found = None if found is None else replace(found, held_out_px=choice.held_out_px)
    else:
        found = best_model(matches, model, threshold_px, seed)
    if found is None or not _believed(found, matches):
        return None
    return found if _plausible(found, np.eye(2) if expected is None else expected) else None


def uncertainty_px(registration: Registration, matches: Matches, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far off the model may be at some places, by the residuals of its inliers and by where they lie.

    The standard error of a least-squares fit to the inliers, both axes together: small among many points, growing with
    the distance from them. Where matches lie where their neighbours agree, what counts is how far each alone lay from
    there, too: averages lie closer together than what they were taken of, but are not independent. Errors that all
    matches share are not in it.

    Args:
        registration: The model.
        matches: The matches it was fitted to.
        xy: (N, 2) reference pixels.

    Returns:
        (N,) standard error in target pixels.
    """
    inliers = registration.inliers
    points = matches.xy0[inliers]
    leverage, parameters = (
        _leverage(points, xy, registration.model == "translation")
        if registration.field is None
        else registration.field.leverage(points, xy)
    )
    squares = registration.residual_px**2 + (0.0 if matches.scatter_px is None else matches.scatter_px**2)
    variance = float(squares[inliers].sum()) / max(len(points) - parameters, 1)
    return np.asarray(np.sqrt(variance * leverage))


def _leverage(
    known: NDArray[np.float64], asked: NDArray[np.float64], shift_alone: bool
) -> tuple[NDArray[np.float64], float]:
    """(M,) variances of a plane, or of a shift, at places (M, 2), fitted to points (N, 2) that are off by 1 px each.

    With them how many parameters it has.
    """
    centre, spread = known.mean(axis=0), max(float(known.std()), 1e-9)

    def design(places: NDArray[np.float64]) -> NDArray[np.float64]:
        ones = np.ones((len(places), 1))
        return ones if shift_alone else np.hstack([ones, (places - centre) / spread])

    covariance = np.linalg.pinv(design(known).T @ design(known))
    return np.einsum("ni,ij,nj->n", design(asked), covariance, design(asked)), len(covariance)


def _believed(found: Registration | None, matches: Matches) -> bool:
    return found is not None and is_evidence(matches, found.inliers)


def is_evidence(matches: Matches, inliers: NDArray[np.bool_]) -> bool:
    """Whether so many matches agree, in so many places, that chance does not explain it.

    Args:
        matches: All of them.
        inliers: (N,) those that agree on one model.
    """
    if inliers.sum() < required_inliers(len(matches)):
        return False
    if matches.scatter_px is None:
        return True
    return patches(matches, inliers) >= MIN_PATCHES


def patches(matches: Matches, inliers: NDArray[np.bool_]) -> int:
    """How many squares of the reference, as large as what a match looks around at, hold some of the inliers (N,)."""
    return len(np.unique(np.floor(matches.xy0[inliers] / PATCH_PX), axis=0))


def required_inliers(matches: int) -> int:
    """How many of so many matches must agree on one model before it is believed."""
    return math.ceil(MIN_INLIERS + CHANCE_SHARE * matches)


def check_fit_options(model: str, threshold_px: float, seed: int) -> None:
    """Refuse a model, threshold or seed that cannot be fitted with.

    Raises:
        OptionError: It cannot.
    """
    if model not in (AUTO, *MODELS):
        raise OptionError(f"Unknown geometry {model!r}: choose {AUTO}, {', '.join(MODELS)}.")
    if not 0 < threshold_px < np.inf:
        raise OptionError(f"RANSAC threshold {threshold_px:g} is out of range: it must be a positive number of pixels.")
    if seed < 0:
        raise OptionError(f"Seed {seed} is out of range: it must be 0 or more.")


def _plausible(found: Registration, expected: NDArray[np.float64]) -> bool:
    """Whether a model keeps handedness and scales by 0.5 to 2 in every direction, against what is expected.

    A field must do so wherever it bends, so that it folds nowhere.
    """
    linear = found.matrix[None, :2, :2] if found.field is None else _slopes(found, found.field.lattice(_PER_SQUARE))
    linear = linear @ np.linalg.inv(expected)
    stretch = np.linalg.svd(linear, compute_uv=False)
    return bool((np.linalg.det(linear) > 0).all() and stretch.max() <= 2 and stretch.min() >= 0.5)


def _slopes(found: Registration, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, 2) linear part of a model about places (N, 2), over a pixel."""
    half = np.array([[0.5, 0.0], [0.0, 0.5]])
    return np.stack([found.apply(xy + step) - found.apply(xy - step) for step in half], axis=2)
