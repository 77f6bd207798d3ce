"""Remote files are read in part, again after failures, and without a trace of credentials."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from conftest import GRID, ROOT, UTM, texture
from http_server import CUT, DROP, SILENT, Server, serve, serve_apart
from numpy.typing import NDArray

from s2match.core.image_path import file_key, image_path
from s2match.core.mask import Mask
from s2match.errors import MaskError, UnreadableImageError
from s2match.io import remote
from s2match.io.mask_raster import opened_mask
from s2match.io.masks import mask_on
from s2match.io.open_file import opened
from s2match.io.reader import read_grid, read_raster
from s2match.io.remote import SETTINGS, remote_settings

PIXELS = texture(600, 600, seed=3)
SECRETS = ("SECRET", "password", "alice")


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own settings: they win."""
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    monkeypatch.setattr(remote, "_DELAYS_S", (0.01, 0.01))


def write_cog(path: Path, bands: NDArray[Any], transform: Affine = GRID, **options: Any) -> Path:
    bands = bands[None] if bands.ndim == 2 else bands
    count, height, width = bands.shape
    profile = {"driver": "GTiff", "width": width, "height": height, "count": count, "dtype": bands.dtype}
    raw = path.with_suffix(".raw.tif")
    with rasterio.open(raw, "w", transform=transform, crs=UTM, **profile) as file:
        file.write(bands)
    rasterio.shutil.copy(raw, path, driver="COG", **{"BLOCKSIZE": 128, "COMPRESS": "DEFLATE"} | options)
    raw.unlink()
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path) as server:
        yield server


@pytest.fixture
def url(server: Server) -> str:
    """URL of a COG with credentials of both kinds."""
    write_cog(server.folder / "a.tif", PIXELS)
    return server.url.replace("://", "://alice:password@") + "/a.tif?sig=SECRET"


def reads(url: str) -> bool:
    return bool((read_raster(url).image[..., 0] == PIXELS).all())


def test_only_the_window_is_read(server: Server, url: str) -> None:
    with opened(image_path(url)) as file:
        assert (file.read(1, window=((300, 340), (300, 340))) == PIXELS[300:340, 300:340]).all()
    assert sum(server.sent.values()) < (server.folder / "a.tif").stat().st_size / 3
    assert {name for _, name, _, _ in server.requests} == {"a.tif"}


@pytest.mark.parametrize("faults", [[503, 503], [429, 500, 502], [DROP], [DROP, 503, DROP]], ids=str)
def test_failures_before_the_header_are_survived(server: Server, url: str, faults: list[int | str]) -> None:
    server.faults["a.tif"] = faults
    assert reads(url)
    assert not server.faults["a.tif"]


@pytest.mark.parametrize("faults", [[CUT], [CUT, CUT], [DROP], [503, CUT, 503]], ids=str)
def test_connections_cut_in_the_middle_of_pixels_are_survived(
    server: Server, url: str, faults: list[int | str]
) -> None:
    with opened(image_path(url)) as file:
        server.faults["a.tif"] = faults
        assert (file.read(1) == PIXELS).all()
        assert not server.faults["a.tif"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "refuses access (HTTP status 401): check GDAL's settings of your credentials"),
        (403, "refuses access (HTTP status 403): check GDAL's settings of your credentials"),
        (404, "the server has no such file (HTTP status 404)"),
        (503, "the server failed (HTTP status 503), after 4 retries if it was busy: try again later"),
        (DROP, "the server cannot be reached (Empty reply from server)"),
    ],
)
def test_failures_for_good_have_one_sentence(
    server: Server, url: str, status: int | str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.always["a.tif"] = status
    with caplog.at_level(logging.DEBUG, "s2match"), pytest.raises(UnreadableImageError) as raised:
        read_raster(url)
    assert f"Cannot read {server.url}/a.tif: " in str(raised.value) and said in str(raised.value)
    assert raised.value.__cause__ is None and raised.value.__suppress_context__
    assert not [secret for secret in SECRETS if secret in str(raised.value) + caplog.text]


def test_a_refusal_is_not_repeated(server: Server, url: str) -> None:
    server.always["a.tif"] = 403
    with pytest.raises(UnreadableImageError):
        read_raster(url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (CUT, "the connection is cut off or stalls, also after retries"),
        (503, "HTTP status 503"),
    ],
)
def test_a_server_that_stops_in_the_middle(server: Server, url: str, fault: int | str, said: str) -> None:
    with pytest.raises(UnreadableImageError) as raised, opened(image_path(url)) as file:
        server.always["a.tif"] = fault
        file.read(1)
    assert f"Cannot read {server.url}/a.tif: " in str(raised.value) and said in str(raised.value)
    assert not [secret for secret in SECRETS if secret in str(raised.value)]


def test_a_server_that_does_not_exist() -> None:
    with pytest.raises(UnreadableImageError, match=r"http://127\.0\.0\.1:9/a\.tif: the server cannot be reached"):
        read_raster("http://alice:password@127.0.0.1:9/a.tif?sig=SECRET")


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own settings: a silent server is left after a second."""
    monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "1")
    monkeypatch.setenv("GDAL_HTTP_CONNECTTIMEOUT", "1")


@pytest.mark.usefixtures("short_limits")
def test_a_silent_server_is_asked_once(server: Server, url: str) -> None:
    server.always["a.tif"] = SILENT
    with pytest.raises(UnreadableImageError, match=r"the server cannot be reached \(Operation too slow"):
        read_raster(url)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("short_limits")
def test_a_server_that_becomes_silent_is_left(server: Server, url: str) -> None:
    with pytest.raises(UnreadableImageError, match="Cannot read"), opened(image_path(url)) as file:
        server.requests.clear()
        server.always["a.tif"] = SILENT
        file.read(1)
    # GDAL asks for the pixels three times, and then whether the server answers at all is asked once
    assert [method for method, *_ in server.requests] == ["GET", "GET", "GET", "HEAD"]


@pytest.mark.usefixtures("short_limits")
def test_a_silent_server_of_vectors(tmp_path: Path) -> None:
    grid = read_grid(write_cog(tmp_path / "a.tif", PIXELS))
    with serve_apart(tmp_path, {"a.gpkg": [SILENT]}) as url, pytest.raises(MaskError, match=r"Cannot read .*a.gpkg"):
        mask_on(Mask(image_path(f"{url}/a.gpkg")), grid)


def test_a_page_is_not_an_image(server: Server) -> None:
    (server.folder / "a.tif").write_text("<html>Please log in</html>")
    with pytest.raises(UnreadableImageError) as raised:
        read_raster(f"{server.url}/a.tif?sig=SECRET")
    assert "not recognized as being in a supported file format" in str(raised.value)
    assert "SECRET" not in str(raised.value)


def test_secrets_of_settings_are_not_printed(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a.tif")
    (server.folder / "a.tif").write_text("no image")
    with pytest.raises(UnreadableImageError):
        read_raster(url)
    assert "SECRET" not in "".join(capfd.readouterr())


def test_settings_of_the_user_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    path = image_path("https://host/a.tif")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE"):
        settings = remote_settings(path)
    assert SETTINGS.keys() - settings.keys() == {
        "GDAL_HTTP_MAX_RETRY",
        "GDAL_DISABLE_READDIR_ON_OPEN",
        "GDAL_HTTP_RETRY_DELAY",
    }
    assert remote_settings(Path("a.tif")) == remote_settings(image_path("/vsizip/a.zip/a.tif")) == {}
    assert remote_settings(image_path("/vsizip//vsicurl/https://host/a.zip/a.tif"))


def test_keys_of_files_have_no_credentials_and_outlive_signatures() -> None:
    keys = [
        file_key(image_path(f"https://alice:password@host/a.tif?{query}"))
        for query in ("X-Amz-Signature=SECRET&X-Amz-Date=1", "X-Amz-Signature=SECRET2&X-Amz-Date=2", "id=1", "id=2")
    ]
    assert keys[0] == keys[1] == "https://host/a.tif" and len(set(keys)) == 3
    assert not [key for key in keys if any(secret in key for secret in SECRETS)]


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp"])
def test_vector_masks(tmp_path: Path, suffix: str) -> None:
    import geopandas
    import shapely

    left, top = GRID.c, GRID.f
    box = geopandas.GeoDataFrame(geometry=[shapely.box(left + 100, top - 300, left + 200, top - 200)], crs=UTM)
    box.to_file(tmp_path / f"mask.{suffix}")
    grid = read_grid(write_cog(tmp_path / "a.tif", PIXELS))
    # GDAL finds the files of a Shapefile by the end of its name
    query = "" if suffix == "shp" else "?sig=SECRET"
    with serve_apart(tmp_path, {f"mask.{suffix}": [503, DROP], "other.gpkg": [403]}) as url:
        mask = mask_on(Mask(image_path(f"{url}/mask.{suffix}{query}")), grid)
        assert mask is not None and mask.polygons is not None
        (geometry,) = mask.polygons.geometries_in((left, top - 600, left + 600, top))
        assert geometry.area == pytest.approx(10_000, rel=1e-6)
        with pytest.raises(MaskError) as raised:
            mask_on(Mask(image_path(f"{url}/other.gpkg?sig=SECRET")), grid)
    assert "SECRET" not in str(raised.value) and f"{url}/other.gpkg" in str(raised.value)


def test_raster_masks(server: Server, url: str) -> None:
    server.faults["a.tif"] = [DROP]
    with opened_mask(image_path(url)) as file:
        assert (file.read(1) == PIXELS).all()
    server.always["b.tif"] = 404
    with pytest.raises(MaskError, match=r"Cannot read the mask .*b.tif: the server has no such file"):
        mask_on(Mask(image_path(f"{server.url}/b.tif")), read_grid(url))


def test_the_log_of_the_command_has_no_credentials(server: Server, url: str) -> None:
    server.always["a.tif"] = 404
    command = [sys.executable, "model_inference.py", "--images", url, url.replace("a.tif", "b.tif"), "--debug"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == UnreadableImageError.exit_code
    assert done.stderr.endswith(
        f"error: Cannot read {server.url}/a.tif: the server has no such file (HTTP status 404).\n"
    )
    assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]


def test_file_urls_are_local_files(tmp_path: Path) -> None:
    path = write_cog(tmp_path / "ä b.tif", PIXELS)
    assert (read_raster(path.as_uri()).image[..., 0] == PIXELS).all()
    assert image_path(path.as_uri()) == path


@pytest.mark.parametrize(
    ("method", "from_overview", "compress"),
    [
        ("AVERAGE", True, "JPEG"),
        ("BILINEAR", True, "DEFLATE"),
        ("CUBIC", True, "DEFLATE"),
        ("CUBIC", True, "JPEG"),
        ("LANCZOS", True, "DEFLATE"),
        ("NEAREST", False, "DEFLATE"),
        ("NEAREST", False, "JPEG"),
        ("GAUSS", False, "DEFLATE"),
    ],
)
def test_overviews_of_any_maker_keep_positions(
    tmp_path: Path, server: Server, method: str, from_overview: bool, compress: str
) -> None:
    """COGs have no tag of their resampling: positions of samples are measured."""
    from test_reader import shift_px

    full = texture(1098, 1112, detail_px=12)
    path = write_cog(tmp_path / "a.tif", full, OVERVIEW_RESAMPLING=method, COMPRESS=compress)
    read = read_raster(path, (247, 250))
    truth = read_raster(write_cog(tmp_path / "b.tif", full, OVERVIEWS="NONE", COMPRESS=compress), (247, 250))
    for corner in (slice(0, 100), slice(140, 240)):
        assert np.abs(shift_px(read.image[corner, corner, 0], truth.image[corner, corner, 0])).max() < 0.03
    far = read_raster(f"{server.url}/a.tif", (247, 250))
    limit_px = 0.2 if method == "NEAREST" else 0.03
    for corner in (slice(0, 100), slice(140, 240)):
        assert np.abs(shift_px(far.image[corner, corner, 0], truth.image[corner, corner, 0])).max() < limit_px
    share = server.sent["a.tif"] / path.stat().st_size
    assert (share < 0.6) == (from_overview or method == "NEAREST")
