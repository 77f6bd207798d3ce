"""Files that describe a model for other programs: its displacement, and ground control points."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, UTM, Writer, texture
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject
from test_apply import matched_model, other_zone, result_of
from test_pixel_map import MOVES, SIZE, registration

from s2match import write_displacement, write_gcps
from s2match.core.georeference import to_pixels
from s2match.core.point_maps import grid_points
from s2match.core.projection import apply_transform
from s2match.core.projection import reproject as reproject_points
from s2match.correction.model_files import ModelFiles
from s2match.correction.request import CorrectionRequest, correct_target
from s2match.errors import CorrectionError, OutputError
from s2match.io.reader import read_grid
from s2match.registration.file_model import FileModel
from s2match.resampling.kernels import SamplePoints, sample
from s2match.result import PairResult

DEGREES = CRS.from_epsg(4326)


def images(write_image: Writer, case: str) -> PairResult:
    """A pair of images and a known model of them."""
    image = np.stack([texture(SIZE, SIZE, seed=seed) for seed in range(2)])
    reference = write_image("A_20180820T083601_TCI.tif", image)
    if case == "another zone":
        return result_of(reference, *other_zone(reference, write_image))
    return result_of(reference, write_image("B_20190606T083601_TCI.tif", image), matched_model(case))


def model_of(result: PairResult) -> FileModel:
    assert result.file_model is not None
    return result.file_model


def written(result: PairResult, **files: Path) -> FileModel:
    model = model_of(result)
    outputs = ModelFiles(**files)
    outputs.check(model.reference, model.target)
    assert outputs.write(model, model.target) == outputs.paths == tuple(files.values())
    return model


def read_points(path: Path) -> tuple[NDArray[np.float32], Affine, CRS]:
    with rasterio.open(path) as file:
        assert file.count == 2 and file.dtypes == ("float32", "float32") and np.isnan(file.nodata)
        assert file.descriptions == ("east", "north") and file.units == ("m", "m")
        assert file.tags()["sign"].startswith("reference minus target")
        return file.read(), file.transform, file.crs


@pytest.mark.parametrize("case", [*MOVES, "another zone"])
def test_the_displacement_brings_the_target_onto_the_reference(case: str, write_image: Writer, tmp_path: Path) -> None:
    """Position by the target's georeference + value = position in the reference, at every pixel of the grid."""
    result = images(write_image, case)
    model = written(result, displacement=tmp_path / "dxdy.tif")
    values, transform, crs = read_points(tmp_path / "dxdy.tif")
    assert crs == UTM and values.shape == (2, SIZE, SIZE) and transform == GRID
    on_reference = apply_transform(transform, grid_points(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5))
    on_target = on_reference - values.reshape(2, -1).T
    seen = to_pixels(model.target, reproject_points(on_target, UTM, model.target.crs))
    expected = model.apply(apply_transform(~GRID, on_reference))
    # float32
    assert np.abs(seen - expected).max() < 1e-4
    if case == "translation":
        # the target shows the ground 43.7 m further east and 28.1 m further north
        assert np.abs(values - np.array([-43.7, -28.1])[:, None, None]).max() < 1e-3

    # pixels of the target, looked up where the file says, are the corrected image
    out = tmp_path / "out.tif"
    correct_target(result, CorrectionRequest(out, resampling="bilinear"))
    with rasterio.open(model.target.scene.path) as file:  # type: ignore[arg-type]
        bands = file.read()
    x, y = (position.reshape(SIZE, SIZE) for position in seen.T)
    looked_up, inside = sample(bands, np.ones(bands.shape, np.bool_), SamplePoints(x, y), "bilinear")
    with rasterio.open(out) as file:
        valid = inside[0] & (file.read_masks(1) > 0)
        assert valid.mean() > 0.9 and np.abs(file.read(1) - looked_up[0])[valid].max() <= 1


def test_a_large_reference_has_a_coarse_grid(write_image: Writer, tmp_path: Path) -> None:
    """Of whole pixels of the file, beyond its extent if they do not fit."""
    image = texture(1100, 550)
    pair = write_image("a.tif", image), write_image("b.tif", image)
    written(result_of(*pair, registration("translation", lambda xy: xy + 2, 200)), displacement=tmp_path / "d.tif")
    values, transform, _ = read_points(tmp_path / "d.tif")
    assert values.shape == (2, 184, 367) and transform == GRID @ Affine.scale(3)
    assert np.abs(values - np.array([-110, 110])[:, None, None]).max() < 1e-3


def test_a_displacement_of_degrees_is_in_metres(write_image: Writer, tmp_path: Path) -> None:
    """A hundredth of a thousandth of a degree is 1.1 m to the north, and less to the east."""
    place = Affine(1e-4, 0, 33.0, 0, -1e-4, 50.5)
    image = texture(256, 256)
    pair = write_image("a.tif", image, place, DEGREES), write_image("b.tif", image, place, DEGREES)
    model = registration("translation", lambda xy: xy + (2 * 200 / 256, 0), 200)
    write_displacement(result_of(*pair, model), tmp_path / "d.tif")
    values, _, crs = read_points(tmp_path / "d.tif")
    assert crs == DEGREES
    assert values[0].mean() == pytest.approx(-2e-4 * 111_320 * np.cos(np.radians(50.49)), rel=5e-3)
    assert abs(values[1]).max() < 0.05


def warped_by(points: list[GroundControlPoint], source: Path, method: str) -> NDArray[np.uint8]:
    with rasterio.open(source) as file:
        image = file.read()
    out = np.zeros((len(image), SIZE, SIZE), np.uint8)
    reproject(
        image,
        out,
        src_crs=UTM,
        gcps=points,
        dst_transform=GRID,
        dst_crs=UTM,
        resampling=Resampling.cubic,
        tolerance=0.01,
        SRC_METHOD=method,
    )
    return out


def difference(result: PairResult, folder: Path, warped: NDArray[np.uint8]) -> float:
    """95 % quantile of the differences of grey levels from the corrected image, away from its edges."""
    correct_target(result, CorrectionRequest(folder / "out.tif"))
    inner = (slice(None), slice(24, -24), slice(24, -24))
    with rasterio.open(folder / "out.tif") as file:
        return float(np.quantile(np.abs(file.read().astype(float) - warped)[inner], 0.95))


@pytest.mark.parametrize("case", [*MOVES, "another zone"])
def test_control_points_warp_as_the_correction_does(case: str, write_image: Writer, tmp_path: Path) -> None:
    result = images(write_image, case)
    path = tmp_path / "gcps.tif"
    model = written(result, gcps=path)
    with rasterio.open(path) as file, rasterio.open(model.target.scene.path) as target:  # type: ignore[arg-type]
        points, crs = file.gcps
        assert crs == UTM and (file.read() == target.read()).all() and file.nodata == target.nodata
    assert len(points) == (9 if case in ("translation", "affine") else 625)
    told = np.array([[point.col, point.row, point.x, point.y] for point in points])
    assert np.abs(model.apply(apply_transform(~GRID, told[:, 2:])) - told[:, :2]).max() < 1e-6
    method = "GCP_POLYNOMIAL" if len(points) == 9 else "GCP_TPS"
    assert difference(result, tmp_path, warped_by(points, path, method)) <= 1
    # the georeference alone is pixels off
    with rasterio.open(model.target.scene.path) as file:  # type: ignore[arg-type]
        plain = np.zeros((file.count, SIZE, SIZE), np.uint8)
        reproject(file.read(), plain, src_transform=file.transform, src_crs=file.crs, dst_transform=GRID, dst_crs=UTM)
    assert difference(result, tmp_path, plain) > 10


@pytest.mark.parametrize("case", ["affine", "field"])
def test_commands_of_gdal(case: str, write_image: Writer, tmp_path: Path) -> None:
    """Their numbers warp the target onto the reference's pixels."""
    result = images(write_image, case)
    path = tmp_path / "warp.sh"
    model = written(result, gcps=path)
    translate, warp = path.read_text().replace("\\\n", "").splitlines()
    words, options = shlex.split(translate), shlex.split(warp)
    assert words[0] == "gdal_translate" and options[0] == "gdalwarp" and words[-2] == str(model.target.scene.path)
    assert words[-1] == options[-2] == "B_20190606T083601_TCI_gcps.vrt"
    assert words[words.index("-a_srs") + 1] == options[options.index("-t_srs") + 1] == "EPSG:32636"
    te = options.index("-te")
    assert [float(word) for word in options[te + 1 : te + 5]] == [600000, 5600040 - 3600, 603600, 5600040]
    assert options[te + 5 : te + 8] == ["-ts", str(SIZE), str(SIZE)]
    rows = [[float(number) for number in words[k + 1 : k + 5]] for k, word in enumerate(words) if word == "-gcp"]
    points = [GroundControlPoint(row=y, col=x, x=east, y=north) for x, y, east, north in rows]
    method = "GCP_TPS" if "-tps" in options else "GCP_POLYNOMIAL"
    assert (method == "GCP_TPS") == (case == "field") and ("-order" in options) == (case == "affine")
    assert difference(result, tmp_path, warped_by(points, model.target.scene.path, method)) <= 1  # type: ignore[arg-type]


def test_points_for_qgis(write_image: Writer, tmp_path: Path) -> None:
    result = images(write_image, "affine")
    model = written(result, gcps=tmp_path / "b.points")
    crs, header, *rows = (tmp_path / "b.points").read_text().splitlines()
    assert crs.startswith("#CRS: PROJCS") and header.startswith("mapX,mapY,sourceX,sourceY,enable,dX,dY,residual")
    told = np.array([[float(cell) for cell in row.split(",")[:8]] for row in rows])
    assert len(told) == 9 and (told[:, 4] == 1).all() and (told[:, 5:] == 0).all()
    on_target = apply_transform(GRID, model.apply(apply_transform(~GRID, told[:, :2])))
    assert np.abs(on_target - told[:, 2:4]).max() < 1e-5


def test_a_band_of_other_pixels_has_its_own_points(write_image: Writer, tmp_path: Path) -> None:
    """Masks are kept."""
    result = images(write_image, "translation")
    model = model_of(result)
    band = write_image("band.tif", texture(SIZE // 2, SIZE // 2), GRID @ Affine.scale(2))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(band, "r+") as file:
        file.write_mask(np.tile(np.arange(SIZE // 2) > 20, (SIZE // 2, 1)))
    write_gcps(result, tmp_path / "gcps.tif", band)
    with rasterio.open(tmp_path / "gcps.tif") as file:
        assert (file.read_masks(1)[0] > 0).sum() == SIZE // 2 - 21
        told = np.array([[point.col * 2, point.row * 2, point.x, point.y] for point in file.gcps[0]])
    assert np.abs(model.apply(apply_transform(~GRID, told[:, 2:])) - told[:, :2]).max() < 1e-6


def test_files_that_cannot_be_written(write_image: Writer, tmp_path: Path) -> None:
    placed = read_grid(write_image("a.tif", texture(64, 64)))
    bare = read_grid(write_image("b.tif", texture(64, 64), None))
    nameless = read_grid(write_image("c.tif", texture(64, 64), GRID, None))
    cases: list[tuple[dict[str, str], Any, Any, str]] = [
        ({"displacement": "d.png"}, (placed, placed), OutputError, "must be one of .tif"),
        ({"displacement": "d.tif"}, (placed, bare), CorrectionError, "needs two georeferenced images"),
        ({"displacement": "d.tif"}, (placed, nameless), CorrectionError, "needs two georeferenced images"),
        ({"gcps": "d.csv"}, (placed, placed), OutputError, "one of .tif, .tiff, .points, .sh, .txt"),
        ({"gcps": "d.points"}, (bare, placed), CorrectionError, "it has no georeference"),
    ]
    for names, grids, error, words in cases:
        files = ModelFiles(**{name: tmp_path / text for name, text in names.items()})
        with pytest.raises(error, match=re.escape(words)):
            files.check(*grids)
    ModelFiles(gcps=tmp_path / "d.points").check(placed, bare)


def test_a_map_without_reference_system_has_its_own_units(write_image: Writer, tmp_path: Path) -> None:
    image = texture(256, 256)
    pair = write_image("a.tif", image, GRID, None), write_image("b.tif", image, GRID, None)
    model = registration("translation", lambda xy: xy + (200 / 256, 0), 200)
    write_displacement(result_of(*pair, model), tmp_path / "d.tif")
    with rasterio.open(tmp_path / "d.tif") as file:
        assert file.descriptions == ("x", "y") and file.units == ("map units",) * 2 and file.crs is None
        assert np.abs(file.read() - np.array([-10, 0])[:, None, None]).max() < 1e-3
    write_gcps(result_of(*pair, model), tmp_path / "d.sh")
    assert "srs" not in (tmp_path / "d.sh").read_text()


def test_points_of_a_target_without_georeference(write_image: Writer, tmp_path: Path) -> None:
    """QGIS shows such an image with y upwards."""
    image = texture(SIZE, SIZE)
    pair = write_image("a.tif", image), write_image("b.tif", image, None)
    model = written(result_of(*pair, matched_model("affine")), gcps=tmp_path / "b.points")
    rows = (tmp_path / "b.points").read_text().splitlines()[2:]
    told = np.array([[float(cell) for cell in row.split(",")[:4]] for row in rows])
    seen = model.apply(apply_transform(~GRID, told[:, :2]))
    assert np.abs(seen * (1, -1) - told[:, 2:]).max() < 1e-5
