"""A DataArray registers another one onto its own grid."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rioxarray
import xarray
from affine import Affine
from conftest import GRID, ROOT, Writer, texture

import s2match.xarray  # noqa: F401
from s2match.errors import CorrectionError, NotCorrectedError, UnreadableImageError
from s2match.result import PairResult

OPTIONS = {"image_size": (256, 256), "confidence": 0.2}
SIDE, SHIFT = 256, (3, -2)


def opened(path: Path) -> xarray.DataArray:
    array = rioxarray.open_rasterio(path)
    assert isinstance(array, xarray.DataArray)
    return array.squeeze("band", drop=True).load()


@pytest.fixture
def pair(write_image: Writer) -> tuple[xarray.DataArray, xarray.DataArray]:
    """The target shows the ground 3 px further right and 2 px further up than its georeference says."""
    scene = texture(SIDE + 20, SIDE + 20, seed=5)
    right, down = SHIFT
    images = scene[10 : 10 + SIDE, 10 : 10 + SIDE], scene[10 - down : 10 - down + SIDE, 10 - right : 10 - right + SIDE]
    first, second = (opened(write_image(f"{name}.tif", image)) for name, image in zip("ab", images, strict=True))
    return first, second.assign_attrs(season="spring")


def test_a_target_is_put_onto_the_grid(pair: tuple[xarray.DataArray, xarray.DataArray]) -> None:
    reference, target = pair
    kept = target.copy(deep=True)
    registered = reference.s2match.register(target, **OPTIONS)
    assert target.identical(kept)
    assert registered.x.identical(reference.x) and registered.y.identical(reference.y)
    # the arrays align without a row lost
    both = xarray.concat([reference, registered], "time", join="exact")
    inner = both.isel(x=slice(8, -8), y=slice(8, -8)).astype(float)
    assert float(np.abs(inner[0] - inner[1]).mean()) < 0.02 * float(np.abs(inner[0] - target[8:-8, 8:-8].data).mean())
    attributes = registered.attrs
    assert attributes["season"] == "spring" and attributes["s2match_verdict"] == "register"
    assert attributes["s2match_model"] and attributes["s2match_shift_unit"] == "m"
    assert attributes["s2match_shift"] == pytest.approx([SHIFT[0] * 10, -SHIFT[1] * 10], abs=3)
    assert 0 < attributes["s2match_shift_95"] < 5
    assert registered.rio.crs == reference.rio.crs and registered.rio.transform() == reference.rio.transform()


def test_a_match_is_the_result_of_a_pair(pair: tuple[xarray.DataArray, xarray.DataArray]) -> None:
    result = pair[0].s2match.match(pair[1], **OPTIONS)
    assert isinstance(result, PairResult) and result.matrix is not None
    assert (result.matrix @ (100, 100, 1))[:2] == pytest.approx([100 + SHIFT[0], 100 + SHIFT[1]], abs=0.3)


def test_a_registered_target_is_not_moved(pair: tuple[xarray.DataArray, xarray.DataArray], write_image: Writer) -> None:
    """Its values stay on the same grid, and are placed by the georeference on another one, unless it is forced."""
    reference, _ = pair
    same = (reference.astype(np.int16) + 5).astype(np.uint8).rio.write_crs(reference.rio.crs)
    registered = reference.s2match.register(same, **OPTIONS)
    assert registered.attrs["s2match_verdict"] == "already registered" and np.array_equal(registered, same)
    part = write_image("part.tif", reference.values[16:, 24:], GRID @ Affine.translation(24, 16))
    placed = reference.s2match.register(opened(part), "nearest", **OPTIONS)
    assert placed.shape == reference.shape and placed.x.identical(reference.x)
    assert np.array_equal(placed.values[16:, 24:], reference.values[16:, 24:])
    assert reference.s2match.register(same, force=True, **OPTIONS).shape == reference.shape


def test_arrays_without_a_reference_system(pair: tuple[xarray.DataArray, xarray.DataArray]) -> None:
    """Arrays of numbers alone register by their pixels."""
    plain = [xarray.DataArray(array.values, dims=("y", "x")) for array in pair]
    registered = plain[0].s2match.register(plain[1], **OPTIONS)
    assert registered.shape == plain[0].shape and registered.attrs["s2match_verdict"] == "register"
    inner = (slice(8, -8),) * 2
    difference = registered.values[inner].astype(float) - plain[0].values[inner]
    assert np.abs(difference).mean() < 2


def test_what_cannot_be_registered_is_refused(pair: tuple[xarray.DataArray, xarray.DataArray]) -> None:
    with pytest.raises(CorrectionError, match="No model was accepted"):
        pair[0].s2match.register(pair[1], image_size=(256, 256), confidence=1.0)
    with pytest.raises(UnreadableImageError, match="neither a NumPy array nor a DataArray"):
        pair[0].s2match.match(5)
    rng = np.random.default_rng(0)
    noise = pair[0].copy(data=rng.integers(0, 255, pair[0].shape, dtype=np.uint8))
    with pytest.raises((CorrectionError, NotCorrectedError)):
        pair[0].s2match.register(noise, **OPTIONS)


def test_a_missing_library_is_named() -> None:
    code = "import sys; sys.modules['xarray'] = None; import s2match.xarray"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "MissingExtraError: DataArrays need xarray: pip install -r requirements-xarray.txt." in done.stderr
