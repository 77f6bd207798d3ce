"""Which model the matches ask for: the simplest that predicts matches it was not fitted to as well as any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import PATCH_PX, Matches
from s2match.registration.bspline_field import SMOOTHNESS
from s2match.registration.estimators import best_model, best_models
from s2match.registration.options import DEFAULT_FIT, FIELD, FitOptions

# From the simplest; orthorectified images ask for no perspective. The first are one matrix for the whole image.
GLOBAL_CANDIDATES = ("translation", "similarity", "affine")
CANDIDATES = (*GLOBAL_CANDIDATES, FIELD)

# Matches are held out by blocks of the image, and with each block the matches around it that share half of their
# neighbours with some inside: neighbours share their errors, and vouch for each other. Along the longer side there are
# this many blocks where they are no smaller than a patch, so that what a field has to bridge is short against what it
# can bend within; and never fewer than the second number.
_BLOCKS, _LEAST_BLOCKS = 10, 4
_BUFFER_PX = PATCH_PX / 2

# Of the blocks each so many-th along both axes is held out at once.
_STRIDE = 3

# A field is only tried where so many matches lie in so many blocks.
_FIELD_MATCHES, _FIELD_BLOCKS = 100, 30

# Less error than this is no reason for another model.
_NOTHING_PX = 0.02

# More matches tell no more about which model it is.
_MOST_MATCHES = 4000


@dataclass(frozen=True)
class Choice:
    """A chosen model.

    Attributes:
        model: One of :data:`CANDIDATES`.
        held_out_px: For each of those tried the error on matches it was not fitted to: the mean over blocks of the
            median in each, none counted as more than twice the threshold.
        smoothness: Of a field, one of :data:`s2match.registration.bspline_field.SMOOTHNESS`.
    """

    model: str
    held_out_px: Mapping[str, float]
    smoothness: float = SMOOTHNESS[0]


def choose(matches: Matches, options: FitOptions = DEFAULT_FIT, candidates: Sequence[str] = CANDIDATES) -> Choice:
    """Choose a model by cross-validation over blocks of the image.

    Of the models that are not surely worse than the best, by two standard errors of the difference over the blocks, the
    simplest is chosen; it is the rule of Breiman et al. ("Classification and Regression Trees", 1984), twice as strict.
    Where matches lie in few places, a model that is free to turn or to shear swings far away from them, and a shift, if
    that is all there is, does not. A field takes part, with the smoothness that predicts best, where enough matches lie
    in enough places.

    Args:
        matches: The matches, wrong ones among them.
        options: Threshold and seed of the fits; its model is not used.
        candidates: Models to choose from, from the simplest.

    Returns:
        The choice; the simplest model where there are too few matches to tell.
    """
    matches = _some(matches, options.seed)
    if len(candidates) > 1 and not _asks_for_a_field(matches):
        candidates = tuple(model for model in candidates if model != FIELD)
    matches = _agreeing(matches, candidates, options)
    folds = _folds(matches.xy0)
    tried = {model: _best_tried(matches, folds, options.using(model)) for model in candidates}
    best = min(tried.values(), key=lambda each: float(each.error.mean()))
    model = next(model for model in candidates if _as_good(tried[model].error, best.error))
    held_out_px = {name: float(each.error.mean()) for name, each in tried.items()}
    return Choice(model, held_out_px, tried[model].smoothness)


def _some(matches: Matches, seed: int) -> Matches:
    if len(matches) <= _MOST_MATCHES:
        return matches
    chosen = np.zeros(len(matches), bool)
    chosen[np.random.default_rng(seed).permutation(len(matches))[:_MOST_MATCHES]] = True
    return matches.subset(chosen)


def _asks_for_a_field(matches: Matches) -> bool:
    """Whether matches are many, in enough places, and cover enough ground."""
    blocks = sum(len(fold.blocks) for fold in _folds(matches.xy0))
    return len(matches) >= _FIELD_MATCHES and blocks >= _FIELD_BLOCKS


def _agreeing(matches: Matches, candidates: Sequence[str], options: FitOptions) -> Matches:
    """Those that fit one of the models: the others, wrong by all of them, would hide what tells them apart."""
    fits = np.zeros(len(matches), bool)
    for model in candidates:
        # the field that bends most keeps what any field fits
        found = best_model(matches, options.using(model), SMOOTHNESS[-1])
        if found is not None:
            fits |= found.inliers
    return matches.subset(fits)


@dataclass(frozen=True)
class _Fold:
    """Blocks that are held out at once.

    Attributes:
        blocks: The matches in each, (n,) indices.
        apart: (N,) bool, those far enough away to be fitted to.
    """

    blocks: list[NDArray[np.int64]]
    apart: NDArray[np.bool_]


def _folds(xy: NDArray[np.float64]) -> list[_Fold]:
    """The blocks of the image that hold points (N, 2), each in one fold."""
    if len(xy) == 0:
        return []
    low, longest = xy.min(axis=0), float(np.ptp(xy, axis=0).max())
    side = max(longest / _BLOCKS, min(PATCH_PX, longest / _LEAST_BLOCKS), 1.0)
    cell = np.floor((xy - low) / side).astype(np.int64)
    corners, block = np.unique(cell, axis=0, return_inverse=True)
    turn = corners % _STRIDE @ [1, _STRIDE]
    x, y = np.ascontiguousarray(xy.T)
    reach = side / 2 + min(_BUFFER_PX, side / 2)
    folds = []
    for own in (np.flatnonzero(turn == number) for number in np.unique(turn)):
        apart = np.ones(len(xy), bool)
        for corner in corners[own]:
            middle = (corner + 0.5) * side + low
            apart &= (np.abs(x - middle[0]) > reach) | (np.abs(y - middle[1]) > reach)
        folds.append(_Fold([np.flatnonzero(block.ravel() == index) for index in own], apart))
    return folds


@dataclass(frozen=True)
class _Tried:
    """A model and how it did.

    Attributes:
        error: (B,) in every block.
        smoothness: Of a field.
    """

    error: NDArray[np.float64]
    smoothness: float


def _best_tried(matches: Matches, folds: list[_Fold], options: FitOptions) -> _Tried:
    """A model as it is, or a field as smooth as predicts best; of equal ones the smoothest."""
    smoothness = SMOOTHNESS if options.model == FIELD else SMOOTHNESS[:1]
    errors = _held_out_errors(matches, folds, options, smoothness)
    tried = [_Tried(*each) for each in zip(errors, smoothness, strict=True)]
    return min(tried, key=lambda each: float(each.error.mean()))


def _held_out_errors(
    matches: Matches, folds: list[_Fold], options: FitOptions, smoothness: Sequence[float]
) -> NDArray[np.float64]:
    """(S, B) for each smoothness the median residual in every block, of models fitted apart from it."""
    worst, columns = 2 * options.threshold_px, []
    for fold in folds:
        found = best_models(matches.subset(fold.apart), options, smoothness)
        for block in fold.blocks:
            off = (np.linalg.norm(each.apply(matches.xy0[block]) - matches.xy1[block], axis=1) for each in found)
            medians = [float(np.median(residual_px)) for residual_px in off]
            columns.append(np.minimum(medians or [worst] * len(smoothness), worst))
    return np.array(columns or [[worst] * len(smoothness)]).T


def _as_good(error: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Whether errors in the same blocks exceed the best ones by nothing that is sure, or nothing that matters."""
    more = error - best
    return bool(more.mean() <= max(_NOTHING_PX, 2 * more.std() / max(len(more) - 1, 1) ** 0.5))
