"""Costs of all pairs of a series: the lower, the better the two images are expected to match."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from s2match.core.footprint import overlap
from s2match.core.georeference import comparable, predict
from s2match.core.grid import Grid
from s2match.core.point_maps import grid_points
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.quick_looks import CELLS, QuickLook

# Overlap below which two images are no pair.
SMALLEST_OVERLAP = 0.02

# Overlap from which two images show the same place; with less they are neighbours.
_SAME_PLACE = 0.5

# Clear share below which an image is hardly seen.
HIDDEN = 0.05

# Cost of half as much common clear ground, with which the standard error of a shift grows by a factor of 2**0.5.
_GROUND_COST = 0.5

# Difference of the season that costs 1, in days of the year.
_SEASON_DAYS = 90.0

# Cost of ten times as many days between the dates.
_TIME_COST = 0.2

# Smallest fraction of common clear ground that costs are computed with.
_LEAST_GROUND = 1e-3

# Cost of each hidden image: more than any other cost, so that no path between two others leads through it.
_HIDDEN_COST = 100.0

_YEAR_DAYS = 365.25


@dataclass(frozen=True)
class Candidates:
    """All pairs of images that share ground, from the best to the worst.

    Attributes:
        first: (P,) index of the one image in the series.
        second: (P,) index of the other, higher than the first.
        overlaps: (P,) fraction of the smaller footprint that both show.
        clear_overlaps: (P,) fraction of the smaller footprint that both show clearly.
        costs: (P,) cost, ascending.
        days_apart: (P,) days between the two dates; NaN if one is unknown.
        groups: (D,) number of the place of each image, from 0; -1 for images that cannot be read.
        hidden: (D,) whether the image is hardly seen.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    overlaps: NDArray[np.float64]
    clear_overlaps: NDArray[np.float64]
    costs: NDArray[np.float64]
    days_apart: NDArray[np.float64]
    groups: NDArray[np.intp]
    hidden: NDArray[np.bool_]


@dataclass(frozen=True)
class _Places:
    """The different pixel grids of a series, as many as there are tiles or crops.

    Attributes:
        grids: The grids.
        of_image: (N,) grid of each image that can be read.
        overlaps: (G, G) overlap of each two grids.
    """

    grids: tuple[Grid, ...]
    of_image: NDArray[np.intp]
    overlaps: NDArray[np.float64]


def candidates_of(images: Sequence[SeriesImage], looks: Sequence[QuickLook | str]) -> Candidates:
    """All pairs of images that share ground, with their costs.

    The cost of a pair is a sum of:

    - the ground that both show clearly: half as much costs 0.5;
    - the difference of the season, whatever the year: 90 days of the year cost 1;
    - the days between the dates: ten times as many cost 0.2.

    Same-season pairs of different years match best (Sensors 2020, 20, 4721). The weights are a choice. Pairs of equal
    cost are sorted by the distance of their indexes.

    Args:
        images: The images of the series.
        looks: Quick look of each image, or the reason why it cannot be read.
    """
    seen = [(image.index, look) for image, look in zip(images, looks, strict=True) if isinstance(look, QuickLook)]
    indexes = np.array([index for index, _ in seen], np.intp)
    visible = [look for _, look in seen]
    places = _places_of(visible)
    hidden = np.array([look.clear_share < HIDDEN for look in visible], np.bool_)
    overlaps = places.overlaps[np.ix_(places.of_image, places.of_image)]
    i, j = np.nonzero(np.triu(overlaps >= SMALLEST_OVERLAP, 1))
    days = _days_apart([images[index] for index in indexes], i, j)
    clear_overlaps = _clear_overlaps(visible, places)[i, j]
    costs = -_GROUND_COST * np.log2(np.maximum(clear_overlaps, _LEAST_GROUND))
    costs += _time_costs([images[index] for index in indexes], i, j, days)
    costs += _HIDDEN_COST * (hidden[i].astype(float) + hidden[j])
    # rounded, so that the last bit of a sum decides nothing
    costs = costs.round(9)
    order = np.lexsort((i, j - i, costs))
    i, j, clear_overlaps = i[order], j[order], clear_overlaps[order]
    all_hidden, groups = np.zeros(len(images), np.bool_), np.full(len(images), -1, np.intp)
    all_hidden[indexes] = hidden
    groups[indexes] = _groups_of(places)
    return Candidates(
        indexes[i], indexes[j], overlaps[i, j], clear_overlaps, costs[order], days[order], groups, all_hidden
    )


def _places_of(looks: Sequence[QuickLook]) -> _Places:
    """The different grids of images, and their overlaps."""
    keys = [(look.grid.size, look.grid.transform, look.grid.crs) for look in looks]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    grids = tuple(looks[keys.index(key)].grid for key in numbers)
    overlaps = np.eye(len(grids))
    for first, grid in enumerate(grids):
        for second in range(first + 1, len(grids)):
            overlaps[first, second] = overlaps[second, first] = overlap(grid, grids[second])
    return _Places(grids, np.array([numbers[key] for key in keys], np.intp), overlaps)


def _groups_of(places: _Places) -> NDArray[np.intp]:
    """(N,) number of the place of each image: grids that mostly show the same ground are one place."""
    _, groups = connected_components(coo_array(places.overlaps >= _SAME_PLACE), directed=False)
    return np.asarray(groups, np.intp)[places.of_image]


def _clear_overlaps(looks: Sequence[QuickLook], places: _Places) -> NDArray[np.float64]:
    """(N, N) fraction of the smaller footprint that two images both show clearly."""
    clear = np.array([_clear_cells(look) for look in looks]).reshape(len(looks), CELLS**2)
    common = np.zeros((len(looks), len(looks)))
    for first, grid in enumerate(places.grids):
        rows = np.flatnonzero(places.of_image == first)
        for second in np.flatnonzero(places.overlaps[first] >= SMALLEST_OVERLAP):
            columns = np.flatnonzero(places.of_image == second)
            cells = _cells_at(grid, places.grids[second])
            inside = cells >= 0
            if inside.any():
                shared = clear[np.ix_(rows, np.flatnonzero(inside))] @ clear[np.ix_(columns, cells[inside])].T
                common[np.ix_(rows, columns)] = shared / inside.sum() * places.overlaps[first, second]
    # the cells of the one image or those of the other: the mean depends on no order
    return (common + common.T) / 2


def _clear_cells(look: QuickLook) -> NDArray[np.float64]:
    """(CELLS²,) clear fraction of each cell of an image, row by row."""
    if look.clear_cells is None:
        return np.full(CELLS**2, look.clear_share)
    return np.asarray(look.clear_cells, float).ravel()


def _cells_at(grid: Grid, other: Grid) -> NDArray[np.intp]:
    """(CELLS²,) the cell of another grid in which the centre of each cell of a grid lies; -1 outside of it."""
    centres = (np.arange(CELLS) + 0.5) / CELLS
    points = grid_points(centres * grid.size[0], centres * grid.size[1])
    xy = predict(points, grid, other) if comparable(grid, other) else points
    column, row = np.nan_to_num(np.floor(xy / other.size * CELLS), nan=-1.0).T
    inside = (column >= 0) & (column < CELLS) & (row >= 0) & (row < CELLS)
    return np.where(inside, row * CELLS + column, -1).astype(np.intp)


def _days_apart(images: Sequence[SeriesImage], i: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.float64]:
    """(P,) days between the dates of pairs; NaN if one is unknown."""
    dates = [image.sensed.toordinal() if image.sensed else np.nan for image in images]
    days = np.array(dates, float)
    return np.asarray(np.abs(days[j] - days[i]))


def _time_costs(
    images: Sequence[SeriesImage], i: NDArray[np.intp], j: NDArray[np.intp], days: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(P,) cost of the season and of the time between the dates; an unknown date costs as much as half a year."""
    of_year = np.array([image.sensed.timetuple().tm_yday if image.sensed else np.nan for image in images], float)
    apart = np.abs(of_year[j] - of_year[i])
    season = np.nan_to_num(np.minimum(apart, _YEAR_DAYS - apart), nan=_YEAR_DAYS / 2)
    days = np.nan_to_num(days, nan=_YEAR_DAYS / 2)
    return np.asarray(season / _SEASON_DAYS + _TIME_COST * np.log10(1 + days))
