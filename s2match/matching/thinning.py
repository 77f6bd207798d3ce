"""Thin matches evenly over the reference."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches

# Side of the first squares, and the factor by which they grow until few enough hold matches.
_FIRST_SIDE_PX, _GROWTH = 8.0, 1.1


def thin(matches: Matches, most: int) -> Matches:
    """The most confident match of each square of the reference, in squares as small as the maximum allows.

    Args:
        matches: The matches.
        most: Maximum number of matches, 1 or more.
    """
    return matches if len(matches) <= most else matches.subset(thin_mask(matches, most))


def thin_mask(matches: Matches, most: int) -> NDArray[np.bool_]:
    """(N,) mask of the matches that :func:`thin` keeps.

    Args:
        matches: The matches.
        most: Maximum number of matches, 1 or more.
    """
    kept = np.ones(len(matches), np.bool_)
    if len(matches) <= most:
        return kept
    # ties go to the first, so that equal runs keep equal matches
    order = np.lexsort((np.arange(len(matches)), -matches.confidence))
    side = _FIRST_SIDE_PX
    while len(first := _first_of_squares(matches.xy0[order], side)) > most:
        side *= _GROWTH
    kept[:] = False
    kept[order[first]] = True
    return kept


def _first_of_squares(xy: NDArray[np.float64], side: float) -> NDArray[np.int64]:
    """Indices of the first point in every square that contains points (N, 2)."""
    column, row = np.floor(xy / side).astype(np.int64).T
    return np.unique(row * (column.max() + 1) + column, return_index=True)[1]
