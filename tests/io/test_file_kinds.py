"""File types and damaged files: each is read, or refused with one sentence."""

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import GRID, UTM, Writer, texture

import model_inference
from s2match.core.mask import Mask
from s2match.core.window import Window
from s2match.errors import ImageSizeError, S2MatchError, UnreadableImageError
from s2match.io.masks import read_mask
from s2match.io.reader import nodata_share, read_grid, read_raster, read_window, with_radiometry

pytestmark = pytest.mark.usefixtures("coarse_figures")


@pytest.mark.parametrize("dtype", ["complex_int16", "complex64", "complex128"])
def test_complex_numbers_are_refused(
    write_image: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str], dtype: str
) -> None:
    image = write_image("a.tif", texture(100, 100))
    radar = tmp_path / "radar.tif"
    profile = {"width": 100, "height": 100, "count": 1, "transform": GRID, "crs": UTM}
    with rasterio.open(radar, "w", driver="GTiff", dtype=dtype, **profile) as file:
        file.write(np.ones((1, 100, 100), np.complex64))
    with pytest.raises(UnreadableImageError, match=r"radar\.tif contains complex numbers"):
        read_grid(radar)
    code = model_inference.main(["--images", str(image), str(radar), "--output", str(tmp_path / "r.png")])
    err = capsys.readouterr().err
    assert code == UnreadableImageError.exit_code and err.startswith("error: ") and err.count("\n") == 1


def test_a_palette_of_16_bits_becomes_colour(write_image: Writer) -> None:
    indexes = np.tile(np.array([0, 300, 1020, 65535], np.uint16), (80, 20))
    path = write_image("a.tif", indexes, photometric="palette")
    colours = {0: (10, 20, 30, 255), 300: (200, 0, 7, 255), 1020: (9, 9, 9, 255), 65535: (1, 2, 250, 255)}
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, colours)
    raster = read_raster(path)
    assert raster.valid.all()
    assert raster.image[5, :4].tolist() == [[10, 20, 30], [200, 1, 7], [9, 9, 9], [1, 2, 250]]


def virtual(path: Path, bands: list[tuple[str, Path, str]]) -> Path:
    """Write a VRT of 100 × 100 px, with (type, file, colour interpretation) of each band."""
    each = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{number}"><ColorInterp>{colour}</ColorInterp><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{source.name}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>'
        "</VRTRasterBand>"
        for number, (kind, source, colour) in enumerate(bands, 1)
    )
    path.write_text(f'<VRTDataset rasterXSize="100" rasterYSize="100">{each}</VRTDataset>')
    return path


def test_a_palette_without_colours_is_grey(write_image: Writer, tmp_path: Path) -> None:
    image = texture(100, 100)
    path = virtual(tmp_path / "a.vrt", [("Byte", write_image("a.tif", image), "Palette")])
    np.testing.assert_array_equal(read_raster(path).image, np.repeat(image[..., None], 3, axis=2))


def test_bands_of_several_types(write_image: Writer, tmp_path: Path) -> None:
    image = texture(100, 100)
    whole, real = write_image("a.tif", image), write_image("b.tif", image.astype(np.float32) + 0.25)
    bands = [("Byte", whole, "Gray"), ("Float32", real, "Undefined"), ("Byte", whole, "Undefined")]
    raster = read_raster(virtual(tmp_path / "a.vrt", bands))
    assert raster.valid.all() and np.corrcoef(raster.image[..., 1].ravel(), image.ravel())[0, 1] > 0.99


def test_one_bit_is_black_and_white(write_image: Writer) -> None:
    """Neither of the two is nodata."""
    image = (texture(100, 100) > 120).astype(np.uint8)
    raster = read_raster(write_image("a.tif", image, nbits=1))
    assert raster.valid.all()
    np.testing.assert_array_equal(raster.image[..., 1] > 128, image > 0)
    assert set(np.unique(raster.image)) == {1, 255}


@pytest.mark.parametrize(
    ("dtype", "start"),
    [
        ("int64", 0), ("uint64", 0), ("uint32", 0), ("int64", 2**60), ("uint64", 2**63 + 2**62), ("int64", -(2**60)),
        ("uint32", 4_000_000_000), ("float64", 1e12),
    ],
)  # fmt: skip
def test_wide_numbers_are_stretched_however_large(write_image: Writer, dtype: str, start: float) -> None:
    steps = 1 if abs(start) < 2**50 else 100
    image = texture(100, 100).astype(dtype) * np.array(steps, dtype) + np.array(start, dtype)
    path = write_image("a.tif", image)
    raster = read_raster(path)
    assert raster.valid.all() and raster.image.std() > 40
    assert np.corrcoef(raster.image[..., 0].ravel(), texture(100, 100).ravel())[0, 1] > 0.99
    patch = read_window(with_radiometry(read_grid(path)), Window(20, 20, 50, 50))
    np.testing.assert_array_equal(patch.image, raster.image[20:70, 20:70])


def test_a_container_names_its_images(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    profile = {"driver": "GPKG", "width": 100, "height": 100, "count": 1, "dtype": "uint8", "crs": UTM}
    for number, table in enumerate(("spring", "autumn")):
        more = {"RASTER_TABLE": table, "APPEND_SUBDATASET": "YES" if number else "NO"}
        with rasterio.open(path, "w", transform=GRID, **profile, **more) as file:
            file.write(texture(100, 100)[None])
    with pytest.raises(UnreadableImageError) as error:
        read_grid(path)
    words = str(error.value)
    assert "2 images" in words and "spring" in words and "autumn" in words and "\n" not in words


def test_sizes_beyond_the_limit_are_refused(write_image: Writer, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 100_000, "height": 100_000, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", sparse_ok=True, tiled=True, bigtiff="YES", transform=GRID, crs=UTM, **profile):
        pass
    with pytest.raises(ImageSizeError, match=r"a\.tif is too large .* 100000 x 100000 px: choose a smaller size"):
        read_raster(path)


def test_too_little_memory_is_an_error_of_the_image_size(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise MemoryError

    path = write_image("a.tif", texture(100, 100))
    monkeypatch.setattr("s2match.io.level_reader._resample_valid", full)
    with pytest.raises(ImageSizeError, match=r"a\.tif is too large"):
        read_raster(path)


# Damage


def damaged(path: Path, seed: int) -> None:
    """Change two bytes of a file, mostly of its header."""
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(seed)
    for at in random.integers(4, min(len(data), 500), 2):
        data[at] = random.integers(256)
    path.write_bytes(data)


@pytest.mark.filterwarnings("ignore")
def test_damaged_headers_get_one_sentence(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: None)
    image = np.stack([texture(80, 80, seed=k) for k in range(3)])
    path = write_image("a.tif", image, photometric="RGB", nodata=7, compress="deflate")
    grid = read_grid(write_image("b.tif", image))
    whole, refused = path.read_bytes(), 0

    def image_of(path: Path) -> None:
        nodata_share(read_grid(path).resized((64, 64)))

    def mask_of(path: Path) -> None:
        read_mask(Mask(path), grid, Window(0, 0, 80, 80))

    for seed in range(250):
        path.write_bytes(whole)
        damaged(path, seed)
        for read in (image_of, mask_of):
            try:
                read(path)
            except S2MatchError as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused > 250
