"""Corrected files of a series: one grid where they are resampled, the same pixels where the georeference is moved."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID
from numpy.typing import NDArray
from rasterio.crs import CRS
from shifted_series import SHIFTS_PX, date_name, expected_shifts, landscape, write_dates, write_file

import s2match
from s2match.errors import CorrectionError, OptionError, OutputError
from s2match.timeseries.correction import SeriesCorrection, check_correction, correct_series
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateStatus

SIZE, COUNT = 160, 5

# The last date has a grid of its own, whose origin is (right, down) of that of the others.
OFFSET_PX = (3.25, -2.5)


@dataclass(frozen=True)
class Matched:
    """A matched series of five dates and a damaged file."""

    folder: Path
    result: SeriesResult

    def path(self, index: int) -> Path:
        return self.folder / f"{date_name(index)}.tif"

    def shift_m(self, index: int) -> tuple[float, float]:
        row = self.result.dates[index]
        assert row.dx_m is not None and row.dy_m is not None
        return row.dx_m, row.dy_m


@pytest.fixture(scope="module")
def matched(tmp_path_factory: pytest.TempPathFactory) -> Matched:
    folder = tmp_path_factory.mktemp("series")
    paths = write_dates(folder, SHIFTS_PX[:COUNT], SIZE)
    shift = (SHIFTS_PX[COUNT - 1][0] - OFFSET_PX[0], SHIFTS_PX[COUNT - 1][1] - OFFSET_PX[1])
    write_file(paths[-1], landscape(SIZE, shift), GRID @ Affine.translation(*OFFSET_PX))
    (folder / f"{date_name(COUNT)}.tif").write_bytes(b"damaged")
    return Matched(folder, run(folder))


def run(folder: Path) -> SeriesResult:
    return s2match.series(folder, pattern="*_TCI*.tif", image_size=None, device="cpu")


def read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Affine]:
    """First band, validity and transform of a file."""
    with rasterio.open(path) as file:
        return file.read(1), file.read_masks(1) > 0, file.transform


def test_corrected_dates_lie_on_one_grid_and_on_each_other(matched: Matched, tmp_path: Path) -> None:
    before = [(row.dx_px, row.dy_px) for row in matched.result.dates[:COUNT]]
    assert np.abs(np.array(before, float)).max() > 1
    files = correct_series(matched.result, SeriesCorrection(tmp_path))
    assert files == tuple(tmp_path / f"{date_name(index)}_coregistered.tif" for index in range(COUNT))
    for path in files:
        image, _, transform = read(path)
        assert image.shape == (SIZE, SIZE) and transform == GRID
    after = run(tmp_path)
    assert [row.status for row in after.dates] == [DateStatus.PLACED] * COUNT
    shifts = np.array([(row.dx_px, row.dy_px) for row in after.dates], float)
    # eight bits round the smallest of moves away
    assert np.abs(shifts).max() < 0.05


def test_a_moved_georeference_keeps_the_pixels(matched: Matched, tmp_path: Path) -> None:
    files = correct_series(matched.result, SeriesCorrection(tmp_path, resampling=None))
    assert len(files) == COUNT
    for index, path in enumerate(files):
        (image, valid, transform), (original, _, before) = read(path), read(matched.path(index))
        assert (image == original).all() and valid.all()
        moved = np.array([transform.c - before.c, transform.f - before.f])
        # the image showed the ground too far by the shift
        assert moved == pytest.approx(-np.array(matched.shift_m(index)), abs=1e-6)
        assert transform[:2] == before[:2] and transform[3:5] == before[3:5]


def test_siblings_are_corrected_with_the_image_of_their_tile_and_time(matched: Matched, tmp_path: Path) -> None:
    """A classification keeps its classes and its pixel size, and follows its image."""
    image, _, _ = read(matched.path(3))
    classes = np.where(image > 110, 4, 9).astype(np.uint8)
    name = date_name(3).replace("_TCI", "_SCL")
    sibling = write_file(tmp_path / f"{name}.tif", classes, bands=1)
    coarse = write_file(tmp_path / f"{name}_20m.tif", classes[::2, ::2].copy(), GRID @ Affine.scale(2), bands=1)
    correction = SeriesCorrection(tmp_path / "out", siblings=(sibling, coarse))
    check_correction(matched.result.images, correction)
    files = correct_series(matched.result, correction)
    assert [path.name for path in files[3:6]] == [
        f"{stem}_coregistered.tif" for stem in (date_name(3), name, f"{name}_20m")
    ]
    (corrected, valid, _), (moved, moved_valid, _) = read(files[3]), read(files[4])
    both = valid & moved_valid
    assert both.mean() > 0.9 and set(np.unique(moved[moved_valid])) == {4, 9}
    agreement = np.mean((corrected > 110)[both] == (moved == 4)[both])
    unmoved = np.mean((corrected > 110)[both] == (classes == 4)[both])
    assert agreement > 0.97 > unmoved
    small, small_valid, transform = read(files[5])
    assert small.shape == (SIZE // 2, SIZE // 2) and transform == GRID @ Affine.scale(2)
    assert set(np.unique(small[small_valid])) == {4, 9}


def test_existing_files_are_replaced_on_demand_only(matched: Matched, tmp_path: Path) -> None:
    taken = tmp_path / f"{date_name(2)}_coregistered.tif"
    taken.write_bytes(b"mine")
    for refuse in (check_correction, lambda _, correction: correct_series(matched.result, correction)):
        with pytest.raises(OutputError, match=rf"{taken.name} exists: --overwrite"):
            refuse(matched.result.images, SeriesCorrection(tmp_path))
    assert taken.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [taken]
    check_correction(matched.result.images, SeriesCorrection(tmp_path, overwrite=True))
    correct_series(matched.result, SeriesCorrection(tmp_path, overwrite=True))
    assert read(taken)[0].shape == (SIZE, SIZE)


def test_what_cannot_be_corrected_is_refused_before_the_series_is_matched(matched: Matched, tmp_path: Path) -> None:
    images = matched.result.images

    def refused(path: Path) -> SeriesCorrection:
        return SeriesCorrection(tmp_path / "out", siblings=(path,))

    other_tile = shutil.copy(matched.path(0), tmp_path / date_name(0).replace("T36UXA", "T36UYA"))
    with pytest.raises(CorrectionError, match="no image of the series has its tile"):
        check_correction(images, refused(Path(other_tile)))
    other_day = shutil.copy(matched.path(0), tmp_path / "T36UXA_20190101T083601_SCL.tif")
    with pytest.raises(CorrectionError, match=r"T36UXA_20190101T083601_SCL\.tif: no image"):
        check_correction(images, refused(Path(other_day)))
    elsewhere = tmp_path / f"{date_name(0)}_SCL.tif"
    write_file(elsewhere, landscape(SIZE, (0, 0)), GRID @ Affine.translation(5, 0))
    with pytest.raises(CorrectionError, match="footprint"):
        check_correction(images, refused(elsewhere))
    same_name = tmp_path / f"{date_name(0)}.png"
    shutil.copy(matched.path(0), same_name)
    with pytest.raises(OutputError, match="Two files of the series would be written as"):
        check_correction(images, refused(same_name))
    with pytest.raises(OptionError, match="Unknown resampling 'best'"):
        SeriesCorrection(tmp_path / "out", "best")
    with pytest.raises(OutputError, match="Cannot create"):
        check_correction(images, SeriesCorrection(matched.path(0)))


def test_images_without_a_georeference_are_resampled_only(tmp_path: Path) -> None:
    write_dates(tmp_path / "images", SHIFTS_PX[:3], SIZE, ".png")
    result = s2match.series(tmp_path / "images", image_size=None, device="cpu")
    with pytest.raises(CorrectionError, match="has no georeference to correct"):
        check_correction(result.images, SeriesCorrection(tmp_path / "moved", resampling=None))
    files = correct_series(result, SeriesCorrection(tmp_path / "out"))
    after = run(tmp_path / "out")
    assert len(files) == 3 and after.unit == "px"
    assert np.abs(np.array([(row.dx_px, row.dy_px) for row in after.dates], float)).max() < 0.05


def test_pixels_that_are_turned_against_east_and_north(tmp_path: Path) -> None:
    """A map in degrees 3 degrees off the middle of its UTM zone is turned by 2.6 degrees against the ground axes."""
    shifts = SHIFTS_PX[:4]
    transform = Affine(0.00018, 0, 30.02, 0, -0.00009, 60.1)
    (tmp_path / "images").mkdir()
    for index, shift in enumerate(shifts):
        image = landscape(SIZE, shift, index)
        write_file(tmp_path / "images" / f"{date_name(index)}.tif", image, transform, CRS.from_epsg(4326))
    result = run(tmp_path / "images")
    pixels = np.array([(row.dx_px, row.dy_px) for row in result.dates], float)
    assert result.unit == "m" and np.abs(pixels - expected_shifts(shifts)).max() < 0.03
    std = np.array([(row.dx_std_px, row.dy_std_px) for row in result.dates], float)
    assert std.min() > 0.07 and std.max() < 0.08
    files = correct_series(result, SeriesCorrection(tmp_path / "moved", resampling=None))
    for path, shift in zip(files, expected_shifts(shifts), strict=True):
        moved = ~transform @ read(path)[2]
        assert (moved.c, moved.f) == pytest.approx(-shift, abs=0.03)
