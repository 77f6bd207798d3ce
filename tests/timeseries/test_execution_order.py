"""Pairs that share an image are matched near each other, so that a cache of few images holds it."""

from collections import OrderedDict
from collections.abc import Sequence

import pytest
from test_pair_graph import cloudy

from s2match.timeseries.choices import PairMode
from s2match.timeseries.execution_order import execution_order
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.pair_graph import PlannedPair, plan_pairs


def encodings(pairs: Sequence[PlannedPair], order: Sequence[int], cached: int) -> int:
    """Images that are encoded if a cache keeps the last used ones."""
    cache: OrderedDict[int, None] = OrderedDict()
    missed = 0
    for index in order:
        for image in (pairs[index].reference, pairs[index].target):
            missed += image not in cache
            cache[image] = None
            cache.move_to_end(image)
            if len(cache) > cached:
                cache.popitem(last=False)
    return missed


@pytest.mark.parametrize("cached", [8, 16])
def test_a_small_cache_saves_most_encodings(cached: int) -> None:
    pairs = plan_pairs(*cloudy(50), SeriesOptions())
    order = execution_order(pairs, cached)
    assert sorted(order) == list(range(len(pairs)))
    assert 50 <= encodings(pairs, order, cached) < 0.25 * 2 * len(pairs)
    assert encodings(pairs, order, cached) < 0.9 * encodings(pairs, range(len(pairs)), cached)


@pytest.mark.parametrize("mode", [PairMode.REFERENCE, PairMode.CONSECUTIVE])
def test_chains_and_stars_encode_each_image_once(mode: PairMode) -> None:
    images, looks = cloudy(50)
    pairs = plan_pairs(images, looks, SeriesOptions(pairs=mode))
    assert encodings(pairs, execution_order(pairs), 8) == 50


def test_no_pairs_have_an_order() -> None:
    assert execution_order(()) == ()
    assert execution_order((PlannedPair(0, 1), PlannedPair(4, 5))) == (0, 1)
