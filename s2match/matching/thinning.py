"""Thin matches evenly over the reference."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches

# Side of the first squares, and the factor by which they grow until few enough contain matches.
_FIRST_SIDE_PX, _GROWTH = 8.0, 1.1


def thin(matches: Matches, max_count: int) -> Matches:
    """The most confident match of each square of the reference, in squares as small as ``max_count`` allows.

    Args:
        matches: The matches.
        max_count: Maximum number of matches, 1 or more.
    """
    return matches if len(matches) <= max_count else matches.subset(thin_mask(matches, max_count))


def thin_mask(matches: Matches, max_count: int) -> NDArray[np.bool_]:
    """(N,) mask of the matches that :func:`thin` keeps.

    Args:
        matches: The matches.
        max_count: Maximum number of matches, 1 or more.
    """
    kept = np.ones(len(matches), np.bool_)
    if len(matches) <= max_count:
        return kept
    # ties go to the first, so that equal runs keep equal matches
    order = np.lexsort((np.arange(len(matches)), -matches.confidence))
    side = _FIRST_SIDE_PX
    while len(first := _first_of_squares(matches.xy0[order], side)) > max_count:
        side *= _GROWTH
    kept[:] = False
    kept[order[first]] = True
    return kept


def _first_of_squares(xy: NDArray[np.float64], side: float) -> NDArray[np.int64]:
    """Indices of the first point in every square that contains points (N, 2)."""
    column, row = np.floor(xy / side).astype(np.int64).T
    return np.unique(row * (column.max() + 1) + column, return_index=True)[1]
