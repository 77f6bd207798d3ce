"""Which model the matches ask for: the simplest that predicts matches it was not fitted to as well as any."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.matches import PATCH_PX, Matches
from s2match.models import apply_matrix, best_model

# From the simplest; orthorectified images ask for no perspective.
CANDIDATES = ("translation", "similarity", "affine")

# Matches are held out by blocks of the image, this many along its longer side, and with each block the matches around
# it that share half of their neighbours with some inside: neighbours share their errors, and vouch for each other.
_BLOCKS = 4
_BUFFER_PX = PATCH_PX / 2

# Less error than this is no reason for another model.
_NOTHING_PX = 0.02

# More matches tell no more about which model it is.
_MOST_MATCHES = 4000


@dataclass(frozen=True)
class Choice:
    """A chosen model.

    Attributes:
        model: One of :data:`CANDIDATES`.
        held_out_px: For each of them the error on matches it was not fitted to: the mean over blocks of the median in
            each, none counted as more than twice the threshold.
    """

    model: str
    held_out_px: Mapping[str, float]


def choose(matches: Matches, threshold_px: float = 1.5, seed: int = 0) -> Choice:
    """Choose a model by cross-validation over blocks of the image.

    Of the models that are not surely worse than the best, by two standard errors of the difference over the blocks, the
    simplest is chosen; it is the rule of Breiman et al. ("Classification and Regression Trees", 1984), twice as strict.
    Where matches lie in few places, a model that is free to turn or to shear swings far away from them, and a shift, if
    that is all there is, does not.

    Args:
        matches: The matches, wrong ones among them.
        threshold_px: Largest distance of an inlier from a model, in target pixels.
        seed: Makes the random draws repeatable.

    Returns:
        The choice; the simplest model where there are too few matches to tell.
    """
    matches = _agreeing(_some(matches, seed), threshold_px, seed)
    block = _blocks(matches.xy0)
    errors = {model: _held_out_errors(matches, model, block, threshold_px, seed) for model in CANDIDATES}
    best = min(CANDIDATES, key=lambda model: errors[model].mean())
    model = next(model for model in CANDIDATES if _as_good(errors[model], errors[best]))
    return Choice(model, {name: float(error.mean()) for name, error in errors.items()})


def _some(matches: Matches, seed: int) -> Matches:
    if len(matches) <= _MOST_MATCHES:
        return matches
    chosen = np.zeros(len(matches), bool)
    chosen[np.random.default_rng(seed).permutation(len(matches))[:_MOST_MATCHES]] = True
    return matches.of(chosen)


def _agreeing(matches: Matches, threshold_px: float, seed: int) -> Matches:
    """Those that fit one of the models: the others, wrong by all of them, would hide what tells them apart."""
    fits = np.zeros(len(matches), bool)
    for model in CANDIDATES:
        found = best_model(matches, model, threshold_px, seed)
        if found is not None:
            fits |= found.inliers
    return matches.of(fits)


@dataclass(frozen=True)
class _Block:
    """Matches that are held out together.

    Attributes:
        inside: (N,) bool.
        apart: (N,) bool, those far enough away to be fitted to.
    """

    inside: NDArray[np.bool_]
    apart: NDArray[np.bool_]


def _blocks(xy: NDArray[np.float64]) -> list[_Block]:
    """The blocks of the image that hold points (N, 2)."""
    if len(xy) == 0:
        return []
    side = max(float(np.ptp(xy, axis=0).max()) / _BLOCKS, 1.0)
    cell = np.floor((xy - xy.min(axis=0)) / side)
    blocks = []
    for corner in np.unique(cell, axis=0):
        middle = (corner + 0.5) * side + xy.min(axis=0)
        away = np.abs(xy - middle).max(axis=1) > side / 2 + min(_BUFFER_PX, side / 2)
        blocks.append(_Block((cell == corner).all(axis=1), away))
    return blocks


def _held_out_errors(
    matches: Matches, model: str, blocks: list[_Block], threshold_px: float, seed: int
) -> NDArray[np.float64]:
    """(B,) median residual in every block, of models fitted apart from it."""
    worst = 2 * threshold_px
    errors = [worst] if not blocks else []
    for block in blocks:
        found = best_model(matches.of(block.apart), model, threshold_px, seed)
        residual = np.full(block.inside.sum(), worst)
        if found is not None:
            held = matches.of(block.inside)
            residual = np.linalg.norm(apply_matrix(found.matrix, held.xy0) - held.xy1, axis=1)
        errors.append(min(float(np.median(residual)), worst))
    return np.array(errors)


def _as_good(error: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Whether errors in the same blocks exceed the best ones by nothing that is sure, or nothing that matters."""
    more = error - best
    return bool(more.mean() <= max(_NOTHING_PX, 2 * more.std() / max(len(more) - 1, 1) ** 0.5))
