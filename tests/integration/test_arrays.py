"""DataArrays go in as files do."""

from pathlib import Path

import numpy as np
import pytest
import rioxarray
import xarray
from conftest import GRID, Writer, texture
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match import Settings, match_arrays, match_files, tie_points_of
from s2match.errors import MissingExtraError, NoOverlapError, UnreadableImageError
from s2match.result import PairResult
from s2match.util import optional

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
    assert result.previews[0].nodata_share == pytest.approx(40 * 40 / (290 * 250), rel=0.1)
    assert np.allclose(tie_points_of(result).xy0_px, result.matches.xy0)
    assert not result.reference.scene.path.parent.exists()


def test_bytes_are_read_as_they_are(write_image: Writer) -> None:
    path = write_image("a.tif", np.stack([texture(200, 200)] * 3))
    array = rioxarray.open_rasterio(path)
    assert isinstance(array, xarray.DataArray)
    result = match_arrays(array, array, confidence=1.0, image_size=None)
    assert (result.previews[0].image == array.values.transpose(1, 2, 0)).all()


def test_arrays_that_are_refused(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    array = opened(write_image("a.tif", texture(100, 100)))
    with pytest.raises(UnreadableImageError, match="reference is not a regular image"):
        match_arrays(array.transpose("y", "x", "band"), array)
    with pytest.raises(UnreadableImageError, match="target is not a regular image"):
        match_arrays(array, xarray.DataArray(np.zeros((4, 3, 100, 100)), dims=("time", "band", "y", "x")))
    away = array.assign_coords(x=array.x + 1e5)
    with pytest.raises(NoOverlapError):
        match_arrays(array, away)

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(optional, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"DataArrays need rioxarray: pip install -r requirements-xarray\.txt"):
        match_arrays(array, array)


def registered(result: PairResult) -> NDArray[np.float64]:
    assert result.registration is not None
    return result.registration.apply(np.full((1, 2), 100.0))


@pytest.mark.parametrize("layout", ["H x W", "H x W x 3", "3 x H x W", "uint16", "float16"])
def test_numpy_arrays_match_as_files_do(layout: str, write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without xarray; without a georeference the shift is that of the pixels."""
    monkeypatch.setattr(optional, "import_module", None)
    scene = texture(260, 260, seed=1)
    grey = [scene[:200, :210], scene[6:206, 4:214]]
    of = {
        "H x W": lambda image: image,
        "H x W x 3": lambda image: np.stack([image] * 3, axis=2),
        "3 x H x W": lambda image: np.stack([image] * 3),
        "uint16": lambda image: image.astype(np.uint16) * 14,
        "float16": lambda image: (image / 255).astype(np.float16),
    }[layout]
    first, second = (of(image) for image in grey)
    kept = first.copy()
    result = match_arrays(first, second, SETTINGS, image_size=None)
    assert (first == kept).all()
    assert np.allclose(registered(result), [[96, 94]], atol=0.5)
    assert result.reference.size == (210, 200) and result.reference.crs is None
    paths = write_image("a.tif", grey[0], transform=None), write_image("b.tif", grey[1], transform=None)
    if layout in ("H x W", "H x W x 3", "3 x H x W"):
        files = match_files(*paths, SETTINGS, image_size=None)
        assert (files.matches.xy1 == result.matches.xy1).all()


def test_what_is_masked_in_an_array_has_no_data() -> None:
    scene = texture(160, 160, seed=1)
    masked = np.ma.masked_array(scene, np.zeros(scene.shape, np.bool_))
    masked[:, :40] = np.ma.masked
    result = match_arrays(masked, scene, confidence=1.0, image_size=None)
    assert (result.previews[0].valid == ~masked.mask).all()


def test_values_that_are_no_images_are_refused(tmp_path: Path) -> None:
    image = texture(100, 100)
    with pytest.raises(UnreadableImageError, match=r"reference is not a regular image: it is 4 x 90 x 90, not H x W,"):
        match_arrays(np.zeros((4, 90, 90)), image)
    with pytest.raises(UnreadableImageError, match="target is not an image: its values are of type complex128"):
        match_arrays(image, image.astype(complex))
    with pytest.raises(UnreadableImageError, match="target is a list, neither a NumPy array nor a DataArray"):
        match_arrays(image, image.tolist())
    with pytest.raises(UnreadableImageError, match="reference is a path, not an array: match_files matches files"):
        match_arrays("a.tif", image)  # type: ignore[arg-type]
    with pytest.raises(UnreadableImageError, match="ndarray is not a path: match_arrays matches images in memory"):
        match_files(image, image)  # type: ignore[arg-type]
