"""match, coregister and warp do what the command does, with paths and with arrays."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray
import xarray
from conftest import GRID, ROOT, UTM, Writer, texture
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

import s2match
from s2match import PairResult, Settings, api
from s2match.errors import CorrectionError, NotCorrectedError, OptionError, OutputError, UnreadableImageError
from s2match.registration.model import Registration

Pair = tuple[Path, Path]


@pytest.fixture
def pair(write_image: Writer) -> Pair:
    """Two images on one grid; the second shows the ground 4 px left and 6 px up, and its map does not say so."""
    scene = texture(270, 270, seed=1)
    first = write_image("a.tif", np.stack([scene[:256, :260]] * 3))
    return first, write_image("b.tif", np.stack([scene[6:262, 4:264]] * 3))


def shift_of(result: PairResult) -> Any:
    assert result.matrix is not None
    return (result.matrix @ (100, 100, 1))[:2] - 100


OPTIONS: Any = {"confidence": 0.2, "geometry": "translation", "image_size": None, "refine": False}


def examples_of_help() -> list[doctest.DocTest]:
    """Examples in the docstrings of the library, and in those of the methods of its classes."""
    find = doctest.DocTestFinder().find
    names = {*s2match.__all__} - {"__version__"}
    found = [one for name in sorted(names) for one in find(getattr(s2match, name), name, globs={}) if one.examples]
    assert {"match", "series", "PairResult.matrix"} <= {one.name for one in found}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("example", examples_of_help(), ids=lambda example: example.name)
def test_the_examples_of_help_run(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dataset").symlink_to(ROOT / "dataset")
    monkeypatch.chdir(tmp_path)
    assert doctest.DocTestRunner().run(example).failed == 0


def test_help_of_match_names_every_option() -> None:
    assert all(f"``{choice}``" in (s2match.match.__doc__ or "") for choice in api.Choices.__annotations__)


def test_paths_and_arrays_may_be_mixed(pair: Pair) -> None:
    files = s2match.match(*pair, **OPTIONS)
    assert shift_of(files) == pytest.approx((-4, -6), abs=0.3)
    with rasterio.open(pair[1]) as file:
        mixed = s2match.match(str(pair[0]), file.read(), **OPTIONS)
    assert np.allclose(mixed.matches.xy1, files.matches.xy1) and mixed.target.crs is None
    array = rioxarray.open_rasterio(pair[0])
    assert isinstance(array, xarray.DataArray)
    assert np.allclose(s2match.match(array, pair[1], **OPTIONS).matches.xy1, files.matches.xy1)


def test_options_are_those_of_the_command(pair: Pair, write_image: Writer) -> None:
    mask = np.zeros((256, 260), np.uint8)
    mask[:, :60] = 7
    path = write_image("mask.tif", mask)
    result = s2match.match(*pair, Settings(**OPTIONS), mask=path, mask_values=[7])
    assert result.matches.xy0[:, 0].min() > 60
    assert s2match.match(*pair, preset="fast", seed=3, confidence=1.0).settings == Settings.preset(
        "fast", seed=3, confidence=1.0
    )
    with pytest.raises(OptionError, match="settings or a preset"):
        s2match.match(*pair, Settings(), preset="fast")
    with pytest.raises(TypeError, match="no option 'model_pretrained': write weights"):
        s2match.match(*pair, model_pretrained="outdoor")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"no option 'size'$"):
        s2match.match(*pair, size=3)  # type: ignore[call-arg]


def test_a_pair_is_coregistered_and_warp_gives_the_same_pixels(pair: Pair, write_image: Writer, tmp_path: Path) -> None:
    with rasterio.open(pair[1]) as file:
        bands = file.read()
    half = bands[0].reshape(128, 2, 130, 2).mean(axis=(1, 3)).astype(np.float32)
    sibling = write_image("half.tif", half, GRID @ GRID.scale(2))
    kept = [path.read_bytes() for path in pair]
    done = s2match.coregister(*pair, tmp_path / "out.tif", sibling, **OPTIONS)
    assert [path.name for path in done.files] == ["out.tif", "half_coregistered.tif"]
    assert done.improvement is not None and done.improvement.better and "array" not in repr(done.improvement)
    assert [line.split()[0] for line in repr(done).splitlines()[5:]] == ["files", "because"]
    assert repr(done).endswith("the corrected image agrees better with the reference")
    assert done.decision.code == "better" and done.decision.kept
    assert done.improvement.previews[2].scene.path == done.files[0]
    assert [path.read_bytes() for path in pair] == kept
    with rasterio.open(done.files[0]) as file, rasterio.open(pair[0]) as reference:
        assert file.transform == GRID and file.crs == UTM
        seen = file.dataset_mask() > 0
        assert np.abs(file.read()[:, seen].astype(int) - reference.read()[:, seen]).mean() < 3
        warped = s2match.warp(bands, done.result)
        assert warped.dtype == np.uint8 and (warped.mask == ~seen).all()
        assert (warped.data[:, seen] == file.read()[:, seen]).all()
        last = s2match.warp(np.moveaxis(bands, 0, 2), done.result)
        assert (last.filled(0) == np.moveaxis(warped.filled(0), 0, 2)).all()
    array = rioxarray.open_rasterio(sibling)
    assert isinstance(array, xarray.DataArray)
    moved = s2match.warp(array, done.result)
    with rasterio.open(done.files[1]) as file:
        assert np.array_equal(moved.values, file.read(), equal_nan=True) and np.isnan(moved).any()
        assert moved.rio.transform() == file.transform and moved.rio.crs == file.crs and np.isnan(moved.rio.nodata)
        assert moved.x.values[0] == pytest.approx(GRID.c + 10) and moved.dims == array.dims


def test_arrays_are_coregistered(pair: Pair, tmp_path: Path) -> None:
    images = []
    for path in pair:
        with rasterio.open(path) as file:
            images.append(file.read(1))
    done = s2match.coregister(*images, tmp_path / "out.tif", **OPTIONS)
    assert done.improvement is None and done.decision.code == "not_compared"
    assert shift_of(done.result) == pytest.approx((-4, -6), abs=0.3)
    with rasterio.open(tmp_path / "out.tif") as file:
        assert np.abs(file.read(1)[20:-20, 20:-20].astype(int) - images[0][20:-20, 20:-20]).mean() < 3


def test_coregister_refuses_before_the_work(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "match_scenes", None)
    for out, words in (
        (pair[0], "an input or another output"),
        (tmp_path / "out.png", "suffix must be"),
        (tmp_path / "nowhere" / "out.tif", "nowhere"),
    ):
        with pytest.raises(OutputError, match=words):
            s2match.coregister(*pair, out, overwrite=True)


def test_without_a_model_nothing_is_written(pair: Pair, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    done = s2match.coregister(*pair, out, confidence=1.0)
    assert done.files == () and done.improvement is None and not out.exists()
    assert done.decision.code == "no_registration" and not done.decision.kept
    assert done.result.refusal is not None and repr(done).endswith("there is no registration")
    with pytest.raises(CorrectionError, match="without a registration"):
        s2match.warp(np.zeros((256, 260)), done.result)


def test_a_registered_pair_is_corrected_on_force_only(write_image: Writer, tmp_path: Path) -> None:
    scene = np.stack([texture(256, 256, seed=1)] * 3)
    pair, out = (write_image("a.tif", scene), write_image("b.tif", scene)), tmp_path / "out.tif"
    done = s2match.coregister(*pair, out, **OPTIONS)
    assert done.result.registration is not None and done.files == () and done.improvement is None and not out.exists()
    assert done.decision.reason == 'the verdict is "already registered"'
    with pytest.raises(NotCorrectedError, match='The verdict of the pair is "already registered": force=True'):
        s2match.warp(scene, done.result)
    forced = s2match.coregister(*pair, out, force=True, **OPTIONS)
    assert forced.files == (out,) and forced.decision.forced
    assert forced.improvement is not None and forced.improvement.after.matches > 100
    with rasterio.open(out) as file:
        assert (file.read() == s2match.warp(scene, done.result, force=True)).all()


def test_a_sibling_that_cannot_be_corrected_leaves_no_file(pair: Pair, write_image: Writer, tmp_path: Path) -> None:
    """Which shows after the target was corrected: an older file stays as it is."""
    band, out = write_image("band.tif", texture(260, 256)), tmp_path / "out.tif"
    band.write_bytes(band.read_bytes()[:40_000])
    out.write_bytes(b"of yesterday")
    for resampling in ("cubic", None):
        with pytest.raises(UnreadableImageError, match=r"Cannot read .*band\.tif"):
            s2match.coregister(*pair, out, band, overwrite=True, resampling=resampling, **OPTIONS)
    assert out.read_bytes() == b"of yesterday" and not (tmp_path / "band_coregistered.tif").exists()
    assert not list(tmp_path.glob(".*"))


def test_warp_takes_a_model_alone_and_keeps_what_is_masked() -> None:
    shift = Registration("translation", np.array([[1.0, 0, 2], [0, 1, 0], [0, 0, 1]]), np.ones(0, bool), np.ones(0))
    image = np.arange(12.0).reshape(3, 4)
    image[1, 3] = np.nan
    warped = s2match.warp(image, shift, "nearest")
    assert warped[0].tolist() == [2, 3, None, None] and warped[1].tolist() == [6, None, None, None]
    flags = s2match.warp(np.eye(4, dtype=bool), shift)
    assert flags.dtype == bool and flags[2].tolist() == [True, False, None, None]
    masked = np.ma.masked_equal(np.arange(12, dtype=np.uint16).reshape(3, 4), 2)
    assert s2match.warp(masked, shift, "nearest")[0].tolist() == [None, 3, None, None]


def test_warp_refuses_what_it_cannot_do(pair: Pair) -> None:
    result = s2match.match(*pair, **OPTIONS)
    with pytest.raises(CorrectionError, match=r"The array has 90 x 50 px and the target's file 260 x 256 px"):
        s2match.warp(np.zeros((50, 90)), result)
    with pytest.raises(OptionError, match="Unknown resampling 'best'"):
        s2match.warp(np.zeros((256, 260)), result, "best")
    with pytest.raises(UnreadableImageError, match=r"it is 256 x 260 of type complex128"):
        s2match.warp(np.zeros((256, 260), complex), result)
    with pytest.raises(UnreadableImageError, match="The array is a list, neither"):
        s2match.warp([[1, 2]], result)  # type: ignore[call-overload]


@pytest.mark.parametrize("options", [{}, {"overlap_only": True}, {"image_size": (150, 150)}])
def test_warp_follows_a_target_of_another_zone(pair: Pair, tmp_path: Path, options: Any) -> None:
    target = tmp_path / "zone.tif"
    with rasterio.open(pair[1]) as file, WarpedVRT(file, crs="EPSG:32637", resampling=Resampling.cubic) as other:
        bands = other.read()
        profile = {"width": other.width, "height": other.height, "transform": other.transform, "crs": other.crs}
        with rasterio.open(target, "w", driver="GTiff", count=3, dtype="uint8", nodata=0, **profile) as out:
            out.write(bands)
    done = s2match.coregister(pair[0], target, tmp_path / "out.tif", **(OPTIONS | options))
    warped = s2match.warp(np.ma.masked_equal(bands, 0), done.result)
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.crs == UTM and warped.shape == file.read().shape and 0.5 < (~warped.mask).mean() < 1
        assert (file.read().astype(bool) == ~warped.mask).mean() > 0.99
        assert np.abs(file.read().astype(int) - warped.filled(0))[~warped.mask].mean() < 0.1
