"""Thinning keeps the most confident matches, evenly spread."""

import numpy as np
import pytest

from s2match.core.matches import Matches, Provenance
from s2match.matching.thinning import thin


def lattice(side: int = 60) -> Matches:
    """A match every 8 px, more confident to the right."""
    x, y = (8 * a.ravel() + 0.5 for a in np.meshgrid(np.arange(side), np.arange(side)))
    xy = np.stack([x, y], 1)
    return Matches(xy, xy + 1, x / x.max(), Provenance("test", "cpu", 0.0))


@pytest.mark.parametrize("most", [1, 7, 100, 1000])
def test_thinned_matches_are_evenly_spread(most: int) -> None:
    kept = thin(lattice(), most)
    assert 0.4 * most <= len(kept) <= most
    if most >= 100:
        held = np.histogram2d(*kept.xy0.T, bins=5)[0]
        assert held.min() > 0.5 * held.mean() and held.max() < 1.6 * held.mean()


def test_the_most_confident_of_each_square_is_kept() -> None:
    matches = lattice()
    kept = thin(matches, 100)
    assert kept.confidence.mean() > matches.confidence.mean()
    assert kept.confidence.max() == 1


def test_few_matches_stay_as_they_are() -> None:
    matches = lattice(5)
    assert thin(matches, 25) is matches
