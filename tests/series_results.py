"""Synthetic results of a series, whose shifts, errors and reasons are known."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
from affine import Affine
from conftest import GRID, UTM
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.grid import Grid
from s2match.core.scene import scene_of
from s2match.registration.verdict import Decision
from s2match.timeseries.adjustment import Adjustment
from s2match.timeseries.closure import Closure
from s2match.timeseries.group_terms import GroupTerm
from s2match.timeseries.images import SeriesImage, series_image
from s2match.timeseries.observations import PairObservation, PairStatus
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.pair_graph import PlannedPair
from s2match.timeseries.quick_looks import QuickLook
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateRow, DateStatus, PairRow

CLOUD = "none of its pairs shows enough clear ground"
APART = "its pairs connect it to 1 other image only"
DAMAGED = "the file is damaged"
OUTLIER = "its residual of 9.2 m is above 3 standard errors"
NO_EVIDENCE = "there are only 10 matches"

_NAME = "S2{satellite}_MSIL1C_{day}T083601_N0206_R{orbit}_{tile}_{day}T104205.SAFE/{tile}_{day}T083601_TCI.jp2"
_SIZE = (10980, 10980)
_STD_M = 0.5


def series_result(
    days: int = 12, tiles: int = 2, pairs: int = 80, measured: bool = True, unit: str = "m", crs: CRS | None = UTM
) -> SeriesResult:
    """A series of ``days * tiles`` images of 10 m: two are not seen, one is unreadable and two are separate.

    Args:
        days: Dates of each tile.
        tiles: Number of tiles, 1 or 2.
        pairs: Number of pairs; every tenth is rejected, every fifteenth has no evidence.
        measured: Whether any pair is measured.
        unit: Unit of the shifts; in "px" images have no georeference.
        crs: CRS of the images.
    """
    rng = np.random.default_rng(7)
    images = tuple(_image(index, index // tiles, index % tiles) for index in range(days * tiles))
    statuses = _statuses(len(images), measured)
    looks = tuple(_look(image, statuses[image.index], unit, crs) for image in images)
    truth = rng.normal(0, 5 if unit == "m" else 0.5, (len(images), 2))
    rows = _pair_rows(images, statuses, truth, rng, pairs)
    adjustment = _adjustment(statuses, truth, rows, rng)
    observations = tuple(_observation(row, unit) for row in rows)
    lengths = np.abs(rng.normal(0, 0.8, 3 * pairs)) if measured else np.zeros(0)
    worst = np.array([np.nan if row.worst_closure_m is None else row.worst_closure_m for row in rows])
    closure = Closure(rng.integers(0, len(images), (len(lengths), 3)), lengths, worst)
    terms = (GroupTerm("relative_orbit", "R064", 9, (1.2, -0.4), (0.6, 0.5)),) if measured else ()
    return SeriesResult(
        images,
        looks,
        tuple(PlannedPair(row.reference, row.target, row.overlap, row.days_apart) for row in rows),
        observations,
        adjustment,
        closure,
        terms,
        tuple(_date_row(image, statuses[image.index], adjustment, rows, unit) for image in images),
        rows,
        unit,
        10.0 if unit == "m" else 1.0,
        SeriesOptions(),
        93.5,
    )


def renamed(result: SeriesResult, name: str) -> SeriesResult:
    """The same series with another file name for the first image, which gives no date."""
    scene = scene_of(Path("images", name))
    images = (SeriesImage(0, scene), *result.images[1:])
    dates = (replace(result.dates[0], file=name, date=None, tile=None, platform=None), *result.dates[1:])
    return replace(result, images=images, dates=dates)


def _image(index: int, day: int, tile: int) -> SeriesImage:
    sensed = f"{date(2018, 3, 5) + timedelta(days=day * 25 + 5 * (day % 3)):%Y%m%d}"
    satellite, orbit = ("A", "064") if day % 2 else ("B", "107")
    name = _NAME.format(satellite=satellite, day=sensed, orbit=orbit, tile=("T36UXA", "T36UYA")[tile])
    return series_image(index, Path("/data", name))


def _statuses(count: int, measured: bool) -> list[DateStatus]:
    if not measured:
        return [DateStatus.NOT_SEEN] * count
    statuses = [DateStatus.PLACED] * count
    if count >= 12:
        for index, status in {
            3: DateStatus.NOT_SEEN,
            count // 2: DateStatus.NOT_SEEN,
            5: DateStatus.UNREADABLE,
        }.items():
            statuses[index] = status
        statuses[-2:] = [DateStatus.SEPARATE] * 2
    return statuses


def _look(image: SeriesImage, status: DateStatus, unit: str, crs: CRS | None) -> QuickLook | str:
    if status is DateStatus.UNREADABLE:
        return DAMAGED
    east = 0 if image.tile == "T36UXA" else 90_000
    transform = None if unit == "px" else Affine.translation(east, 0) @ GRID
    grid = Grid(_SIZE, transform, None if unit == "px" else crs, _SIZE, image.scene)
    return QuickLook(grid, 0.08 if status is DateStatus.NOT_SEEN else 0.83)


def _pair_rows(
    images: tuple[SeriesImage, ...],
    statuses: list[DateStatus],
    truth: NDArray[np.float64],
    rng: np.random.Generator,
    most: int,
) -> tuple[PairRow, ...]:
    """Pairs of near images, in the order of their indexes."""
    near = [
        pair
        for pair in combinations(range(len(images)), 2)
        if DateStatus.UNREADABLE not in (statuses[pair[0]], statuses[pair[1]])
        and (statuses[pair[0]] is DateStatus.SEPARATE) == (statuses[pair[1]] is DateStatus.SEPARATE)
    ]
    chosen = sorted(sorted(near, key=lambda pair: pair[1] - pair[0])[:most])
    return tuple(_pair_row(images, statuses, truth, rng, number, pair) for number, pair in enumerate(chosen))


def _pair_row(
    images: tuple[SeriesImage, ...],
    statuses: list[DateStatus],
    truth: NDArray[np.float64],
    rng: np.random.Generator,
    number: int,
    pair: tuple[int, int],
) -> PairRow:
    reference, target = (images[index] for index in pair)
    assert reference.sensed is not None and target.sensed is not None
    row = PairRow(
        *pair,
        reference.date,
        target.date,
        (target.sensed - reference.sensed).days,
        reference.relative_orbit == target.relative_orbit,
        1.0 if reference.tile == target.tile else 0.18,
        *[None] * 4,
        0,
        *[None] * 4,
        "no_evidence",
        NO_EVIDENCE,
    )
    if DateStatus.NOT_SEEN in (statuses[pair[0]], statuses[pair[1]]) or number % 15 == 14:
        return row
    rejected = number % 10 == 9
    shift = truth[pair[1]] - truth[pair[0]] + rng.normal(0, 0.6, 2) + (8.0 if rejected else 0.0)
    return replace(
        row,
        dx_m=float(shift[0]),
        dy_m=float(shift[1]),
        dx_std_m=0.6,
        dy_std_m=0.7,
        points=int(rng.integers(200, 4000)),
        weight=0.0 if rejected else float(rng.uniform(0.5, 1)),
        residual_m=9.2 if rejected else float(np.abs(rng.normal(0, 0.7))),
        left_out_m=10.1 if rejected else float(np.abs(rng.normal(0, 0.9))),
        worst_closure_m=12.3 if rejected else float(rng.uniform(0.2, 2.5)),
        status="rejected" if rejected else "kept",
        reason=OUTLIER if rejected else "",
    )


def _adjustment(
    statuses: list[DateStatus], truth: NDArray[np.float64], rows: tuple[PairRow, ...], rng: np.random.Generator
) -> Adjustment:
    components = np.array([{DateStatus.PLACED: 0, DateStatus.SEPARATE: 1}.get(status, -1) for status in statuses])
    placed = components >= 0
    shifts = np.where(placed[:, None], truth + rng.normal(0, _STD_M, truth.shape), np.nan)
    covariance = np.where(placed[:, None, None], np.array([[0.25, 0.05], [0.05, 0.36]]), np.nan)
    residuals = np.array([[np.nan, np.nan] if row.residual_m is None else [row.residual_m, 0.0] for row in rows])
    left_out = np.array([[np.nan, np.nan] if row.left_out_m is None else [row.left_out_m, 0.0] for row in rows])
    weights = np.array([row.weight or 0.0 for row in rows])
    factor = 1.13 if placed.any() else float("nan")
    return Adjustment(
        shifts, covariance, components, weights, residuals.reshape(-1, 2), left_out.reshape(-1, 2), factor
    )


def _observation(row: PairRow, unit: str) -> PairObservation:
    if row.dx_m is None or row.dy_m is None:
        return PairObservation(row.reference, row.target, PairStatus.NO_EVIDENCE, row.reason, unit=unit)
    return PairObservation(
        row.reference,
        row.target,
        PairStatus.MEASURED,
        shift=(row.dx_m, row.dy_m),
        covariance=((0.36, 0.0), (0.0, 0.49)),
        unit=unit,
        pixel=10.0,
        inliers=row.points,
    )


def _date_row(
    image: SeriesImage, status: DateStatus, adjustment: Adjustment, rows: tuple[PairRow, ...], unit: str
) -> DateRow:
    kept = [row for row in rows if row.status == "kept" and image.index in (row.reference, row.target)]
    reasons = {DateStatus.NOT_SEEN: CLOUD, DateStatus.SEPARATE: APART, DateStatus.UNREADABLE: DAMAGED}
    shift = [None if status is not DateStatus.PLACED else float(value) for value in adjustment.shifts[image.index]]
    metres, pixels = (shift, [None if value is None else value / 10 for value in shift]), shift
    dx_px, dy_px = (metres[1][0], None if metres[1][1] is None else -metres[1][1]) if unit == "m" else pixels
    own = (None, None) if shift[0] is None else (_STD_M, 0.6)
    std_m = own if unit == "m" else (None, None)
    std_px = own if unit == "px" else tuple(None if value is None else value / 10 for value in own)
    return DateRow(
        image.index,
        image.scene.path.name,
        image.date,
        image.tile,
        image.platform,
        image.relative_orbit,
        image.baseline,
        None if status is DateStatus.UNREADABLE else 0.83,
        len(kept),
        sum(row.points for row in kept),
        *(metres[0] if unit == "m" else (None, None)),
        dx_px,
        dy_px,
        *std_m,
        *std_px,
        None if shift[0] is None else 0.17,
        None if status is not DateStatus.PLACED else 0.7,
        None if adjustment.components[image.index] < 0 else int(adjustment.components[image.index]),
        status,
        reasons.get(status, ""),
        Decision.REGISTER if status is DateStatus.PLACED else None,
    )
