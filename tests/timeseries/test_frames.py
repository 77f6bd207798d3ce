"""The animation shows a place that is clear, in colour, and without the dates that are cloud or nodata there."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, UTM
from placed_series import colours, placed_series
from rasterio.io import MemoryFile

from s2match.timeseries.frames import frames_of
from s2match.timeseries.result import SeriesResult

SIDE, COUNT = 480, 6
CLOUDED, EMPTY = 2, 4


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> SeriesResult:
    """Date 0 is 40 m off and clear in one quarter only, date 2 is cloud there, and date 4 has no data there."""
    folder = tmp_path_factory.mktemp("dates")
    ground, rng = colours(SIDE), np.random.default_rng(1)
    paths = []
    for index in range(COUNT):
        image = ground.copy()
        quarter = np.s_[:, : SIDE // 2, SIDE // 2 :]
        cloud = np.clip(rng.normal(230, 15, ground.shape), 1, 254).astype(np.uint8)
        if index == 0:
            image = np.where(np.arange(SIDE)[:, None] < SIDE // 2, image, cloud)
            image[:, :, : SIDE // 2] = cloud[:, :, : SIDE // 2]
        elif index == CLOUDED:
            image[quarter] = cloud[quarter]
        elif index == EMPTY:
            image[quarter] = 0
        paths.append(folder / f"T36UXA_2018050{index + 1}T083601_TCI.tif")
        write(paths[-1], image, Affine.translation(40, 0) @ GRID if index == 0 else GRID)
    return placed_series(paths, [(40.0, 0.0)] + [(0.0, 0.0)] * (COUNT - 1))


def write(path: Path, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], transform: Affine) -> None:
    count, height, width = image.shape
    with MemoryFile() as memory:
        place = {"transform": transform, "crs": UTM, "nodata": 0}
        with memory.open(driver="GTiff", width=width, height=height, count=count, dtype="uint8", **place) as file:
            file.write(image)
        path.write_bytes(memory.read())


def test_the_place_is_where_the_date_that_is_off_is_clear(result: SeriesResult) -> None:
    frames = frames_of(result)
    shown = [label for label, *_ in frames]
    assert shown == [result.images[index].title for index in range(COUNT) if index not in (CLOUDED, EMPTY)]
    (_, before, after), (_, other, same) = frames[:2]
    # the ground jumps before the correction, and does not after it
    assert np.abs(before.astype(int) - other).mean() > 10
    assert np.abs(after.astype(int) - same).mean() < 3
    assert (other == same).all()


def test_frames_have_the_colours_of_the_files(result: SeriesResult) -> None:
    for _, before, _ in frames_of(result):
        assert before.shape == (160, 160, 3)
        assert np.abs(before[..., 0].astype(int) - before[..., 1]).mean() > 20
