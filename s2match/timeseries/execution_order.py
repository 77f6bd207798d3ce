"""Order in which the pairs of a series are matched, so that few images are kept and each is read few times."""

from collections import OrderedDict, defaultdict
from collections.abc import Sequence

from s2match.timeseries.pair_graph import PlannedPair

# Images that the order is made for; larger caches profit as well.
_CACHED = 8


def execution_order(pairs: Sequence[PlannedPair], cached: int = _CACHED) -> tuple[int, ...]:
    """Order of pairs in which those that share an image lie near each other.

    Next is always a pair whose images are both in a cache of the last used images, or else one of them. Of these, it is
    the one whose images have the fewest pairs left, so that images are finished and leave the cache for good.

    Args:
        pairs: The pairs.
        cached: Number of images that the cache holds, 2 or more.

    Returns:
        Indexes of all pairs, in the order of execution.
    """
    remaining: dict[int, set[int]] = defaultdict(set)
    for index, pair in enumerate(pairs):
        remaining[pair.reference].add(index)
        remaining[pair.target].add(index)
    cache: OrderedDict[int, None] = OrderedDict()
    order: list[int] = []

    def urgency(index: int) -> tuple[int, int, int, int]:
        ends = pairs[index].reference, pairs[index].target
        left = sorted(len(remaining[image]) for image in ends)
        return sum(image not in cache for image in ends), left[0], left[1], index

    while len(order) < len(pairs):
        near = {index for image in cache for index in remaining[image]}
        index = min(near or {index for left in remaining.values() for index in left}, key=urgency)
        order.append(index)
        for image in (pairs[index].reference, pairs[index].target):
            remaining[image].discard(index)
            cache[image] = None
            cache.move_to_end(image)
        while len(cache) > cached:
            cache.popitem(last=False)
    return tuple(order)
