"""Series of files whose pairs were measured as told, without the network."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from s2match.timeseries.assemble import MatchedSeries, assemble
from s2match.timeseries.choices import Datum
from s2match.timeseries.images import series_image
from s2match.timeseries.observations import PairObservation, PairStatus
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.pair_graph import PlannedPair
from s2match.timeseries.quick_looks import quick_look
from s2match.timeseries.result import SeriesResult


def placed_series(
    paths: Sequence[Path],
    shifts_m: Sequence[tuple[float, float]],
    *,
    std_m: float = 0.1,
    matched_m: float = 10.0,
    datum: Datum = Datum.GEOREFERENCE,
) -> SeriesResult:
    """A series of 10 m files with a measured pair for any two of them.

    Args:
        paths: The files.
        shifts_m: Shift (east, north) of each.
        std_m: Standard error of the shift of a pair, along each axis.
        matched_m: Side of a pixel that was matched.
        datum: What the shifts are relative to.
    """
    images = tuple(series_image(index, path) for index, path in enumerate(paths))
    ends = list(combinations(range(len(paths)), 2))
    observations = tuple(
        PairObservation(
            first,
            second,
            PairStatus.MEASURED,
            shift=(shifts_m[second][0] - shifts_m[first][0], shifts_m[second][1] - shifts_m[first][1]),
            covariance=((std_m**2, 0.0), (0.0, std_m**2)),
            pixel=10.0,
            matched_pixel=matched_m,
            inliers=100,
        )
        for first, second in ends
    )
    plan = tuple(PlannedPair(*pair, 1.0, None) for pair in ends)
    looks = tuple(quick_look(image) for image in images)
    options = SeriesOptions(datum=datum, reference=0)
    return assemble(MatchedSeries(images, looks, plan, observations), options, 1.0)


def colours(side: int, seed: int = 3) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """(3, side, side) fields of 12 px in colours that differ, between 40 and 200."""
    cells = np.random.default_rng(seed).integers(40, 200, (3, side // 12 + 1, side // 12 + 1))
    return np.kron(cells, np.ones((12, 12), int))[:, :side, :side].astype(np.uint8)
