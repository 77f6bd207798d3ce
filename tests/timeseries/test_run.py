"""A whole series: known shifts come back with their sign and their errors, and what cannot be placed says why."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from shifted_series import PIXEL_M, SHIFTS_PX, date_name, expected_shifts, write_dates, write_file

import s2match
from s2match.errors import DatasetError
from s2match.timeseries.manifest import PAIRS_NAME
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateRow, DateStatus

# Dates of the moved landscape; one that is all cloud and one that is damaged come after them.
COUNT = len(SHIFTS_PX)


@dataclass(frozen=True)
class Matched:
    """A matched series and the folder of its finished pairs."""

    images: Path
    pairs: Path
    result: SeriesResult

    @property
    def placed(self) -> tuple[DateRow, ...]:
        return self.result.dates[:COUNT]


@pytest.fixture(scope="module")
def matched(tmp_path_factory: pytest.TempPathFactory) -> Matched:
    folder = tmp_path_factory.mktemp("series")
    paths = write_dates(folder / "images")
    write_file(folder / "images" / f"{date_name(COUNT)}.tif", np.full((256, 256), 255, np.uint8))
    (folder / "images" / f"{date_name(COUNT + 1)}.tif").write_bytes(paths[0].read_bytes()[:300])
    pairs = folder / "pairs"
    return Matched(folder / "images", pairs, run(folder / "images", pairs))


def run(images: Path, pairs: Path | None = None) -> SeriesResult:
    return s2match.series(images, image_size=None, device="cpu", folder=pairs)


def values(rows: tuple[DateRow, ...], *names: str) -> NDArray[np.float64]:
    """(D, N) attributes of rows; each must be there."""
    return np.array([[getattr(row, name) for name in names] for row in rows], float)


def test_shifts_are_known_to_a_few_hundredths_of_a_pixel(matched: Matched) -> None:
    """Where the image shows the ground, minus where it is: right and down in pixels, east and north in metres."""
    errors = values(matched.placed, "dx_px", "dy_px") - expected_shifts()
    assert np.abs(errors).max() < 0.03
    metres = values(matched.placed, "dx_m", "dy_m")
    assert np.abs(metres - expected_shifts() * [PIXEL_M, -PIXEL_M]).max() < 0.03 * PIXEL_M
    assert [row.status for row in matched.placed] == [DateStatus.PLACED] * COUNT
    assert {row.component for row in matched.placed} == {0}


def test_errors_are_those_that_the_standard_errors_say(matched: Matched) -> None:
    std = values(matched.placed, "dx_std_px", "dy_std_px")
    errors = values(matched.placed, "dx_px", "dy_px") - expected_shifts()
    assert (np.abs(errors) < 3.5 * std).all()
    # errors that are stated too large would pass, too: 0.07 px is that which every image has in all of its pairs
    assert std.min() > 0.07 and std.max() < 0.08
    assert values(matched.placed, "dx_std_m", "dy_std_m") == pytest.approx(std * PIXEL_M)


def test_pairs_agree_with_each_other(matched: Matched) -> None:
    rows = [row for row in matched.result.pairs if row.target < COUNT]
    assert {row.status for row in rows} == {"kept"}
    for row in rows:
        x, y = np.subtract(SHIFTS_PX[row.target], SHIFTS_PX[row.reference]) * PIXEL_M
        assert (row.dx_m, row.dy_m) == pytest.approx((x, -y), abs=0.5)
    assert np.median(matched.result.closure.lengths) < 0.3


def test_an_image_of_cloud_is_not_seen_and_a_damaged_one_unreadable(matched: Matched) -> None:
    cloud, damaged = matched.result.dates[COUNT:]
    assert (cloud.status, damaged.status) == (DateStatus.NOT_SEEN, DateStatus.UNREADABLE)
    assert "pair" in cloud.reason
    assert damaged.file in damaged.reason and damaged.reason.endswith(".")
    assert (cloud.clear_share, damaged.clear_share) == (0, None)
    assert all((row.dx_m, row.dx_px, row.dx_std_m, row.component) == (None,) * 4 for row in (cloud, damaged))


def test_finished_pairs_are_read_instead_of_matched(matched: Matched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2match.timeseries.tasks.match_scenes", None)
    before = (matched.pairs / PAIRS_NAME).read_bytes().splitlines()
    again = run(matched.images, matched.pairs)
    assert again.dates == matched.result.dates and again.pairs == matched.result.pairs
    # a pair that failed is tried again, and its failure written
    lines = (matched.pairs / PAIRS_NAME).read_bytes().splitlines()
    assert lines[: len(before)] == before and all(b'"failed"' in line for line in lines[len(before) :])


def test_the_datum_of_the_reference_makes_its_shift_zero(matched: Matched) -> None:
    result = s2match.series(
        matched.images, image_size=None, device="cpu", folder=matched.pairs, datum="reference", reference=3
    )
    rows = result.dates[:COUNT]
    assert values(rows[3:4], "dx_m", "dy_m", "dx_std_m", "dy_std_m").tolist() == [[0, 0, 0, 0]]
    assert values(rows, "dx_px", "dy_px") == pytest.approx(np.array(SHIFTS_PX) - SHIFTS_PX[3], abs=0.03)


def test_images_without_a_georeference_have_shifts_in_pixels(tmp_path: Path) -> None:
    shifts = SHIFTS_PX[:4]
    paths = write_dates(tmp_path / "images", shifts, 160, ".png")
    for number, path in enumerate(paths):
        path.rename(path.with_name(f"frame{number}.png"))
    days = [f"2020-0{month}-15" for month in (4, 3, 2, 1)]
    table = tmp_path / "images.csv"
    rows = [f"images/frame{number}.png,{day}" for number, day in enumerate(days)]
    table.write_text("\n".join(["path,date", *rows]))
    result = run(table)
    # dates of the table order the images
    assert [row.date for row in result.dates] == days[::-1]
    assert [row.file for row in result.dates] == [f"frame{number}.png" for number in (3, 2, 1, 0)]
    assert result.unit == "px"
    assert values(result.dates, "dx_px", "dy_px") == pytest.approx(expected_shifts(shifts)[::-1], abs=0.03)
    assert 0.07 < values(result.dates, "dx_std_px", "dy_std_px").max() < 0.08
    assert all((row.dx_m, row.dy_m, row.dx_std_m, row.dy_std_m) == (None,) * 4 for row in result.dates)


def test_a_series_needs_two_images_that_can_be_read(tmp_path: Path) -> None:
    good, bad = write_dates(tmp_path / "images", SHIFTS_PX[:2], 64)
    bad.write_bytes(b"no image")
    with pytest.raises(DatasetError, match=rf"two images that can be read, and 1 can: .*{bad.name}"):
        run(good.parent)
