"""Pairs are planned before anything is matched: connected, near in season and time, linear in the number of dates."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, REAL, UTM
from rasterio.crs import CRS
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from s2match.core.grid import Grid
from s2match.core.scene import scene_of
from s2match.errors import ImageIndexError, UnreadableImageError
from s2match.timeseries.choices import PairMode
from s2match.timeseries.images import SeriesImage, series_image
from s2match.timeseries.observations import PairObservation, PairStatus
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.pair_graph import PlannedPair, best_reference, given_pairs, plan_pairs, reference_of
from s2match.timeseries.quick_looks import CELLS, QuickLook, quick_looks
from s2match.timeseries.sources import read_source

NETWORK = SeriesOptions(pairs=PairMode.NETWORK)
START = datetime(2016, 1, 1)
# A neighbouring tile, of which a tenth is common ground.
NEIGHBOUR = GRID @ Affine.translation(900, 0)

Looks = list[QuickLook | str]


def image_of(index: int, day: float | None) -> SeriesImage:
    sensed = None if day is None else START + timedelta(days=day)
    return replace(series_image(index, f"{index:04d}.tif"), sensed=sensed)


def look_of(
    clear: float = 1.0, transform: Affine | None = GRID, crs: CRS | None = UTM, size: tuple[int, int] = (1000, 1000)
) -> QuickLook:
    return QuickLook(Grid(size, transform, crs, size, scene_of("x.tif")), clear)


def series(days: Sequence[float | None], looks: Sequence[QuickLook | str] = ()) -> tuple[list[SeriesImage], Looks]:
    images = [image_of(index, day) for index, day in enumerate(days)]
    return images, list(looks) or [look_of() for _ in images]


def ends(pairs: Sequence[PlannedPair]) -> list[tuple[int, int]]:
    return [(pair.reference, pair.target) for pair in pairs]


def pairs_per_image(pairs: Sequence[PlannedPair]) -> Counter[int]:
    return Counter(image for pair in ends(pairs) for image in pair)


def parts(pairs: Sequence[PlannedPair], images: int) -> int:
    """Number of connected parts of a plan."""
    first, second = np.array(ends(pairs), int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(images, images))
    return int(connected_components(graph, directed=False)[0])


def cloudy(count: int, seed: int = 0) -> tuple[list[SeriesImage], Looks]:
    """Dates five days apart, some of them cloudy."""
    shares = np.random.default_rng(seed).uniform(0.06, 1, count)
    return series([5 * k for k in range(count)], [look_of(float(share)) for share in shares])


@pytest.mark.parametrize("count", [2, 3, 10, 25, 50, 200])
def test_the_pairs_of_a_network_grow_linearly(count: int) -> None:
    images, looks = cloudy(count)
    pairs = plan_pairs(images, looks, NETWORK)
    assert parts(pairs, count) == 1
    assert len(pairs) <= min(4 * count, count * (count - 1) // 2)
    per_image = pairs_per_image(pairs)
    assert min(per_image.values()) >= min(4, count - 1)
    # pairs of the spanning trees may exceed the twelve of an image
    assert max(per_image.values()) <= 16
    assert ends(pairs) == sorted(set(ends(pairs))) and all(first < second for first, second in ends(pairs))


@pytest.mark.parametrize("count", [10, 50])
def test_no_part_of_a_network_hangs_on_a_single_pair(count: int) -> None:
    pairs = plan_pairs(*cloudy(count), NETWORK)
    for left_out in pairs:
        assert parts([pair for pair in pairs if pair != left_out], count) == 1


def test_partners_are_near_or_of_the_same_season() -> None:
    # two visits in each quarter of four years
    days = [year * 365 + quarter * 91 + visit * 10 for year in range(4) for quarter in range(4) for visit in range(2)]
    pairs = plan_pairs(*series(days), SeriesOptions(partners=3))
    seasons = [min(apart % 365, 365 - apart % 365) for apart in (pair.days_apart or 0 for pair in pairs)]
    # the two trees alone connect the seasons
    assert np.mean(np.array(seasons) <= 11) > 0.8
    for image in range(len(days)):
        apart = [pair.days_apart or 0 for pair in pairs if image in (pair.reference, pair.target)]
        assert min(apart) == 10 and max(apart) > 300


def test_seasons_count_across_the_turn_of_the_year() -> None:
    # 31 December, 2 January five years later, and 1 October of the same year as that
    images, looks = series([365, 365 + 1828, 365 + 1828 + 272])
    pairs = plan_pairs(images, looks, SeriesOptions(partners=1))
    assert ends(pairs)[0] == (0, 1)


def test_few_pairs_of_hidden_images_and_no_others_through_them() -> None:
    images, looks = cloudy(30)
    hidden = {3, 4, 11, 29}
    looks = [look_of(0.01) if index in hidden else look for index, look in enumerate(looks)]
    pairs = plan_pairs(images, looks, NETWORK)
    per_image = pairs_per_image(pairs)
    assert all(1 <= per_image[index] <= 2 for index in hidden)
    assert not any(first in hidden and second in hidden for first, second in ends(pairs))
    seen = [pair for pair in pairs if not hidden & {pair.reference, pair.target}]
    assert parts(seen, 30) == 1 + len(hidden)


def test_a_series_of_hidden_images_is_connected_all_the_same() -> None:
    images, looks = series([0, 5, 10, 15], [look_of(0.0)] * 4)
    assert parts(plan_pairs(images, looks, NETWORK), 4) == 1


def test_the_clearer_of_two_equal_partners_is_chosen() -> None:
    images, looks = series([0, 10, 20], [look_of(0.4), look_of(1.0), look_of(1.0)])
    assert ends(plan_pairs(images, looks, SeriesOptions(partners=1))) == [(0, 1), (1, 2)]
    images, looks = series([0, 10, 20], [look_of(1.0), look_of(0.1), look_of(1.0)])
    assert (0, 2) in ends(plan_pairs(images, looks, SeriesOptions(partners=1)))


def test_halves_without_data_do_not_count_as_common_ground() -> None:
    west, east = np.zeros((2, CELLS, CELLS), np.float32)
    west[:, : CELLS // 2], east[:, CELLS // 2 :] = 1, 1
    looks = [replace(look_of(0.5), clear_cells=half) for half in (west, east, west, east)]
    # the last day shows both
    pairs = plan_pairs(*series([0, 1, 2, 3, 90], [*looks, look_of()]), SeriesOptions(partners=1))
    assert set(ends(pairs)) == {(0, 2), (1, 3), (2, 4), (3, 4)}


def test_neighbouring_tiles_are_tied_across_their_overlap() -> None:
    looks = [look_of(transform=NEIGHBOUR if index % 2 else GRID) for index in range(40)]
    images, looks = series([5 * (index // 2) for index in range(40)], looks)
    pairs = plan_pairs(images, looks, NETWORK)
    assert parts(pairs, 40) == 1 and len(pairs) <= 5 * 40
    across = [pair for pair in pairs if (pair.reference + pair.target) % 2]
    assert {image for pair in ends(across) for image in pair} == set(range(40))
    # each date with the same date of the neighbour, which is the best
    assert {(2 * date, 2 * date + 1) for date in range(20)} <= set(ends(across))
    assert all(pair.overlap == pytest.approx(0.1) for pair in across)
    assert all(pair.overlap == 1.0 for pair in pairs if pair not in across)


def test_tiles_of_two_zones_are_tied() -> None:
    there = look_of(transform=Affine(10, 0, 200_000, 0, -10, 5_600_000), crs=CRS.from_epsg(32637))
    looks = [look_of(size=(10980, 10980)), replace(there, grid=replace(there.grid, size=(10980, 10980)))]
    (pair,) = plan_pairs(*series([0, 5], looks), NETWORK)
    assert 0.02 < pair.overlap < 0.9


@pytest.mark.parametrize("mode", PairMode)
@pytest.mark.parametrize("across_px", [985, 1500])
def test_ground_that_is_hardly_shared_gives_no_pair(mode: PairMode, across_px: int) -> None:
    apart = look_of(transform=GRID @ Affine.translation(across_px, 0))
    assert plan_pairs(*series([0, 5], [look_of(), apart]), SeriesOptions(pairs=mode)) == ()


def test_images_without_a_georeference_pair_by_their_size() -> None:
    looks = [look_of(transform=None, crs=None, size=(side, 200)) for side in (300, 300, 400, 400)]
    images, looks = series([0, 5, 10, 15], [*looks, look_of(size=(300, 200))][:4])
    assert plan_pairs(images, looks, NETWORK) == (PlannedPair(0, 1, 1.0, 5), PlannedPair(2, 3, 1.0, 5))
    mixed = [look_of(transform=None, crs=None), look_of()]
    assert plan_pairs(*series([0, 5], mixed), NETWORK) == ()


def test_images_without_dates_pair_with_those_beside_them() -> None:
    pairs = plan_pairs(*series([None] * 20), NETWORK)
    assert parts(pairs, 20) == 1
    assert all(pair.days_apart is None for pair in pairs)
    assert {(index, index + 1) for index in range(19)} <= set(ends(pairs))
    assert max(second - first for first, second in ends(pairs)) <= 4


def test_images_that_cannot_be_read_have_no_pairs() -> None:
    images, looks = series([0, 5, 10, 15])
    looks[1] = "There is no file."
    for mode in PairMode:
        pairs = plan_pairs(images, looks, SeriesOptions(pairs=mode))
        assert pairs and 1 not in pairs_per_image(pairs)
    assert plan_pairs(images, ["unreadable"] * 4, NETWORK) == ()


def test_all_with_the_reference() -> None:
    images, looks = series([0, 5, 10], [look_of(0.5), look_of(0.9), look_of(0.9)])
    by_share = plan_pairs(images, looks, SeriesOptions(pairs=PairMode.REFERENCE))
    assert by_share == (PlannedPair(0, 1, 1.0, 5), PlannedPair(1, 2, 1.0, 5))
    asked = SeriesOptions(pairs=PairMode.REFERENCE, reference=2)
    assert ends(plan_pairs(images, looks, asked)) == [(0, 2), (1, 2)]


def test_references_that_are_none() -> None:
    looks = [look_of(), "There is no file x.tif."]
    for index in (2, -1):
        with pytest.raises(ImageIndexError, match="2 images, 0 to 1"):
            reference_of(looks, index)
    with pytest.raises(UnreadableImageError, match="cannot be read: There is no file x"):
        reference_of(looks, 1)
    with pytest.raises(UnreadableImageError, match="None of the images"):
        reference_of(looks[1:])


def test_the_best_reference_is_seen_by_most_inliers_among_the_clearest() -> None:
    """Cumulus is not saturated, so that a cloudy date may be as clear as the others; its pairs have few inliers."""
    looks = [look_of(1.0), look_of(0.97), look_of(0.6), "There is no file x.tif.", look_of(0.98)]
    inliers = {(0, 1): 20, (0, 2): 30, (1, 2): 900, (1, 4): 400, (2, 4): 300}
    pairs = [PairObservation(*ends, PairStatus.MEASURED, inliers=count) for ends, count in inliers.items()]
    assert best_reference(looks, pairs) == 1
    assert best_reference(looks, []) == 0


def test_consecutive_dates() -> None:
    images, looks = series([0, 5, 10, 15], [look_of(), look_of(0.01), look_of(), look_of()])
    pairs = plan_pairs(images, looks, SeriesOptions(pairs=PairMode.CONSECUTIVE))
    # the hidden image interrupts nothing
    assert ends(pairs) == [(0, 1), (0, 2), (2, 3)]


def test_consecutive_dates_of_two_tiles_are_tied_once() -> None:
    looks = [look_of(transform=NEIGHBOUR if index % 2 else GRID) for index in range(6)]
    pairs = plan_pairs(*series([0, 1, 10, 10.5, 20, 21], looks), SeriesOptions(pairs=PairMode.CONSECUTIVE))
    assert ends(pairs) == [(0, 2), (1, 3), (2, 3), (2, 4), (3, 5)]


def test_pairs_of_the_user_are_all_kept() -> None:
    apart = look_of(transform=GRID @ Affine.translation(2000, 0))
    images, looks = series([0, 5, None, 15], [look_of(), look_of(), "There is no file.", apart])
    assert given_pairs(images, looks, [(1, 3), (0, 2), (0, 1)]) == (
        PlannedPair(0, 1, 1.0, 5),
        PlannedPair(0, 2, 0.0, None),
        PlannedPair(1, 3, 0.0, 10),
    )


@pytest.mark.real
def test_a_network_of_two_real_tiles() -> None:
    images = read_source(REAL / "ukraine").images
    assert len(images) == 50
    looks = quick_looks(images)
    shares = [look.clear_share for look in looks if isinstance(look, QuickLook)]
    assert len(shares) == 50 and min(shares) < 0.05 and np.median(shares) > 0.9
    pairs = plan_pairs(images, looks, NETWORK)
    assert parts(pairs, 50) == 1 and len(pairs) <= 5 * 50
    across = [pair for pair in pairs if images[pair.reference].tile != images[pair.target].tile]
    assert len({image for pair in ends(across) for image in pair if images[image].tile == "T36UXA"}) == 12
    assert all(pair.overlap == pytest.approx(9840 / 109800, rel=1e-3) for pair in across)
