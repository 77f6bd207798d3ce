"""DataArrays go in as files do."""

from pathlib import Path

import numpy as np
import pytest
import rioxarray
import xarray
from conftest import GRID, Writer, texture
from rasterio.crs import CRS

from s2match import Settings, importing, match_arrays, match_files, tie_points_of
from s2match.errors import MissingExtraError, NoOverlapError, UnreadableImageError

SETTINGS = Settings(confidence=0.2)


def opened(path: Path) -> xarray.DataArray:
    array = rioxarray.open_rasterio(path, masked=True)
    assert isinstance(array, xarray.DataArray)
    return array.load()


def test_arrays_match_as_the_files_they_come_from(write_image: Writer) -> None:
    """Reflectances with nodata, masked as floats with nan, and a single band of bytes without band."""
    scene = texture(300, 260, seed=1)
    first = np.stack([scene[:250, :290].astype(np.uint16) * 20] * 3)
    first[:, :40, :40] = 0
    second = scene[6:256, 4:294]
    paths = write_image("a.tif", first, nodata=0), write_image("b.tif", second)
    reference, target = opened(paths[0]), opened(paths[1]).squeeze("band", drop=True).astype(np.uint8)
    assert reference.dtype == np.float32 and np.isnan(reference).any()
    kept = reference.copy(deep=True)
    result = match_arrays(reference.rename("first/date"), target.rename(None), SETTINGS, image_size=None)
    assert reference.identical(kept)
    files = match_files(*paths, SETTINGS, image_size=None)
    assert result.registration is not None and files.registration is not None
    # pixels were stretched otherwise, so that the matches are not quite the same
    assert np.allclose(result.registration.apply(np.full((1, 2), 125.0)), [[121, 119]], atol=0.5)
    assert abs(len(result.matches) - len(files.matches)) < 0.1 * len(files.matches)
    assert result.reference.size == files.reference.size == (290, 250)
    assert result.reference.transform == GRID and result.reference.crs == CRS.from_epsg(32636)
    assert (result.reference.scene.path.name, result.target.scene.path.name) == ("first_date.tif", "target.tif")
    assert result.shown[0].nodata_share == pytest.approx(40 * 40 / (290 * 250), rel=0.1)
    assert np.allclose(tie_points_of(result).xy0_px, result.matches.xy0)
    assert not result.reference.scene.path.parent.exists()


def test_bytes_are_read_as_they_are(write_image: Writer) -> None:
    path = write_image("a.tif", np.stack([texture(200, 200)] * 3))
    array = rioxarray.open_rasterio(path)
    assert isinstance(array, xarray.DataArray)
    result = match_arrays(array, array, confidence=1.0, image_size=None)
    assert (result.shown[0].image == array.values.transpose(1, 2, 0)).all()


def test_arrays_that_are_refused(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    array = opened(write_image("a.tif", texture(100, 100)))
    with pytest.raises(UnreadableImageError, match="reference is no regular image"):
        match_arrays(array.transpose("y", "x", "band"), array)
    with pytest.raises(UnreadableImageError, match="target is no regular image"):
        match_arrays(array, xarray.DataArray(np.zeros((4, 3, 100, 100)), dims=("time", "band", "y", "x")))
    away = array.assign_coords(x=array.x + 1e5)
    with pytest.raises(NoOverlapError):
        match_arrays(array, away)

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importing, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"DataArrays need rioxarray: pip install -r requirements-xarray\.txt"):
        match_arrays(array, array)
