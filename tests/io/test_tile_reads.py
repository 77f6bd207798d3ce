"""Windows of JPEG 2000 are read tile by tile, in several threads."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import GRID, UTM

from s2match.core.window import Window
from s2match.errors import UnreadableImageError
from s2match.io import tile_reads
from s2match.io.open_file import opened
from s2match.io.tile_reads import read_all_bands

SIDE, TILE = 400, 128

# Start of a part of a tile in a codestream, with the length of its header.
START_OF_TILE = b"\xff\x90\x00\x0a"


@pytest.fixture
def image(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A lossless file, and its pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, SIDE, SIDE)).astype(np.uint8)
    profile = {"driver": "JP2OpenJPEG", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "crs": UTM}
    profile |= {"transform": GRID, "QUALITY": "100", "REVERSIBLE": "YES", "BLOCKXSIZE": TILE, "BLOCKYSIZE": TILE}
    path = tmp_path / "a.jp2"
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
    return path, pixels


@pytest.mark.parametrize("window", [Window(0, 0, SIDE, SIDE), Window(100, 128, 156, 1), Window(5, 300, 100, 100)])
def test_pixels_are_those_of_the_window(image: tuple[Path, np.ndarray], window: Window) -> None:
    """Windows that begin and end within tiles and at their edges."""
    path, pixels = image
    with opened(path) as file:
        found = read_all_bands(file, window)
    expected = pixels[:, window.y : window.y + window.height, window.x : window.x + window.width]
    assert found.dtype == np.uint8 and np.array_equal(found, expected)


def test_a_damaged_tile_is_an_error_in_any_number_of_threads(
    image: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in one."""
    monkeypatch.setattr(tile_reads, "processors", lambda: 4)
    path, _ = image
    content = bytearray(path.read_bytes())
    starts = [at for at in range(len(content)) if content.startswith(START_OF_TILE, at)]
    begin = starts[len(starts) // 2]
    content[begin : begin + 2] = bytes(2)
    path.write_bytes(bytes(content))
    with opened(path) as file, pytest.raises(UnreadableImageError, match=r"a\.jp2"):
        read_all_bands(file, Window(0, 0, SIDE, SIDE))
