"""Corrected images: a known movement put into a synthetic scene and taken out again, at 10, 20 and 60 m."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, UTM, Writer, texture
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.projection import apply_transform, reproject
from s2match.core.scene import scene_of
from s2match.correction.pixel_map import PixelMap, output_grid, require_same_footprint
from s2match.correction.resample_file import write_resampled
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_grid
from s2match.registration.bspline_field import Observations, fit_fields
from s2match.registration.file_model import FileModel, file_model_of
from s2match.registration.model import Registration

SIZE = 360
# Ground that is rendered around the images, so that nothing of them is unknown.
AROUND = 40

Points = NDArray[np.float64]
Made = tuple[FileModel, Path, NDArray[np.float64]]


def registration(model: str, carry: Callable[[Points], Points], size: int = SIZE) -> Registration:
    """A model that is known: the matrix or the field through points of a lattice."""
    x = np.linspace(0, size, 40)
    xy = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    homogeneous = np.hstack([xy, np.ones((len(xy), 1))])
    matrix = np.eye(3)
    matrix[:2] = np.linalg.lstsq(homogeneous, carry(xy), rcond=None)[0].T
    field = fit_fields(Observations(xy, carry(xy)), matrix, 5.0, (1e-6,))[0] if model == "field" else None
    matrix = matrix if field is None else field.matrix
    return Registration(model, matrix, np.ones(len(xy), np.bool_), np.zeros(len(xy)), field=field)


def shifted(xy: Points) -> Points:
    return xy + (4.37, -2.81)


def turned(xy: Points) -> Points:
    return xy @ np.array([[1.004, -0.007], [0.009, 0.995]]).T + (2.3, -3.6)


def bent(xy: Points) -> Points:
    phase = xy / SIZE * 2 * np.pi
    return xy + (1.7, -2.2) + 1.5 * np.stack([np.sin(phase[:, 1]), np.cos(phase[:, 0])], axis=1)


MOVES = {"translation": shifted, "affine": turned, "field": bent}


def inverse(carry: Callable[[Points], Points], xy: Points) -> Points:
    """By fixed-point iteration, to far below a thousandth of a pixel."""
    found = xy.copy()
    for _ in range(12):
        found += xy - carry(found)
    return found


def ground(x: Points, y: Points) -> NDArray[np.float64]:
    """A scene that is known everywhere: waves of many directions, none shorter than eight pixels of 10 m."""
    random = np.random.default_rng(3)
    value = np.zeros(np.broadcast(x, y).shape)
    for _ in range(60):
        turn, period, phase = random.uniform(0, np.pi), random.uniform(8, 60), random.uniform(0, 2 * np.pi)
        value += np.cos(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / period + phase) * np.sqrt(period)
    return 128 + 100 * value / 150


def centres(width: int, height: int) -> Points:
    return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1).reshape(-1, 2)


@pytest.fixture
def pair(write_image: Writer) -> Callable[[str], Made]:
    """A reference's grid, a target that shows its ground elsewhere, and what the target should have shown."""

    def make(move: str) -> Made:
        xy = centres(SIZE, SIZE)
        truth = ground(*xy.T).reshape(SIZE, SIZE)
        seen = ground(*inverse(MOVES[move], xy).T).reshape(SIZE, SIZE)
        reference = write_image("reference.tif", truth.astype(np.float32))
        target = write_image("target.tif", seen.astype(np.float32))
        return model_of_files(reference, target, registration(move, MOVES[move])), target, truth

    return make


def model_of_files(
    reference: Path, target: Path, model: Registration, size: tuple[int, int] | None = None
) -> FileModel:
    return file_model_of(*grids_of(scene_of(reference), scene_of(target), size), model)


def corrected(model: FileModel, path: Path, out: Path, resampling: str = "cubic", sibling: bool = False) -> Path:
    source = read_grid(path)
    write_resampled(PixelMap(model, source, output_grid(model, source if sibling else None)), out, resampling)
    return out


def least_squares_shift(image: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """(x, y) by which an image shows the scene further right and down: one step of Lucas and Kanade."""
    down, right = np.gradient(truth)
    slopes = np.stack([right.ravel(), down.ravel()], axis=1)
    return -np.linalg.lstsq(slopes, (image - truth).ravel(), rcond=None)[0]


def correlation_shift(image: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """(x, y) likewise, from the phases of the cross-spectrum, by a plane through those of low frequencies."""
    height, width = truth.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    spectrum = np.fft.fft2((image - image.mean()) * window) * np.conj(np.fft.fft2((truth - truth.mean()) * window))
    v, u = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    strong = (np.hypot(u, v) < 0.125) & (np.abs(spectrum) > np.percentile(np.abs(spectrum), 95))
    weight = np.sqrt(np.abs(spectrum[strong]))
    slopes = -2 * np.pi * np.stack([u[strong], v[strong]], axis=1) * weight[:, None]
    return np.linalg.lstsq(slopes, np.angle(spectrum[strong]) * weight, rcond=None)[0]


INNER = slice(24, -24)


def residuals(image: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, 2) shifts of the quarters of an image and of all of it, each measured in both ways."""
    image, truth = image[INNER, INNER].astype(float), truth[INNER, INNER]
    half = len(truth) // 2
    parts = [(slice(None), slice(None))]
    parts += [
        (rows, columns) for rows in (slice(half), slice(half, None)) for columns in (slice(half), slice(half, None))
    ]
    return np.array(
        [[measure(image[p], truth[p]) for measure in (least_squares_shift, correlation_shift)] for p in parts]
    )


def test_the_measures_know_a_shift_and_its_sign() -> None:
    xy = centres(SIZE, SIZE)
    truth, moved = (ground(*(xy - by).T).reshape(SIZE, SIZE) for by in ((0.0, 0.0), (0.4, -0.3)))
    assert np.abs(residuals(moved, truth) - (0.4, -0.3)).max() < 0.03


@pytest.mark.parametrize("move", MOVES)
def test_a_known_movement_is_taken_out(pair: Callable[..., Made], tmp_path: Path, move: str) -> None:
    model, target, truth = pair(move)
    with rasterio.open(target) as file:
        before = file.read(1)
    with rasterio.open(corrected(model, target, tmp_path / "out.tif")) as file:
        after, transform = file.read(1).astype(float), file.transform
    assert transform == read_grid(model.reference.scene.path).transform
    assert np.abs(residuals(after, truth)).max() < 0.01
    # the truth itself, pixel by pixel: what is left is less than a hundredth of a pixel of the steepest slopes
    slope = np.hypot(*np.gradient(truth))[INNER, INNER]
    assert np.sqrt(np.mean((after - truth)[INNER, INNER] ** 2)) < 0.02 * np.sqrt(np.mean(slope**2))
    assert np.sqrt(np.mean((before - truth) ** 2)) > 1.0 * np.sqrt(np.mean(slope**2))


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "lanczos"])
def test_every_resampling_leaves_the_scene_in_its_place(
    pair: Callable[..., Made], tmp_path: Path, resampling: str
) -> None:
    model, target, truth = pair("affine")
    with rasterio.open(corrected(model, target, tmp_path / "out.tif", resampling)) as file:
        assert np.abs(residuals(file.read(1), truth)).max() < 0.02


def test_nearest_takes_the_pixel_that_the_model_says(tmp_path: Path, write_image: Writer) -> None:
    """The sign, without any interpolation: the target shows the ground 3 px further right and 5 px further up."""
    scene = texture(300, 300, seed=1)
    reference = write_image("reference.tif", scene[20:276, 20:276])
    target = write_image("target.tif", scene[25:281, 17:273])
    known = registration("translation", lambda xy: xy + (3, -5), 256)
    out = corrected(model_of_files(reference, target, known), target, tmp_path / "out.tif", "nearest")
    with rasterio.open(out) as file:
        image, valid = file.read(1), file.read_masks(1) > 0
    assert (image == scene[20:276, 20:276])[valid].all()
    assert valid.sum() == 253 * 251 and not valid[:5].any() and not valid[:, -3:].any()


def known_shift(size: int = 256, by: tuple[float, float] = (2.4, -3.3)) -> Registration:
    return registration("translation", lambda xy: xy + by, size)


@pytest.mark.parametrize("size", [None, (100, 130)])
def test_a_model_of_resized_images_is_applied_to_the_files(
    tmp_path: Path, write_image: Writer, size: tuple[int, int] | None
) -> None:
    """The target begins elsewhere and is larger; the model is in pixels of the matched size."""
    truth = ground(*centres(260, 234).T).reshape(234, 260)
    xy = centres(300, 280) - (20, 26)
    reference = write_image("reference.tif", truth.astype(np.float32))
    # the georeference says that the target begins 22.4 px further left and 22.7 px further up: it is wrong
    target = write_image(
        "target.tif", ground(*xy.T).reshape(280, 300).astype(np.float32), GRID @ Affine.translation(-22.4, -22.7)
    )
    matched = grids_of(scene_of(reference), scene_of(target), size)
    from_file, into = (np.array(grid.size) / grid.native_size for grid in matched)
    known = registration("affine", lambda xy: (xy / from_file + (20, 26)) * into, 100)
    model = model_of_files(reference, target, known, size)
    with rasterio.open(corrected(model, target, tmp_path / "out.tif")) as file:
        assert file.transform == GRID and (file.width, file.height) == (260, 234)
        assert np.abs(residuals(file.read(1)[:, :234], truth[:, :234])).max() < 0.01


def test_a_target_of_another_zone_and_one_without_georeference(tmp_path: Path, write_image: Writer) -> None:
    """The first is matched on the lattice of the reference's pixels, the second pixel by pixel."""
    truth = ground(*centres(256, 256).T).reshape(256, 256)
    reference = write_image("reference.tif", truth.astype(np.float32))
    zone = CRS.from_epsg(32637)
    corner = np.round(reproject(np.array([[GRID.c, GRID.f]]), UTM, zone)[0], -1)
    grid = Affine(10, 0, corner[0] - 800, 0, -10, corner[1] + 900)
    back = reproject(apply_transform(grid, centres(420, 420)), zone, UTM)
    pixels = apply_transform(~GRID, back)
    # the ground is where the reference shows it, but for 3.2 px to the right and 1.6 px up in the reference's pixels
    seen = ground(*(pixels - (3.2, -1.6)).T).reshape(420, 420)
    target = write_image("target.tif", seen.astype(np.float32), grid, zone)
    matched = grids_of(scene_of(reference), scene_of(target), None)
    assert matched[1].source is not None
    start = apply_transform(~matched[1].transform @ GRID, np.zeros((1, 2)))[0]
    known = registration("translation", lambda xy: xy + start + (3.2, -1.6), 256)
    model = model_of_files(reference, target, known)
    with rasterio.open(corrected(model, target, tmp_path / "out.tif")) as file:
        assert file.crs == UTM and np.abs(residuals(file.read(1), truth)).max() < 0.01

    bare = write_image("bare.tif", seen.astype(np.float32), None)
    plane = np.linalg.lstsq(np.hstack([pixels, np.ones((len(pixels), 1))]), centres(420, 420), rcond=None)[0].T
    known = registration("affine", lambda xy: (xy + (3.2, -1.6)) @ plane[:, :2].T + plane[:, 2], 256)
    model = model_of_files(reference, bare, known)
    with rasterio.open(corrected(model, bare, tmp_path / "bare_out.tif")) as file:
        assert file.crs == UTM and np.abs(residuals(file.read(1), truth)).max() < 0.02


@pytest.mark.parametrize("pixel_m", [10, 20, 60])
@pytest.mark.parametrize("move", MOVES)
def test_siblings_move_with_the_target_in_their_own_pixels(
    tmp_path: Path, write_image: Writer, move: str, pixel_m: int
) -> None:
    """The model is that of the 10 m images, the scene that of a 10, 20 or 60 m band."""
    # a movement of pixels of 60 m takes a scene that is large
    whole = 960 if pixel_m == 60 else 480
    k, side = pixel_m // 10, whole * 10 // pixel_m
    reference, target = (write_image(f"{name}.tif", texture(whole, whole)) for name in ("reference", "target"))
    known = registration(move, lambda xy: MOVES[move](xy * SIZE / whole) * whole / SIZE, whole)
    xy = centres(side, side)
    truth = ground(*xy.T).reshape(side, side)
    seen = ground(*inverse(lambda at: known.apply(at * k) / k, xy).T).reshape(side, side)
    band = write_image("B.tif", seen.astype(np.float32), GRID @ Affine.scale(k))
    require_same_footprint(read_grid(band), read_grid(target))
    out = corrected(model_of_files(reference, target, known), band, tmp_path / "out.tif", sibling=True)
    with rasterio.open(out) as file:
        assert file.transform == GRID @ Affine.scale(k) and (file.width, file.height) == (side, side)
        assert np.abs(residuals(file.read(1), truth)).max() < 0.01 < 1.0 < np.abs(residuals(seen, truth)).max()


def test_an_extent_that_whole_pixels_do_not_fill(tmp_path: Path, write_image: Writer) -> None:
    reference = write_image("reference.tif", texture(250, 256))
    target = write_image("target.tif", texture(250, 256, seed=1))
    band = write_image("B.tif", texture(42, 43), GRID @ Affine.scale(6))
    model = model_of_files(reference, target, known_shift())
    require_same_footprint(read_grid(band), read_grid(target))
    grid = output_grid(model, read_grid(band)).grid
    assert grid.size == (42, 43) and grid.transform == GRID @ Affine.scale(6)


def test_a_coarser_reference_gets_averages(tmp_path: Path, write_image: Writer) -> None:
    """Every other pixel alone would show stripes of two target pixels as one of them."""
    stripes = np.tile(np.array([50, 150], np.uint8), (300, 150))
    reference = write_image("reference.tif", texture(150, 150), GRID @ Affine.scale(2))
    target = write_image("target.tif", stripes)
    known = registration("affine", lambda xy: xy * 2 + (3.4, 2.2), 150)
    model = file_model_of(read_grid(reference), read_grid(target), known)
    with rasterio.open(corrected(model, target, tmp_path / "out.tif")) as file:
        assert np.abs(file.read(1)[5:-5, 5:-5].astype(int) - 100).max() <= 8
