"""Search priors by matches and by georeference, and the common cells of two images."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, UTM

from s2match.core.grid import Grid
from s2match.core.matches import Matches, Provenance
from s2match.core.scene import scene_of
from s2match.matching.search_prior import SearchPrior, by_georeference, by_matches, common_cells

SIZE = (320, 160)


def grid(moved: tuple[float, float] = (0, 0), size: tuple[int, int] = SIZE, georeferenced: bool = True) -> Grid:
    place = GRID @ Affine.translation(*moved) if georeferenced else None
    return Grid(size, place, UTM if georeferenced else None, size, scene_of(Path("T36UXA_20180820T083601_TCI.jp2")))


def shifted(count: int, shift: tuple[float, float]) -> Matches:
    xy = np.random.default_rng(0).uniform(0, 160, (count, 2)) * [2, 1]
    return Matches(xy, xy + shift, np.ones(count), Provenance("test", "cpu", 0.2))


def test_common_cells_have_a_small_margin() -> None:
    """The left 64 px of the target show the right 64 px of the reference."""
    cells = common_cells(SIZE, SIZE, SearchPrior(lambda xy: xy - [256, 0], 2.0))
    assert cells is not None
    for mask, common in zip(cells, (slice(32, 40), slice(0, 8)), strict=True):
        assert mask.shape == (20, 40)
        assert mask[:, common].all()
        assert mask.sum() <= 20 * (8 + 2)


@pytest.mark.parametrize("shift", [(10, 5), (-60, 0), (0, 900)])
def test_no_mask_where_nearly_all_or_no_cells_are_common(shift: tuple[float, float]) -> None:
    assert common_cells(SIZE, SIZE, SearchPrior(lambda xy: xy + shift, 2.0)) is None


def test_a_prior_may_rotate_and_scale() -> None:
    linear = np.array([[0.0, -1.0], [1.0, 0.0]]) * 0.8
    cells = common_cells((400, 400), (400, 400), SearchPrior(lambda xy: xy @ linear.T + [600, 0], 2.0))
    assert cells is not None
    rows, columns = np.nonzero(cells[0])
    there = (np.stack([columns, rows], 1) * 8 + 4.0) @ linear.T + [600, 0]
    assert (there > -12).all() and (there < 412).all() and len(rows) > 400


def test_the_prior_by_matches() -> None:
    told = by_matches(shifted(200, (40.25, -7)), grid(), grid())
    assert told is not None and told.search_radius_px == pytest.approx(2.0)
    np.testing.assert_allclose(told.map_points(np.array([[10.0, 20.0]])), [[50.25, 13]], atol=1e-6)
    assert by_matches(shifted(8, (40, -7)), grid(), grid()) is None


def test_the_prior_by_the_georeference() -> None:
    told = by_georeference(grid(), grid((30, -10)))
    assert told is not None
    np.testing.assert_allclose(told.map_points(np.array([[10.0, 20.0]])), [[-20, 30]], atol=1e-6)
    assert by_georeference(grid(), grid(georeferenced=False)) is None


def test_a_prior_for_larger_images() -> None:
    """Found at a quarter of the reference's size and at half of the target's."""
    small = SearchPrior(lambda xy: xy * 2 + [3, 5], 2.0)
    large = small.resized((grid(), grid()), (grid(size=(1280, 640)), grid(size=(640, 320))))
    np.testing.assert_allclose(large.map_points(np.array([[40.0, 80.0]])), [[46, 90]])
    assert large.search_radius_px == 4.0
