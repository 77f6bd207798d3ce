"""Grids of points, derivatives of maps, valid points, and windows of whole pixels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.lattice import LATTICE_POINTS, finite_near_middle
from s2match.core.point_maps import grid_points, jacobian
from s2match.core.scene import scene_of
from s2match.core.validity import valid_at
from s2match.core.window import Window

SIZE = (100, 60)


def test_grid_points_are_row_by_row() -> None:
    np.testing.assert_array_equal(grid_points([1, 2], [5, 7]), [[1, 5], [2, 5], [1, 7], [2, 7]])


def test_a_jacobian_has_rows_of_mapped_axes() -> None:
    """Central differences are exact for a map of second order."""

    def bent(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = xy.T
        return np.stack([2 * x + 3 * y, x**2 - y], axis=1)

    np.testing.assert_allclose(
        jacobian(bent, np.array([[0.0, 0.0], [5.0, 1.0]])), [[[2, 3], [0, -1]], [[2, 3], [10, -1]]]
    )


def test_points_are_valid_on_valid_pixels_inside_the_image() -> None:
    valid = np.zeros((2, 4), np.bool_)
    valid[1, 3] = True
    points = np.array([[3.0, 1.0], [3.99, 1.99], [2.99, 1.5], [4.0, 1.5], [3.5, 2.0], [-0.1, 1.5], [np.nan, 1.5]])
    expected = [True, True, False, False, False, False, False]
    assert valid_at(valid, points).tolist() == expected
    assert valid_at(valid, points * [10, 20], (40, 40)).tolist() == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ((10.2, 20.7), (30.1, 40.0), Window(10, 20, 21, 20)),
        ((-5.0, -5.0), (200.0, 200.0), Window(0, 0, 100, 60)),
        ((-np.inf, 3.0), (np.inf, 4.0), Window(0, 3, 100, 1)),
        ((-9.0, 3.0), (-1.0, 4.0), None),
        ((120.0, 3.0), (130.0, 4.0), None),
    ],
)
def test_the_window_that_covers_a_box(
    low: tuple[float, float], high: tuple[float, float], expected: Window | None
) -> None:
    assert Window.covering(np.array(low), np.array(high), SIZE) == expected


def test_a_margin_ends_at_the_edges_of_the_grid() -> None:
    assert Window(5, 20, 10, 10).with_margin(8, SIZE) == Window(0, 12, 23, 26)
    assert Window(90, 50, 32, 32).with_margin(8, SIZE) == Window(82, 42, 18, 18)


def test_the_finite_lattice_point_nearest_to_the_middle() -> None:
    grid = Grid(SIZE, None, None, SIZE, scene_of("a.tif"))
    right_edge = finite_near_middle(grid, lambda xy: np.where(xy[:, :1] >= SIZE[0], xy, np.nan))
    assert right_edge is not None
    for point in right_edge:
        np.testing.assert_array_equal(point, [100, 30])
    middle = finite_near_middle(grid, lambda xy: xy)
    assert middle is not None and middle[0].tolist() == [50, 30]
    assert finite_near_middle(grid, lambda xy: np.full(xy.shape, np.nan)) is None
    assert LATTICE_POINTS % 2 == 1, "the lattice has a middle row and column"
