"""The verdict on a date, and what a folder of corrected files has for each."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID
from placed_series import placed_series
from shifted_series import landscape, write_dates, write_file

from s2match.registration.verdict import Decision
from s2match.timeseries.choices import Datum
from s2match.timeseries.correction import SeriesCorrection, correct_series

SIZE = 96

# The first date is 43 m off to the east and 26 m to the south, the others are right.
SHIFTS_M = [(43.0, -26.0), (0.1, 0.0), (0.0, 0.1), (-0.1, 0.0), (0.0, -0.1)]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Five dates of one landscape; only the georeference of the first one is wrong."""
    paths = write_dates(tmp_path / "images", [(0.0, 0.0)] * len(SHIFTS_M), SIZE)
    write_file(paths[0], landscape(SIZE, (0, 0)), Affine.translation(*SHIFTS_M[0]) @ GRID)
    return paths


def verdicts(paths: list[Path], std_m: float, matched_m: float = 10.0, datum: Datum = Datum.GEOREFERENCE) -> list[str]:
    result = placed_series(paths, SHIFTS_M, std_m=std_m, matched_m=matched_m, datum=datum)
    return [str(row.verdict) for row in result.dates]


def test_a_shift_that_is_not_significant_is_registered_already(paths: list[Path]) -> None:
    assert verdicts(paths, 0.2) == [Decision.REGISTER, *[Decision.REGISTERED] * 4]


@pytest.mark.parametrize("matched_m", [10.0, 20.0, 30.0])
def test_a_shift_as_by_shadows_of_winter_is_no_reason_to_move_a_date(paths: list[Path], matched_m: float) -> None:
    """All pairs of a date agree on an error of its own; of the sample, up to 0.19 px of the matched size."""
    winter = [*SHIFTS_M[:-1], (0.0, 0.19 * matched_m)]
    result = placed_series(paths, winter, std_m=0.035 * matched_m, matched_m=matched_m)
    found = [row.verdict for row in result.dates]
    assert found[0] is Decision.REGISTER and Decision.REGISTER not in found[1:]
    assert matched_m > 20 or found[1:] == [Decision.REGISTERED] * 4


def test_small_shifts_with_large_errors_are_not_called_registered(paths: list[Path]) -> None:
    """Errors of more than half a native pixel: matched with fewer pixels than the files have, or with all of them."""
    assert verdicts(paths, 12.0)[1:] == [Decision.UNKNOWN] * 4
    assert verdicts(paths, 12.0, matched_m=100.0)[1:] == [Decision.INDISTINCT] * 4


def test_the_reference_of_the_datum_is_registered(paths: list[Path]) -> None:
    found = verdicts(paths, 0.2, datum=Datum.REFERENCE)
    assert found == [Decision.REGISTERED, *[Decision.REGISTER] * 4]


def test_dates_that_are_registered_keep_their_pixels(paths: list[Path], tmp_path: Path) -> None:
    """All dates get the grid that most have, so that only the date that is off is moved."""
    result = placed_series(paths, SHIFTS_M)
    files = correct_series(result, SeriesCorrection(tmp_path / "out"))
    assert len(files) == len(paths)
    for path, source in zip(files, paths, strict=True):
        with rasterio.open(path) as written, rasterio.open(source) as original:
            assert written.transform == GRID and written.shape == (SIZE, SIZE)
            # the first date has the pixels of the others, in a wrong place
            assert np.array_equal(written.read(), original.read())


def test_the_georeference_of_a_registered_date_is_not_moved(paths: list[Path], tmp_path: Path) -> None:
    result = placed_series(paths, SHIFTS_M)
    files = correct_series(result, SeriesCorrection(tmp_path / "out", resampling=None))
    transforms = [rasterio.open(path).transform for path in files]
    assert transforms[1:] == [GRID] * 4
    assert (transforms[0].c, transforms[0].f) == pytest.approx((GRID.c, GRID.f), abs=0.5)


def test_with_the_datum_of_the_reference_all_dates_get_its_grid(paths: list[Path], tmp_path: Path) -> None:
    result = placed_series(paths, SHIFTS_M, datum=Datum.REFERENCE)
    for path in correct_series(result, SeriesCorrection(tmp_path / "out")):
        with rasterio.open(path) as written:
            assert written.transform == Affine.translation(*SHIFTS_M[0]) @ GRID
