"""Windows cover the common ground once, and contain the same ground of both images."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, UTM
from numpy.typing import NDArray

from s2match.core.blocks import Blocks
from s2match.core.georeference import predict
from s2match.core.grid import Grid
from s2match.core.scene import scene_of
from s2match.core.window import Window
from s2match.matching.search_prior import SearchPrior
from s2match.matching.spread_cores import PLACES, Sample
from s2match.matching.tile_plan import OVERLAP_PX, WindowPair, plan


def grid(width: int, height: int, moved: tuple[float, float] = (0, 0)) -> Grid:
    place = GRID @ Affine.translation(*moved)
    return Grid((width, height), place, UTM, (width, height), scene_of(Path("T36UXA_20180820T083601_TCI.jp2")))


def plan_of(reference: Grid, target: Grid, search_px: float = 20, longest_px: int = 512) -> list[WindowPair]:
    return plan(reference, target, SearchPrior(lambda xy: predict(xy, reference, target), search_px), longest_px)


def covered(pairs: list[WindowPair], size: tuple[int, int]) -> NDArray[np.int64]:
    """Number of cores that contain each pixel."""
    count = np.zeros(size[::-1], np.int64)
    for pair in pairs:
        count[pair.core.y : pair.core.y + pair.core.height, pair.core.x : pair.core.x + pair.core.width] += 1
    return count


@pytest.mark.parametrize("size", [(512, 512), (1098, 1098), (2000, 700), (3001, 1537)])
def test_cores_cover_every_pixel_once(size: tuple[int, int]) -> None:
    pairs = plan_of(grid(*size), grid(*size))
    assert (covered(pairs, size) == 1).all()
    for pair in pairs:
        assert pair.reference.x % 8 == pair.reference.y % 8 == pair.core.x % 8 == pair.core.y % 8 == 0
        assert max(pair.reference.width, pair.reference.height) <= 512
        assert pair.core.x - pair.reference.x in (0, OVERLAP_PX)


@pytest.mark.parametrize("moved", [(0, 0), (300.3, -200.7), (1500, 100)])
def test_the_target_window_contains_the_ground_of_the_reference_window(moved: tuple[float, float]) -> None:
    reference, target = grid(1700, 1300), grid(1700, 1300, moved)
    for pair in plan_of(reference, target):
        window, sought = pair.reference, pair.target
        corners = np.array([[window.x, window.y], [window.x + window.width, window.y + window.height]], float)
        wanted = np.clip(predict(corners, reference, target) + [[-20, -20], [20, 20]], 0, target.size)
        assert (np.array([sought.x, sought.y]) <= wanted[0]).all()
        assert (np.array([sought.x + sought.width, sought.y + sought.height]) >= wanted[1]).all()
        assert sought.width <= window.width + 2 * (20 + OVERLAP_PX) + 2


def test_bands_contain_the_ground_of_their_rows_and_little_else() -> None:
    """The target is rotated and scaled: its rows cross those of the reference."""
    reference, target = grid(1000, 900), grid(1000, 900)
    matrix = np.array([[1.04, 0.05], [-0.05, 1.04]])

    def map_points(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(xy @ matrix.T + [30.3, -20.7])

    pairs = plan(reference, target, SearchPrior(map_points, 6.0), 512)
    assert len(pairs) == 9
    for pair in pairs:
        window, sought, rows = pair.reference, pair.target, -(-pair.reference.height // 8)
        assert pair.bands.shape == (rows, 2) and 0 <= pair.bands.min() <= pair.bands.max() <= -(-sought.height // 8)
        y, x = np.mgrid[: window.height, : window.width].reshape(2, -1)
        there = map_points(np.stack([x, y], 1) + [window.x + 0.5, window.y + 0.5]) - [sought.x, sought.y]
        for off in (-6, 6):
            cell = np.floor((there[:, 1] + off) / 8)
            shown = (cell >= 0) & (cell < -(-sought.height // 8))
            first, after = pair.bands[y[shown] // 8].T
            assert ((cell[shown] >= first) & (cell[shown] < after)).all()
        assert (pair.bands[:, 1] - pair.bands[:, 0]).max() * 8 < 0.05 * window.width + 1.04 * 8 + 2 * (6 + 8) + 2 * 8


def test_ground_of_one_image_alone_is_in_no_window() -> None:
    """100 px are common: the windows contain little else."""
    pairs = plan_of(grid(1000, 1000), grid(1000, 1000, (900, 0)))
    count = covered(pairs, (1000, 1000))
    assert (count[:, 900:] == 1).all() and (count[:, : 900 - 3 * 64] == 0).all()


def test_images_that_share_no_ground_have_no_windows() -> None:
    assert plan_of(grid(600, 600), grid(600, 600, (5000, 0))) == []


@pytest.mark.parametrize(
    ("size", "coverage", "places"),
    [
        ((2100, 2100), 0.1, (PLACES, PLACES)),
        ((10_980, 10_980), 0.1, (PLACES, PLACES)),
        ((10_980, 3000), 0.1, (PLACES, 2)),
        ((10_980, 1001), 0.1, (PLACES, 1)),
        # windows are not longer than elsewhere
        ((10_980, 10_980), 0.5, (9, 9)),
    ],
)
def test_windows_on_a_part_of_the_ground_are_spread_from_edge_to_edge(
    size: tuple[int, int], coverage: float, places: tuple[int, int]
) -> None:
    image, prior = grid(*size), SearchPrior(lambda xy: xy, 20)
    pairs = plan(image, image, prior, sample=Sample(coverage))
    assert covered(pairs, size).max() == 1
    assert covered(pairs, size).mean() == pytest.approx(coverage, rel=0.05)
    for axis, (count, side) in enumerate(zip(places, size, strict=True)):
        starts = sorted({(pair.core.x, pair.core.y)[axis] for pair in pairs})
        length = (pairs[0].core.width, pairs[0].core.height)[axis]
        assert len(starts) == count and length <= 928
        gaps = np.diff(starts) - length
        assert gaps.size == 0 or np.ptp(gaps) <= 16
        before, after = starts[0], side - starts[-1] - length
        assert (before == 0 and after < 16) if count > 1 else abs(before - after) < 16


def test_windows_on_a_part_of_the_ground_lie_where_few_blocks_are_decoded() -> None:
    """Blocks of reference and target of a full tile, 1024 px a side, do not begin at the same ground."""
    size, tile = (10_980, 10_980), (1024.0, 1024.0)
    image, blocks = grid(*size), (Blocks((0, 0), tile), Blocks((-30.5, -300), tile))
    prior = SearchPrior(lambda xy: xy, 20)
    pairs, unmoved = (plan(image, image, prior, sample=Sample(0.1, at)) for at in (blocks, (None, None)))
    assert len(pairs) == len(unmoved) == PLACES**2
    assert covered(pairs, size).max() == 1
    moved = max(max(abs(a.core.x - b.core.x), abs(a.core.y - b.core.y)) for a, b in zip(pairs, unmoved, strict=True))
    assert 0 < moved <= (10_980 / PLACES - pairs[0].core.width) * 0.6

    def decoded(pairs: list[WindowPair]) -> int:
        return sum(blocks[0].touched(pair.reference) + blocks[1].touched(pair.target) for pair in pairs)

    assert decoded(pairs) < 0.6 * decoded(unmoved)


def test_blocks_that_a_window_touches() -> None:
    blocks = Blocks((-30.5, 4), (100, 50))
    assert blocks.touched(Window(0, 4, 69, 50)) == 1
    assert blocks.touched(Window(0, 4, 70, 50)) == 2
    assert blocks.touched(Window(0, 3, 69, 52)) == 3
