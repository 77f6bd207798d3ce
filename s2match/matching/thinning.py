"""Fewer matches, spread as evenly as they lie."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches

_FIRST_SIDE_PX, _GROWTH = 8.0, 1.1


def thin(matches: Matches, most: int) -> Matches:
    """Keep the surest match of each square of the reference, the squares as small as the number allows.

    Args:
        matches: The matches.
        most: Matches to keep at most, 1 or more.
    """
    return matches if len(matches) <= most else matches.subset(thin_mask(matches, most))


def thin_mask(matches: Matches, most: int) -> NDArray[np.bool_]:
    """(N,) the matches that :func:`thin` keeps."""
    kept = np.ones(len(matches), np.bool_)
    if len(matches) <= most:
        return kept
    # of equally sure ones the first, so that equal runs keep equal matches
    order = np.lexsort((np.arange(len(matches)), -matches.confidence))
    side = _FIRST_SIDE_PX
    while len(first := _first_of_squares(matches.xy0[order], side)) > most:
        side *= _GROWTH
    kept[:] = False
    kept[order[first]] = True
    return kept


def _first_of_squares(xy: NDArray[np.float64], side: float) -> NDArray[np.int64]:
    """Indices of the first point in every square that holds any."""
    column, row = np.floor(xy / side).astype(np.int64).T
    return np.unique(row * (column.max() + 1) + column, return_index=True)[1]
