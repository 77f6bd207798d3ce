"""The synthetic sample: contents, georeference and reproducibility."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio import Affine

from s2match.errors import OutputError
from s2match.io.scene_files import list_scenes
from s2match.synthetic import EAST_PX, SCENES, SIZE_PX, SceneSpec, make_ground, render, write_sample

BUNDLED = Path(__file__).parents[2] / "dataset" / "sample"
SMALL = 192
SMALL_EAST = round(SMALL * EAST_PX / SIZE_PX)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return write_sample(tmp_path_factory.mktemp("sample"), size=SMALL)


def read(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


def test_names_order_and_tiles() -> None:
    names = [path.name for path in sorted(BUNDLED.iterdir())]
    assert names == [spec.name for spec in SCENES]
    assert len(names) == 18
    assert all(re.fullmatch(r"[A-Za-z0-9-]+_\d{8}T\d{6}_TCI\.jp2", name) for name in names)
    scenes = list_scenes(BUNDLED)
    assert {scene.tile for scene in scenes[:5]} == {"SYNTHETIC-A"}
    assert {scene.tile for scene in scenes[5:]} == {"SYNTHETIC-B"}
    assert [scene.sensed for scene in scenes] == [spec.sensed for spec in SCENES]


def test_sample_is_small_enough_for_a_repository() -> None:
    assert 3e6 < sum(path.stat().st_size for path in BUNDLED.iterdir()) < 7e6


@pytest.mark.parametrize("index", range(18))
def test_bundled_georeference(index: int) -> None:
    left, top = 507_630 if index >= 5 else 500_000, 20_980
    if index == 5:
        left, top = left + 43.7, top - 26.2
    with rasterio.open(BUNDLED / SCENES[index].name) as file:
        assert file.driver == "JP2OpenJPEG"
        assert file.crs.to_epsg() == 32631
        assert file.transform.almost_equals(Affine(10, 0, left, 0, -10, top), 1e-6)
        assert (file.width, file.height, file.count) == (1098, 1098, 3)
        assert [c.name for c in file.colorinterp] == ["red", "green", "blue"]
        assert file.dtypes == ("uint8",) * 3


def test_files_come_back_in_order(small: tuple[Path, ...]) -> None:
    assert [path.name for path in small] == [spec.name for spec in SCENES]
    with rasterio.open(small[6]) as file:
        assert file.transform == Affine(10, 0, 500_000 + 10 * SMALL_EAST, 0, -10, 20_980)
        assert (file.width, file.height) == (SMALL, SMALL)


@pytest.mark.parametrize(("west", "east"), [(0, 6), (4, 17)])
def test_tiles_of_one_date_show_the_same_ground_where_they_overlap(west: int, east: int) -> None:
    assert SCENES[west].sensed == SCENES[east].sensed
    one = read(BUNDLED / SCENES[west].name)[:, :, EAST_PX:].mean(axis=0, dtype=np.float32)
    other = read(BUNDLED / SCENES[east].name)[:, :, : SIZE_PX - EAST_PX].mean(axis=0, dtype=np.float32)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95
    scores = cv2.matchTemplate(one, other[8:-8, 8:-8], cv2.TM_CCOEFF_NORMED)
    assert np.unravel_index(scores.argmax(), scores.shape) == (8, 8)
    # the peak is symmetric too, so the shift is 0 below the pixel as well
    assert abs(scores[8, 7] - scores[8, 9]) < 0.01
    assert abs(scores[7, 8] - scores[9, 8]) < 0.01


def test_the_ground_stays_while_the_fields_change() -> None:
    spring, summer = (read(BUNDLED / SCENES[i].name).mean(axis=0) for i in (15, 17))
    assert 0.2 < np.corrcoef(spring.ravel(), summer.ravel())[0, 1] < 0.95


@pytest.mark.parametrize("spec", SCENES, ids=lambda spec: spec.name)
def test_zero_is_nodata_and_only_nodata(spec: SceneSpec) -> None:
    image = read(BUNDLED / spec.name)
    empty = (image == 0).any(axis=0)
    assert np.array_equal(empty, (image == 0).all(axis=0))
    share = empty.mean()
    assert 0.3 < share < 0.6 if spec.swath else share == 0


def test_nodata_of_the_half_swath_ends_on_one_slanted_edge() -> None:
    (spec,) = [spec for spec in SCENES if spec.swath]
    empty = (read(BUNDLED / spec.name) == 0).all(axis=0)
    edge = empty.sum(axis=1)
    assert np.array_equal(empty, np.arange(SIZE_PX) < edge[:, None])
    assert edge[0] - edge[-1] > 200
    assert np.abs(np.diff(edge, 2)).max() <= 1


def test_weather_is_as_announced() -> None:
    for spec in SCENES:
        bright = (read(BUNDLED / spec.name).min(axis=0) > 165).mean()
        # woods and shaded slopes stay darker than snow, so only part of the snow counts
        low, high = (0.4, 0.9) if spec.snow else (spec.clouds - 0.1, spec.clouds + 0.1)
        assert low < bright < high, spec.name


def test_made_twice_the_files_are_the_same_byte_for_byte(small: tuple[Path, ...], tmp_path: Path) -> None:
    chosen = (0, 5, 8, 12)
    again = write_sample(tmp_path / "again", size=SMALL, specs=[SCENES[i] for i in chosen])
    assert [path.read_bytes() for path in again] == [small[i].read_bytes() for i in chosen]
    assert sorted(path.name for path in again[0].parent.iterdir()) == sorted(path.name for path in again)


def test_another_seed_makes_another_landscape() -> None:
    one, other = (render(make_ground(64, 44, seed), SCENES[2], seed) for seed in (1, 2))
    assert one.shape == other.shape == (64, 108, 3)
    assert not np.array_equal(one, other)
    assert min(one.min(), other.min()) > 0


def test_bundled_scene_is_what_the_code_makes(tmp_path: Path) -> None:
    (path,) = write_sample(tmp_path, specs=[SCENES[12]])
    made, bundled = read(path).astype(int), read(BUNDLED / path.name).astype(int)
    # other builds of the libraries may round elsewhere
    assert np.abs(made - bundled).mean() < 0.05


def test_a_file_in_the_folders_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken"):
        write_sample(tmp_path / "taken", size=64)
