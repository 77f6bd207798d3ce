"""A registration from matches: which model, whether there is enough evidence for it, and how uncertain it is."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.estimators import best_model
from s2match.registration.evidence import CommonGround, FitFailure, Reason, failure_of, in_one_cluster, required_inliers
from s2match.registration.model import Registration
from s2match.registration.model_selection import CANDIDATES, choose
from s2match.registration.options import AUTO, DEFAULT_FIT, FIELD, FitOptions
from s2match.util.threads import limit_threads

# A model may shrink the ground to this share of what is expected, and enlarge it as much.
_LEAST_SCALE = 0.5

# Of the matches that fit any model, those that fit a simpler one as well.
_NEARLY_ALL = 0.9

# Points along a square of a field's control points at which it must be plausible.
_PER_SQUARE = 4

# Models that can bend towards wrong matches in more places than the evidence rules allow for.
_BENDING = {"homography", FIELD}


@limit_threads()
def fit(
    matches: Matches,
    options: FitOptions = DEFAULT_FIT,
    expected: NDArray[np.float64] | None = None,
    candidates: Sequence[str] = CANDIDATES,
    ground: CommonGround | None = None,
) -> Registration | FitFailure:
    """Fit a model to matches that are not all right, see :func:`s2match.registration.estimators.best_model`.

    Args:
        matches: The matches.
        options: The model and how to fit it; ``auto`` is the one that
            :func:`s2match.registration.model_selection.choose` finds.
        expected: 2×2 linear part that the grids of the images lead to expect; None: the same scale and orientation.
        candidates: Models that ``auto`` chooses from, from the simplest.
        ground: Where the images can match, see :func:`s2match.registration.evidence.common_ground`. Without it, small
            common ground never registers.

    Returns:
        The registration; or why there is none: too few matches agree, so that chance explains it
        (:func:`s2match.registration.evidence.failure_of`), or they agree on what no ground seen from above could do:
        against ``expected``, be mirrored or scaled by more than 2, anywhere. A homography or a field bends towards
        wrong matches, too: they are only tried where those that agree on one affine model within the threshold are
        evidence alone.
    """
    model = options.model
    tried = tuple(candidates) if model == AUTO else (model,)
    affine = best_model(matches, options.using("affine")) if model == AUTO or model in _BENDING else None
    if set(tried) & _BENDING:
        failure = failure_of(matches, affine, ground)
        if failure is not None:
            tried = tuple(other for other in tried if other not in _BENDING)
            if not tried:
                return failure
    if model == AUTO and affine is not None and in_one_cluster(matches, affine.inliers):
        found = _simplest(matches, options, [other for other in tried if other not in _BENDING])
    elif model in (AUTO, FIELD):
        choice = choose(matches, options, tried)
        found = best_model(matches, options.using(choice.model), choice.smoothness)
        found = None if found is None else replace(found, held_out_px=choice.held_out_px)
    else:
        found = best_model(matches, options)
    failure = failure_of(matches, found, ground)
    if failure is not None or found is None:
        return failure or FitFailure(Reason.TOO_FEW_AGREE, len(matches), 0, required_inliers(len(matches)))
    return _implausible(found, np.eye(2) if expected is None else expected) or found


def _simplest(matches: Matches, options: FitOptions, candidates: Sequence[str]) -> Registration | None:
    """The simplest model that fits nearly as many matches as any.

    For matches in few patches: they share their neighbours, so that those held out tell no models apart.
    """
    fitted = [best_model(matches, options.using(model)) for model in candidates]
    found = [each for each in fitted if each is not None]
    most = max((each.inliers.sum() for each in found), default=0)
    return next((each for each in found if each.inliers.sum() >= _NEARLY_ALL * most), None)


def _implausible(found: Registration, expected: NDArray[np.float64]) -> FitFailure | None:
    """The failure of a model that mirrors or scales beyond 0.5 to 2 in any direction, against what is expected.

    A field must keep to this wherever it bends, so that it folds nowhere.
    """
    linear = found.matrix[None, :2, :2] if found.field is None else _slopes(found, found.field.lattice(_PER_SQUARE))
    linear = linear @ np.linalg.inv(expected)
    stretch = np.linalg.svd(linear, compute_uv=False)
    scale = float(stretch.min()), float(stretch.max())
    mirrored = bool((np.linalg.det(linear) <= 0).any())
    if not mirrored and scale[0] >= _LEAST_SCALE and scale[1] <= 1 / _LEAST_SCALE:
        return None
    count, agreeing = len(found.inliers), int(found.inliers.sum())
    return FitFailure(Reason.IMPLAUSIBLE, count, agreeing, required_inliers(count), scale, mirrored)


def _slopes(found: Registration, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, 2) linear part of a model about places (N, 2), over a pixel."""
    half = np.array([[0.5, 0.0], [0.0, 0.5]])
    return np.stack([found.apply(xy + step) - found.apply(xy - step) for step in half], axis=2)
