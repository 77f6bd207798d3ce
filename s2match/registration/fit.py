"""Fit a model to matches: choose it, test the significance of its inliers, and test whether it is plausible."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.core.point_maps import grid_points, jacobian
from s2match.registration.estimators import best_model
from s2match.registration.evidence import CommonGround, FitFailure, Reason, failure_of, in_one_cluster, required_inliers
from s2match.registration.model import Registration
from s2match.registration.model_selection import CANDIDATES, choose
from s2match.registration.options import AUTO, DEFAULT_FIT, FIELD, FitOptions
from s2match.util.threads import limit_threads

# Range of the scale of a model, relative to the expected scale.
PLAUSIBLE_SCALE = (0.5, 2.0)

# Fraction of the inliers of the best model that a simpler one must have, where matches lie in one cluster.
_NEARLY_ALL = 0.9

# Points along a square of a field's control points at which it must be plausible.
_PER_SQUARE = 4

# Points along a side of the matches' bounding box at which a model that is a matrix must be plausible.
_PER_SIDE = 9

# Models that can bend towards wrong matches in more places than the evidence rules allow for.
_BENDING = {"homography", FIELD}

# Matches that depart by less than this (RMS) from a straight line determine no affine model.
_LINE_PX = 1.0

_LOG = logging.getLogger(__name__)


@limit_threads()
def fit(
    matches: Matches,
    options: FitOptions = DEFAULT_FIT,
    expected: NDArray[np.float64] | None = None,
    candidates: Sequence[str] = CANDIDATES,
    ground: CommonGround | None = None,
) -> Registration | FitFailure:
    """Fit a model to matches that contain outliers, see :func:`s2match.registration.estimators.best_model`.

    A model is rejected if its inliers are not significant, that is, if random matches could give as many
    (:func:`s2match.registration.evidence.failure_of`). It is also rejected if it is implausible for images from above:
    mirrored, or scaled by more than 2 against ``expected``, anywhere among the matches. A homography or a field can
    bend towards wrong matches. They are only tried if the inliers of an affine model are significant.

    Args:
        matches: The matches.
        options: The model and how to fit it; ``auto`` is chosen by
            :func:`s2match.registration.model_selection.choose`.
        expected: 2×2 linear part that the grids of the images predict; None: the same scale and orientation.
        candidates: Models that ``auto`` chooses from, from the simplest.
        ground: Where the images can match, see :func:`s2match.registration.evidence.common_ground`. Without it, inliers
            in few patches are always rejected.

    Returns:
        The registration, or the reason why no model is accepted.
    """
    fitted = _fit_candidates(matches, options, candidates, ground)
    if not isinstance(fitted, FitFailure):
        fitted = _implausible(matches, fitted, np.eye(2) if expected is None else expected) or fitted
    if isinstance(fitted, FitFailure):
        _LOG.info("no model: %s; %d of %d matches agree", fitted.reason, fitted.inliers, len(matches))
    else:
        _log_model(fitted, options.threshold_px)
    return fitted


def _fit_candidates(
    matches: Matches, options: FitOptions, candidates: Sequence[str], ground: CommonGround | None
) -> Registration | FitFailure:
    """The model if its inliers are significant; its plausibility is not tested."""
    automatic = options.model == AUTO
    tried = tuple(candidates) if automatic else (options.model,)
    affine = best_model(matches, options.using("affine")) if automatic or options.model in _BENDING else None
    if set(tried) & _BENDING:
        failure = failure_of(matches, affine, ground)
        if failure is not None:
            tried = _without_bending(tried)
            if not tried:
                return failure if affine is not None else _or_one_line(failure, matches.xy0)
    if automatic and affine is not None and in_one_cluster(matches, affine.inliers):
        registration = _simplest(matches, options, _without_bending(tried))
    elif automatic or options.model == FIELD:
        registration = _select(matches, options, tried)
    else:
        registration = best_model(matches, options)
    failure = failure_of(matches, registration, ground)
    if registration is not None:
        return failure or registration
    assert failure is not None, "no model is no evidence"
    return _or_one_line(failure, matches.xy0)


def _without_bending(models: Sequence[str]) -> tuple[str, ...]:
    return tuple(model for model in models if model not in _BENDING)


def _simplest(matches: Matches, options: FitOptions, candidates: Sequence[str]) -> Registration | None:
    """The simplest model with nearly the largest number of inliers.

    Used when matches lie in few patches. Held-out matches are then not independent, so cross-validation cannot rank the
    models.
    """
    fitted = [best_model(matches, options.using(model)) for model in candidates]
    registrations = [each for each in fitted if each is not None]
    most = max((each.inliers.sum() for each in registrations), default=0)
    return next((each for each in registrations if each.inliers.sum() >= _NEARLY_ALL * most), None)


def _select(matches: Matches, options: FitOptions, candidates: Sequence[str]) -> Registration | None:
    """The model chosen by cross-validation, fitted to all matches."""
    choice = choose(matches, options, candidates)
    registration = best_model(matches, options.using(choice.model), choice.smoothness)
    return None if registration is None else replace(registration, held_out_px=choice.held_out_px)


def _or_one_line(failure: FitFailure, xy: NDArray[np.float64]) -> FitFailure:
    """The failure; changed to ``ONE_LINE`` if the points (N, 2) lie on one straight line or in one place."""
    if failure.reason is Reason.HARDLY_ANY_MATCHES:
        return failure
    across = np.linalg.svd(xy - xy.mean(axis=0), compute_uv=False)[-1]
    if across > _LINE_PX * np.sqrt(len(xy)):
        return failure
    return FitFailure(Reason.ONE_LINE, failure.matches, failure.inliers, failure.required)


def _implausible(matches: Matches, registration: Registration, expected: NDArray[np.float64]) -> FitFailure | None:
    """The failure of a model that mirrors, or scales by less than 0.5 or more than 2, against the expected 2×2 part.

    A model that is a matrix is tested on a grid over the bounding box of the matches. A field is tested over its whole
    support, so that an accepted field does not fold.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        linear = jacobian(registration.apply, _bending_points(matches, registration)) @ np.linalg.inv(expected)
    # beyond its horizon a homography mirrors, and on the horizon it is infinite
    mirrored = not (np.linalg.det(linear) > 0).all()
    stretch = np.linalg.svd(linear[np.isfinite(linear).all(axis=(1, 2))], compute_uv=False)
    scale = float(stretch.min(initial=np.inf)), float(stretch.max(initial=0.0))
    if not mirrored and scale[0] >= PLAUSIBLE_SCALE[0] and scale[1] <= PLAUSIBLE_SCALE[1]:
        return None
    count, inliers = len(registration.inliers), int(registration.inliers.sum())
    failure = FitFailure(Reason.IMPLAUSIBLE, count, inliers, required_inliers(count), scale, mirrored)
    # a line determines the models of four parameters or fewer
    if registration.model in ("translation", "similarity"):
        return failure
    return _or_one_line(failure, matches.xy0[registration.inliers])


def _bending_points(matches: Matches, registration: Registration) -> NDArray[np.float64]:
    """(N, 2) reference pixels at which the linear part of a model is sampled."""
    if registration.field is not None:
        return registration.field.lattice(_PER_SQUARE)
    x, y = np.linspace(matches.xy0.min(axis=0), matches.xy0.max(axis=0), _PER_SIDE).T
    return grid_points(x, y)


def _log_model(registration: Registration, threshold_px: float) -> None:
    inliers = registration.inliers
    _LOG.info("%s: %d of %d matches within %g px", registration.model, inliers.sum(), len(inliers), threshold_px)
    if registration.held_out_px:
        errors = ", ".join(f"{model} {error_px:.3f}" for model, error_px in registration.held_out_px.items())
        _LOG.info("error on held-out matches: %s px; the simplest as good as the best is chosen", errors)
