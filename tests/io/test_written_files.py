"""Files that were not written as a whole are found after they are closed."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from conftest import texture, write_geotiff
from pairs import shifted_pair

from s2match.errors import OutputError
from s2match.io.tiff_segments import segments_damage
from s2match.io.written_layers import check_geopackage
from s2match.io.written_raster import check_geotiff
from s2match.tiepoints.formats import write_tie_points
from s2match.tiepoints.points import tie_points_of

SIDE = 700


@pytest.fixture(scope="module")
def cog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a mask and an overview."""
    folder = tmp_path_factory.mktemp("cog")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        raw = write_geotiff(folder / "raw.tif", np.stack([texture(SIDE, SIDE)] * 3))
        with rasterio.open(raw, "r+") as file:
            file.write_mask(np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 7 > 0)
        rasterio.shutil.copy(raw, folder / "cog.tif", driver="COG", COMPRESS="DEFLATE")
    return folder / "cog.tif"


def damaged(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_whole_file_passes(cog: Path) -> None:
    check_geotiff(cog, (SIDE, SIDE), is_cog=True)


@pytest.mark.parametrize("kept", [1, 100, 400, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_off(cog: Path, tmp_path: Path, kept: float) -> None:
    content = cog.read_bytes()
    part = damaged(tmp_path / "a.tif", content[: int(kept if kept >= 1 else kept * len(content))])
    with pytest.raises(OutputError, match=r"Cannot write .*a\.tif: "):
        check_geotiff(part, (SIDE, SIDE), is_cog=True)


def test_bytes_that_were_lost_in_the_middle(cog: Path, tmp_path: Path) -> None:
    """A page of zeros: the file has its length, its directories are right, and GDAL reads most of them as pixels."""
    content = cog.read_bytes()
    # behind the directories
    for begin in range(4096, len(content) - 4096, 8192):
        page = damaged(tmp_path / "a.tif", content[:begin] + bytes(4096) + content[begin + 4096 :])
        assert segments_damage(page) is None
        with pytest.raises(OutputError, match="tiles are damaged"):
            check_geotiff(page, (SIDE, SIDE), is_cog=True)


def test_a_file_of_another_kind(cog: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="its size is wrong"):
        check_geotiff(cog, (SIDE, SIDE + 1), is_cog=True)
    plain = write_geotiff(tmp_path / "plain.tif", texture(SIDE, SIDE))
    check_geotiff(plain, (SIDE, SIDE))
    with pytest.raises(OutputError, match="its layout is not that of a Cloud Optimized GeoTIFF"):
        check_geotiff(plain, (SIDE, SIDE), is_cog=True)


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"},
        {"bigtiff": "YES", "tiled": True},
        {"interleave": "band", "compress": "lzw"},
        {"endianness": "BIG"},
    ],
)
def test_tiles_and_strips_of_every_kind_are_found(tmp_path: Path, profile: dict[str, Any]) -> None:
    path = write_geotiff(tmp_path / "a.tif", np.stack([texture(300, 200)] * 3), **profile)
    assert segments_damage(path) is None
    content = path.read_bytes()
    assert segments_damage(damaged(tmp_path / "b.tif", content[:-2000])) is not None


def test_a_tile_that_was_never_written(tmp_path: Path) -> None:
    """GDAL reads it as nodata, without an error."""
    profile = {"driver": "GTiff", "width": 512, "height": 512, "count": 1, "dtype": "uint8", "tiled": True}
    with rasterio.open(tmp_path / "a.tif", "w", blockxsize=256, blockysize=256, SPARSE_OK=True, **profile) as file:
        file.write(texture(256, 256)[None], window=((0, 256), (0, 256)))
    assert segments_damage(tmp_path / "a.tif") == "tiles are missing"


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layers") / "points.gpkg"
    write_tie_points(tie_points_of(shifted_pair()), path)
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DROP TABLE rtree_tie_points_geom", "its layer tie_points has no spatial index"),
        ("DELETE FROM rtree_tie_points_geom WHERE id = 3", "its layer tie_points has no spatial index"),
        ("DELETE FROM layer_styles", "its layer layer_styles is not complete"),
        ("DELETE FROM gpkg_contents WHERE table_name = 'layer_styles'", "its layer layer_styles is not complete"),
    ],
)
def test_layers_that_are_not_complete(layers: Path, tmp_path: Path, change: str, reason: str) -> None:
    path = Path(shutil.copy(layers, tmp_path / "a.gpkg"))
    rows = {"tie_points": len(tie_points_of(shifted_pair())), "layer_styles": 1}
    check_geopackage(path, rows)
    with closing(sqlite3.connect(path)) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute(change)
        database.commit()
    with pytest.raises(OutputError, match=reason):
        check_geopackage(path, rows)


def test_a_database_that_is_cut_off(layers: Path, tmp_path: Path) -> None:
    content = layers.read_bytes()
    for size in (10, 5000, len(content) // 2, len(content) - 4096):
        with pytest.raises(OutputError, match=r"Cannot write .*a\.gpkg: "):
            check_geopackage(damaged(tmp_path / "a.gpkg", content[:size]), {"tie_points": 420})
