"""Quick looks count the pixels of an image that show the ground."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, Writer, texture

from s2match.core.radiometry import ReadOptions
from s2match.errors import MaskError, UnreadableImageError
from s2match.timeseries.images import series_image
from s2match.timeseries.quick_looks import CELLS, quick_look, quick_looks

# A tile of 109.8 km at 100 m: cloud is opened by 100 m and dilated by 300 m.
COARSE = Affine(100, 0, 600000, 0, -100, 5600040)


def test_ground_without_cloud_is_clear(write_image: Writer) -> None:
    look = quick_look(series_image(0, write_image("a.tif", texture(700, 600))))
    assert look.clear_share == 1.0 and look.grid.size == (700, 600) and look.grid.transform == GRID


def test_nodata_and_saturated_cloud_are_not_clear(write_image: Writer) -> None:
    image = np.stack([texture(1000, 1000)] * 3)
    image[:, :, :250] = 0
    image[:, :500, 500:] = 255
    look = quick_look(series_image(0, write_image("a.jp2", image, COARSE)))
    # the fringe of the cloud is 3 px wide
    assert look.clear_share == pytest.approx(1 - 0.25 - 0.25, abs=0.012)
    assert look.clear_cells is not None and look.clear_cells.shape == (CELLS, CELLS)
    assert look.clear_cells.mean() == pytest.approx(look.clear_share, abs=1e-6)
    assert look.clear_cells[0, 0] == 0 and look.clear_cells[0, 6] == 1
    assert look.clear_cells[0, -1] == 0 and look.clear_cells[-1, -1] == 1


def test_cloud_is_not_looked_for_where_the_file_cannot_tell(write_image: Writer) -> None:
    index = texture(200, 200).astype(np.float32) / 255
    index[:100] = 1.0
    assert quick_look(series_image(0, write_image("index.tif", index, COARSE))).clear_share == 1.0
    bright = np.full((200, 200), 255, np.uint8)
    assert quick_look(series_image(0, write_image("bare.tif", bright, None))).clear_share == 1.0


def test_the_image_s_own_masks_count(write_image: Writer) -> None:
    image = write_image("a.tif", texture(200, 200).astype(np.float32))
    mask = np.zeros((200, 200), np.uint8)
    mask[:, :50] = 1
    masks = (write_image("m.tif", mask), write_image("n.tif", np.flipud(mask.T)))
    assert quick_look(series_image(0, image, masks[:1])).clear_share == pytest.approx(0.75, abs=0.01)
    assert quick_look(series_image(0, image, masks)).clear_share == pytest.approx(0.75**2, abs=0.01)


def test_an_image_that_shows_nothing_has_a_quick_look(write_image: Writer) -> None:
    image = write_image("a.tif", texture(100, 100))
    mask = write_image("m.tif", np.ones((100, 100), np.uint8))
    assert quick_look(series_image(0, image, (mask,))).clear_share == 0.0
    assert quick_look(series_image(0, write_image("b.tif", np.zeros((100, 100), np.uint8)))).clear_share == 0.0


def test_the_nodata_option_counts(write_image: Writer) -> None:
    image = texture(200, 200)
    image[:100] = 7
    path = write_image("a.tif", image)
    assert quick_look(series_image(0, path)).clear_share == 1.0
    assert quick_look(series_image(0, path), ReadOptions(nodata=7)).clear_share == pytest.approx(0.5, abs=0.01)


def test_what_cannot_be_read_gives_the_reason(write_image: Writer, tmp_path: Path) -> None:
    (tmp_path / "damaged.tif").write_bytes(b"II*\0 no image")
    away = write_image("m.tif", np.ones((50, 50), np.uint8), Affine.translation(500_000, 0) @ GRID)
    image = write_image("a.tif", texture(200, 200))
    images = [
        series_image(0, image),
        series_image(1, tmp_path / "damaged.tif"),
        series_image(2, tmp_path / "gone.tif"),
        series_image(3, image, (tmp_path / "gone_mask.tif",)),
    ]
    looks = quick_looks(images)
    assert not isinstance(looks[0], str) and looks[0].clear_share == 1.0
    assert isinstance(looks[1], str) and "damaged.tif" in looks[1]
    assert looks[2] == f"There is no file {tmp_path / 'gone.tif'}."
    assert isinstance(looks[3], str) and "gone_mask.tif" in looks[3]
    with pytest.raises(UnreadableImageError, match="There is no file"):
        quick_look(images[2])
    # beyond its edges a mask masks nothing
    assert quick_look(series_image(4, image, (away,))).clear_share == 1.0
    bare = write_image("bare.tif", np.ones((50, 50), np.uint8), None)
    with pytest.raises(MaskError, match="lies on no ground"):
        quick_look(series_image(5, image, (bare,)))
