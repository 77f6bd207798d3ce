"""A result speaks for itself: its matrix, its table and its five lines."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, Writer, texture

from s2match import PairResult, match_files, tie_points_of, write_tie_points
from s2match.errors import MissingExtraError
from s2match.util import optional


@pytest.fixture
def result(dataset: Path) -> PairResult:
    """The target lies 3 px right and 5 px down of the reference, by its pixels and by its georeference."""
    paths = sorted(dataset.iterdir())[:2]
    return match_files(*paths, confidence=0.2, geometry="translation", image_size=(128, 128))


def test_the_matrix_is_in_pixels_of_the_files(result: PairResult) -> None:
    assert result.matrix is not None and result.matrix.shape == (3, 3)
    assert np.allclose(result.matrix @ (100, 100, 1), (97, 95, 1), atol=1)
    assert result.file_model is not None and result.file_model.file_px is not None
    assert (result.matrix @ (10, 20, 1))[:2] == pytest.approx(
        result.file_model.file_px.apply(np.array([[10.0, 20]]))[0]
    )


def test_there_is_no_matrix_without_a_registration_or_of_a_field(dataset: Path) -> None:
    paths = sorted(dataset.iterdir())[:2]
    assert match_files(*paths, confidence=1.0).matrix is None
    assert match_files(*paths, confidence=0.2, geometry="field", image_size=None).matrix is None


def test_the_table_is_that_of_the_files(result: PairResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import geopandas

    table = result.to_geodataframe()
    write_tie_points(tie_points_of(result), tmp_path / "points.gpkg")
    file = geopandas.read_file(tmp_path / "points.gpkg")
    assert list(table.columns) == list(file.columns) and table.crs == file.crs
    for name in set(table.columns) - {"geometry"}:
        assert np.array_equal(table[name].to_numpy(float), file[name].to_numpy(float), equal_nan=True), name
    assert table.geometry.geom_equals(file.geometry).all()

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(optional, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"Tables of tie points need geopandas: pip install"):
        result.to_geodataframe()


def test_it_is_told_in_five_lines(result: PairResult, write_image: Writer) -> None:
    lines = repr(result).splitlines()
    assert lines[0].startswith("PairResult: T36UXA_20180820T083601_TCI.jp2 (reference), T36UXA_20190606T083601")
    assert [line.split()[0] for line in lines[1:]] == ["matches", "model", "shift", "verdict"]
    assert " m east, " in lines[3] and "already registered" in lines[4] and len(lines) == 5
    image = texture(128, 128)
    paths = [write_image(name, image, transform=None, crs=None) for name in ("a.tif", "b.tif")]
    lines = repr(match_files(*paths, confidence=1.0)).splitlines()
    assert lines[1].endswith("no registration") and lines[2:4] == ["  model    none", "  shift    unknown"]
    moved = write_image("c.tif", image, transform=Affine.translation(20, 0) @ GRID)
    placed = write_image("d.tif", image)
    assert "m further east" in repr(match_files(placed, moved, confidence=0.2))
