"""Model selection: the simplest model whose error on held-out matches is within two standard errors of the smallest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import PATCH_PX, Matches
from s2match.registration.bspline_field import SMOOTHNESS
from s2match.registration.estimators import best_model, best_models
from s2match.registration.options import DEFAULT_FIT, FIELD, FitOptions

# From the simplest; orthorectified images need no perspective. The global ones are one matrix for the whole image.
GLOBAL_CANDIDATES = ("translation", "similarity", "affine")
CANDIDATES = (*GLOBAL_CANDIDATES, FIELD)

# Matches are held out by blocks of the image. The matches in a buffer around each are left out, too: they share half
# of their neighbours, and so their errors, with some in the block. There are _BLOCKS along the longer side, so that a
# field bridges gaps that are short against the scale of its bends. Where blocks would be smaller than a patch there are
# fewer, but at least _LEAST_BLOCKS.
_BLOCKS, _LEAST_BLOCKS = 10, 4
_BUFFER_PX = PATCH_PX / 2

# Every third block along both axes is held out at once.
_STRIDE = 3

# A field is only tried if there are this many matches, in this many blocks.
_FIELD_MATCHES, _FIELD_BLOCKS = 100, 30

# A smaller difference of errors does not justify another model: it may come from the error that all matches of a part
# of the image share (s2match.registration.uncertainty).
_NEGLIGIBLE_PX = 0.03

# Larger numbers of matches are sampled: more do not change the choice.
_MOST_MATCHES = 4000


@dataclass(frozen=True)
class Choice:
    """A chosen model.

    Attributes:
        model: One of :data:`CANDIDATES`.
        held_out_px: Error of each candidate on held-out matches, by model name: the mean over blocks of the median
            residual in each, at most twice the threshold.
        smoothness: Smoothness of a field, one of :data:`s2match.registration.bspline_field.SMOOTHNESS`.
    """

    model: str
    held_out_px: Mapping[str, float]
    smoothness: float = SMOOTHNESS[0]


def choose(matches: Matches, options: FitOptions = DEFAULT_FIT, candidates: Sequence[str] = CANDIDATES) -> Choice:
    """Choose a model by cross-validation over blocks of the image.

    The simplest model is chosen whose error exceeds the best by at most two standard errors of the difference over the
    blocks. This is the rule of Breiman et al. ("Classification and Regression Trees", 1984) with two standard errors in
    place of one. If matches cover little of the image, a rotation or shear fitted to them has large errors far away
    from them. A shift does not. A field, with the smoothness that predicts best, is a candidate where there are enough
    matches in enough blocks.

    Args:
        matches: The matches, with outliers.
        options: Threshold and seed of the fits; its model is not used.
        candidates: Models to choose from, from the simplest.

    Returns:
        The choice; the simplest model if there are too few matches.
    """
    matches = _sample(matches, options.seed)
    if len(candidates) > 1 and not _enough_for_a_field(matches):
        candidates = tuple(model for model in candidates if model != FIELD)
    matches = _inliers_of_any(matches, candidates, options)
    folds = _folds(matches.xy0)
    scores = {model: _best_score(matches, folds, options.using(model)) for model in candidates}
    best = min(scores.values(), key=lambda score: float(score.error.mean()))
    model = next(model for model in candidates if _as_good(scores[model].error, best.error))
    held_out_px = {name: float(score.error.mean()) for name, score in scores.items()}
    return Choice(model, held_out_px, scores[model].smoothness)


def _sample(matches: Matches, seed: int) -> Matches:
    """The matches, or a random sample if there are more than are used."""
    if len(matches) <= _MOST_MATCHES:
        return matches
    chosen = np.zeros(len(matches), bool)
    chosen[np.random.default_rng(seed).permutation(len(matches))[:_MOST_MATCHES]] = True
    return matches.subset(chosen)


def _enough_for_a_field(matches: Matches) -> bool:
    """Whether there are enough matches in enough blocks to fit a field."""
    blocks = sum(len(fold.blocks) for fold in _folds(matches.xy0))
    return len(matches) >= _FIELD_MATCHES and blocks >= _FIELD_BLOCKS


def _inliers_of_any(matches: Matches, candidates: Sequence[str], options: FitOptions) -> Matches:
    """Matches that are inliers of at least one model: other matches would hide the differences between models."""
    inliers = np.zeros(len(matches), bool)
    for model in candidates:
        # the field that bends most has the inliers of every field
        registration = best_model(matches, options.using(model), SMOOTHNESS[-1])
        if registration is not None:
            inliers |= registration.inliers
    return matches.subset(inliers)


@dataclass(frozen=True)
class _Fold:
    """Blocks that are held out together.

    Attributes:
        blocks: For each block the (n,) indices of its matches.
        training: (N,) bool, the matches outside the blocks and their buffers.
    """

    blocks: list[NDArray[np.int64]]
    training: NDArray[np.bool_]


def _folds(xy: NDArray[np.float64]) -> list[_Fold]:
    """The blocks of the image that contain points (N, 2), each in one fold."""
    if len(xy) == 0:
        return []
    low, longest = xy.min(axis=0), float(np.ptp(xy, axis=0).max())
    side = max(longest / _BLOCKS, min(PATCH_PX, longest / _LEAST_BLOCKS), 1.0)
    cell = np.floor((xy - low) / side).astype(np.int64)
    corners, block = np.unique(cell, axis=0, return_inverse=True)
    fold = corners % _STRIDE @ [1, _STRIDE]
    x, y = np.ascontiguousarray(xy.T)
    radius = side / 2 + min(_BUFFER_PX, side / 2)
    folds = []
    for indices in (np.flatnonzero(fold == number) for number in np.unique(fold)):
        training = np.ones(len(xy), bool)
        for corner in corners[indices]:
            centre = (corner + 0.5) * side + low
            training &= (np.abs(x - centre[0]) > radius) | (np.abs(y - centre[1]) > radius)
        folds.append(_Fold([np.flatnonzero(block.ravel() == index) for index in indices], training))
    return folds


@dataclass(frozen=True)
class _Score:
    """Error of a model on held-out matches.

    Attributes:
        error: (B,) error in every block, target pixels.
        smoothness: Smoothness of a field.
    """

    error: NDArray[np.float64]
    smoothness: float


def _best_score(matches: Matches, folds: list[_Fold], options: FitOptions) -> _Score:
    """The score of a model; for a field, of the smoothness with the smallest error, and of equal ones the smoothest."""
    smoothness = SMOOTHNESS if options.model == FIELD else SMOOTHNESS[:1]
    errors = _held_out_errors(matches, folds, options, smoothness)
    scores = [_Score(*each) for each in zip(errors, smoothness, strict=True)]
    return min(scores, key=lambda score: float(score.error.mean()))


def _held_out_errors(
    matches: Matches, folds: list[_Fold], options: FitOptions, smoothness: Sequence[float]
) -> NDArray[np.float64]:
    """(S, B) median residual in every block, for each smoothness, of models fitted without the block."""
    worst, columns = 2 * options.threshold_px, []
    for fold in folds:
        models = best_models(matches.subset(fold.training), options, smoothness)
        for block in fold.blocks:
            residuals = (np.linalg.norm(each.apply(matches.xy0[block]) - matches.xy1[block], axis=1) for each in models)
            medians = [float(np.median(residual_px)) for residual_px in residuals]
            columns.append(np.minimum(medians or [worst] * len(smoothness), worst))
    return np.array(columns or [[worst] * len(smoothness)]).T


def _as_good(error: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Whether errors exceed the best, over the same blocks, by at most two standard errors or a negligible amount."""
    excess = error - best
    return bool(excess.mean() <= max(_NEGLIGIBLE_PX, 2 * excess.std() / max(len(excess) - 1, 1) ** 0.5))
