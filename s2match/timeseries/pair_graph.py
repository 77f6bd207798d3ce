"""Which pairs of a series to match."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from s2match.errors import ImageIndexError, UnreadableImageError
from s2match.timeseries.choices import PairMode
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.observations import PairObservation
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.pair_costs import Candidates, candidates_of
from s2match.timeseries.pair_network import network
from s2match.timeseries.quick_looks import QuickLook

# Images with this fraction of the largest clear share are as clear: only saturated cloud is seen.
_EQUALLY_CLEAR = 0.95


@dataclass(frozen=True)
class PlannedPair:
    """A pair to match.

    Attributes:
        reference: Index of the reference in the series; lower than that of the target.
        target: Index of the target.
        overlap: Fraction of the smaller footprint that both images show, 0 to 1.
        days_apart: Days between the two dates; None if one is unknown.
    """

    reference: int
    target: int
    overlap: float = 1.0
    days_apart: int | None = None


def plan_pairs(
    images: Sequence[SeriesImage], looks: Sequence[QuickLook | str], options: SeriesOptions
) -> tuple[PlannedPair, ...]:
    """Choose the pairs to match; nothing is read.

    - ``reference``: the reference image with each other one.
    - ``consecutive``: each image with the next one of its place. A hidden image has a pair with the image before it,
      and the series continues without it. Neighbouring places are linked by their best pair.
    - ``network``: see :func:`s2match.timeseries.pair_network.network`.

    Images that share less than 2 % of the smaller footprint are no pair, nor are images that cannot be read.

    Args:
        images: The images, sorted by sensing time.
        looks: Quick look of each image, or the reason why it cannot be read.
        options: The options; ``pairs``, ``partners`` and ``reference`` are used.

    Returns:
        The pairs, sorted by reference and target.

    Raises:
        ImageIndexError: The mode is ``reference`` and there is no image with the index of the reference.
        UnreadableImageError: The mode is ``reference`` and the reference, or each image, cannot be read.
    """
    candidates = candidates_of(images, looks)
    match options.pairs:
        case PairMode.REFERENCE:
            reference = reference_of(looks, options.reference)
            chosen = np.flatnonzero((candidates.first == reference) | (candidates.second == reference)).tolist()
        case PairMode.CONSECUTIVE:
            chosen = _consecutive(candidates)
        case PairMode.NETWORK:
            chosen = network(candidates, options.partners)
    planned = [_planned(candidates, pair) for pair in chosen]
    return tuple(sorted(planned, key=lambda pair: (pair.reference, pair.target)))


def given_pairs(
    images: Sequence[SeriesImage], looks: Sequence[QuickLook | str], pairs: Sequence[tuple[int, int]]
) -> tuple[PlannedPair, ...]:
    """The pairs that a user has listed; the overlap of pairs that share less than 2 % is 0.

    Args:
        images: The images.
        looks: Quick look of each image, or the reason why it cannot be read.
        pairs: Indexes of the two images of each pair, the lower first.

    Returns:
        All of them, sorted by reference and target.
    """
    candidates = candidates_of(images, looks)
    numbers = _numbers(candidates)
    return tuple(
        _planned(candidates, numbers[ends]) if ends in numbers else PlannedPair(*ends, 0.0, _days(images, *ends))
        for ends in sorted(set(pairs))
    )


def reference_of(looks: Sequence[QuickLook | str], reference: int | None = None) -> int:
    """Index of the reference image: the one asked for, or else the first of those with the largest clear share.

    Args:
        looks: Quick look of each image, or the reason why it cannot be read.
        reference: Index of the image asked for.

    Raises:
        ImageIndexError: There is no image with that index.
        UnreadableImageError: The image, or each image, cannot be read.
    """
    if reference is None:
        shares = {index: look.clear_share for index, look in enumerate(looks) if isinstance(look, QuickLook)}
        if not shares:
            raise UnreadableImageError("None of the images of the series can be read.")
        return max(shares, key=lambda index: (shares[index], -index))
    if not 0 <= reference < len(looks):
        raise ImageIndexError(
            f"Reference {reference} is out of range: the series has {len(looks)} images, 0 to {len(looks) - 1}."
        )
    look = looks[reference]
    if isinstance(look, str):
        raise UnreadableImageError(f"The reference of the series cannot be read: {look}")
    return reference


def best_reference(looks: Sequence[QuickLook | str], observations: Sequence[PairObservation]) -> int:
    """Index of the image with most inliers in its pairs, of those that are about as clear as the clearest.

    Args:
        looks: Quick look of each image, or the reason why it cannot be read; one at least can be.
        observations: The matched pairs.
    """
    shares = np.array([0.0 if isinstance(look, str) else look.clear_share for look in looks])
    inliers = np.zeros(len(looks), np.intp)
    for observation in observations:
        inliers[[observation.reference, observation.target]] += observation.inliers
    return int(np.where(shares >= _EQUALLY_CLEAR * shares.max(), inliers, -1).argmax())


def _consecutive(candidates: Candidates) -> list[int]:
    """Indexes of the candidates that link each image to the next one of its place, and neighbouring places."""
    numbers = _numbers(candidates)
    wanted: list[tuple[int, int]] = []
    for place in range(int(candidates.groups.max(initial=-1)) + 1):
        members = np.flatnonzero(candidates.groups == place).tolist()
        clear = [index for index in members if not candidates.hidden[index]] or members
        wanted += pairwise(clear)
        for index in set(members) - set(clear):
            nearest = max((other for other in clear if other < index), default=clear[0])
            wanted.append((min(index, nearest), max(index, nearest)))
    chosen = {numbers[ends] for ends in wanted if ends in numbers}
    linked: set[frozenset[int]] = set()
    for ends, pair in numbers.items():
        places = frozenset(candidates.groups[list(ends)].tolist())
        if len(places) == 2 and places not in linked:
            linked.add(places)
            chosen.add(pair)
    return sorted(chosen)


def _numbers(candidates: Candidates) -> dict[tuple[int, int], int]:
    """Index of the candidate of two images."""
    ends = zip(candidates.first.tolist(), candidates.second.tolist(), strict=True)
    return {images: pair for pair, images in enumerate(ends)}


def _planned(candidates: Candidates, pair: int) -> PlannedPair:
    days = candidates.days_apart[pair]
    return PlannedPair(
        int(candidates.first[pair]),
        int(candidates.second[pair]),
        float(candidates.overlaps[pair]),
        int(days) if np.isfinite(days) else None,
    )


def _days(images: Sequence[SeriesImage], first: int, second: int) -> int | None:
    """Days between the dates of two images; None if one is unknown."""
    one, other = images[first].sensed, images[second].sensed
    return None if one is None or other is None else abs((other.date() - one.date()).days)
