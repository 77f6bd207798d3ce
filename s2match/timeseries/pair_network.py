"""Network of pairs: spanning trees that keep all images connected, and the best partners of each image."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from s2match.timeseries.pair_costs import Candidates

# Spanning trees without a common pair. With two, no part hangs on a single pair, and other pairs test each pair.
_TREES = 2

# Largest number of pairs of an image, in multiples of its partners. Pairs of spanning trees may exceed it.
_MOST = 3

# Common clear ground below which an image needs no partner in a neighbouring place, as a fraction of the footprint.
_LEAST_CLEAR = 0.005

# Days from which two dates lie in different years or seasons.
_OTHER_YEAR_DAYS = 183.0


def network(candidates: Candidates, partners: int) -> list[int]:
    """Choose the pairs of a network; their number grows linearly with the number of images.

    Chosen are:

    - two minimum spanning trees without a common pair, or one with a single partner. They are always kept;
    - for each image its best partners of the same place, in turn among all dates and among other years;
    - for each image its best partner in each neighbouring place.

    An image has at most three times as many pairs as partners, those of the spanning trees aside. A hidden image has
    the pairs of the spanning trees only.

    Args:
        candidates: All pairs that share ground.
        partners: Partners that each image chooses.

    Returns:
        Indexes of the chosen candidates, ascending.
    """
    chosen: set[int] = set()
    for _ in range(min(_TREES, partners)):
        chosen.update(_spanning_tree(candidates, chosen))
    selection = _Selection(candidates, chosen, _MOST * partners)
    same = _by_image(candidates, candidates.groups[candidates.first] == candidates.groups[candidates.second])
    other_years = candidates.days_apart >= _OTHER_YEAR_DAYS
    for turn in range(partners):
        for image in sorted(same):
            further = (pair for pair in same[image] if turn % 2 and other_years[pair])
            selection.choose(image, chain(further, same[image]))
    # half a tile without data may leave nothing of the strip that two tiles share
    other = candidates.groups[candidates.first] != candidates.groups[candidates.second]
    neighbours = _by_image(candidates, other & (candidates.clear_overlaps >= _LEAST_CLEAR))
    for image in sorted(neighbours):
        for pairs in _by_neighbour(candidates, image, neighbours[image]).values():
            selection.choose(image, pairs)
    return sorted(selection.chosen)


def _spanning_tree(candidates: Candidates, without: set[int]) -> NDArray[np.intp]:
    """Indexes of the pairs of the minimum spanning tree of each connected part, some pairs left out.

    The pairs are weighted by their rank, so that there is only one such tree.
    """
    ranks = np.setdiff1d(np.arange(len(candidates.costs)), list(without))
    size = len(candidates.groups)
    # 0 would be no pair
    graph = coo_array((ranks + 1.0, (candidates.first[ranks], candidates.second[ranks])), shape=(size, size))
    return np.asarray(minimum_spanning_tree(graph).data - 1, np.intp)


def _by_image(candidates: Candidates, among: NDArray[np.bool_]) -> dict[int, list[int]]:
    """Some candidates of each image, from the best; those of hidden images are left out."""
    hidden = candidates.hidden[candidates.first] | candidates.hidden[candidates.second]
    pairs: dict[int, list[int]] = defaultdict(list)
    for pair in np.flatnonzero(among & ~hidden).tolist():
        pairs[int(candidates.first[pair])].append(pair)
        pairs[int(candidates.second[pair])].append(pair)
    return pairs


def _by_neighbour(candidates: Candidates, image: int, pairs: Iterable[int]) -> dict[int, list[int]]:
    """The pairs of an image with each neighbouring place, from the best."""
    places: dict[int, list[int]] = defaultdict(list)
    for pair in pairs:
        partner = candidates.first[pair] + candidates.second[pair] - image
        places[int(candidates.groups[partner])].append(pair)
    return places


class _Selection:
    """Pairs that are being chosen, with a largest number of pairs of each image.

    Args:
        candidates: All pairs that share ground.
        chosen: Pairs that are chosen already.
        most: Largest number of pairs of an image.
    """

    def __init__(self, candidates: Candidates, chosen: set[int], most: int) -> None:
        self._candidates, self._most, self.chosen = candidates, most, set(chosen)
        self._taken: set[tuple[int, int]] = set()
        self._pairs = np.zeros(len(candidates.groups), np.intp)
        for pair in chosen:
            self._pairs[self._ends(pair)] += 1

    def choose(self, image: int, pairs: Iterable[int]) -> None:
        """Choose for an image the first pair that it has not chosen before and that exceeds no largest number.

        A pair that its partner or a spanning tree has chosen is a choice, too.
        """
        for pair in pairs:
            if (image, pair) in self._taken:
                continue
            if pair not in self.chosen:
                if self._pairs[self._ends(pair)].max() >= self._most:
                    continue
                self.chosen.add(pair)
                self._pairs[self._ends(pair)] += 1
            self._taken.add((image, pair))
            return

    def _ends(self, pair: int) -> list[int]:
        """Indexes of the two images of a pair."""
        return [int(self._candidates.first[pair]), int(self._candidates.second[pair])]
