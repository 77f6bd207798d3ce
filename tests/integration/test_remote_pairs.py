"""Pairs of remote images: the right shift by few bytes, from a server, from buckets and from STAC Items."""

import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from conftest import GRID, ROOT, UTM, texture
from http_server import CUT, OK, Server, serve, serve_apart
from numpy.typing import NDArray

import s2match
from s2match.core.window import Window
from s2match.errors import OutputError, UnreadableImageError
from s2match.io import remote
from s2match.io.reader import keep_open, read_grid, read_raster, read_window, with_radiometry
from s2match.result import PairResult
from s2match.util.atomic_write import check_folder, check_writable

OPTIONS: Any = {"confidence": 0.2, "geometry": "translation", "image_size": None, "refine": False, "device": "cpu"}


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    monkeypatch.setattr(remote, "_DELAYS_S", (0.01, 0.01))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "www").mkdir()
    with serve(tmp_path / "www") as server:
        yield server


def write_cog(path: Path, image: NDArray[np.uint8], **options: Any) -> Path:
    height, width = image.shape
    options = {"COMPRESS": "DEFLATE", "BLOCKSIZE": 128, **options}
    profile = {"width": width, "height": height, "count": 1, "dtype": "uint8", "transform": GRID, "crs": UTM}
    with rasterio.open(path, "w", driver="COG", **profile, **options) as file:
        file.write(image, 1)
    return path


def write_pair(folder: Path) -> tuple[Path, Path]:
    """Two images on one grid; the second one shows the ground 4 px further left and 6 px further up."""
    ground = texture(270, 270, seed=1)
    return write_cog(folder / "a.tif", ground[:256, :256]), write_cog(folder / "b.tif", ground[6:262, 4:260])


def shift_of(result: PairResult) -> NDArray[np.float64]:
    assert result.matrix is not None
    return np.asarray(result.matrix[:2, 2])


def assert_right(result: PairResult) -> None:
    assert np.abs(shift_of(result) - (-4, -6)).max() < 0.3


def test_a_server_that_is_busy_and_cuts_connections(server: Server) -> None:
    write_pair(server.folder)
    server.faults |= {"a.tif": [503, 503], "b.tif": [OK, OK, CUT]}
    result = s2match.match(f"{server.url}/a.tif?sig=SECRET", f"{server.url}/b.tif?sig=SECRET", **OPTIONS)
    assert_right(result)
    assert not any(server.faults.values()) and CUT in [fault for *_, fault in server.requests]


def test_stac_items(server: Server, tmp_path: Path) -> None:
    reference, _ = write_pair(server.folder)
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "item",
        "geometry": None,
        "properties": {"datetime": "2018-08-20T08:36:01Z", "grid:code": "MGRS-36UXA"},
        "links": [],
    }
    here, there = ({**item, "assets": {"visual": {"href": href}}} for href in (str(reference), "../b.tif"))
    (tmp_path / "item.json").write_text(json.dumps(here))
    server.answers["/items/b"] = json.dumps(there).encode()
    result = s2match.match(str(tmp_path / "item.json"), f"{server.url}/items/b#visual", **OPTIONS)
    assert_right(result)
    assert result.reference.scene.title == result.target.scene.title == "T36UXA 2018-08-20"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A bucket of an S3 stand-in with a pair, by GDAL's own settings."""
    from moto.server import ThreadedMotoServer

    for name, value in (("AWS_ACCESS_KEY_ID", "a-key"), ("AWS_SECRET_ACCESS_KEY", "a-secret")):
        monkeypatch.setenv(name, value)
    stand_in = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    stand_in.start()
    try:
        host, port = stand_in.get_host_and_port()
        monkeypatch.setenv("AWS_S3_ENDPOINT", f"{host}:{port}")
        monkeypatch.setenv("AWS_HTTPS", "NO")
        monkeypatch.setenv("AWS_VIRTUAL_HOSTING", "FALSE")
        import boto3

        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="images")
        for path in write_pair(tmp_path):
            client.upload_file(str(path), "images", f"tiles/{path.name}")
        yield "s3://images/tiles"
    finally:
        stand_in.stop()


def test_s3(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_right(s2match.match(f"{bucket}/a.tif", f"/vsis3/{bucket.removeprefix('s3://')}/b.tif", **OPTIONS))
    with pytest.raises(UnreadableImageError, match=r"s3://images/tiles/c\.tif: the server has no such file"):
        read_grid(f"{bucket}/c.tif")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "YES")
    monkeypatch.setenv("CPL_AWS_CREDENTIALS_FILE", "/none")
    with pytest.raises(UnreadableImageError, match=r"s3://images/tiles/d\.tif: GDAL has no credentials for it: set"):
        read_grid(f"{bucket}/d.tif")


def test_google_and_azure(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that looks like theirs, by GDAL's own settings."""
    for folder in ("container", "account/container"):
        (server.folder / folder).mkdir(parents=True)
        write_pair(server.folder / folder)
    pixels = read_raster(server.folder / "container" / "a.tif").image
    monkeypatch.setenv("CPL_GS_ENDPOINT", f"{server.url}/")
    monkeypatch.setenv("GS_NO_SIGN_REQUEST", "YES")
    account = f"AccountName=account;AccountKey=c2VjcmV0LWtleQ==;BlobEndpoint={server.url}/account"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"DefaultEndpointsProtocol=http;{account}")
    for scheme in ("gs", "az"):
        server.requests.clear()
        assert (read_raster(f"{scheme}://container/a.tif").image == pixels).all()
        assert server.requests
    server.always["b.tif"] = 403
    with pytest.raises(UnreadableImageError) as raised:
        read_raster("az://container/b.tif")
    assert "az://container/b.tif: the server refuses access (HTTP status 403)" in str(raised.value)
    assert "c2VjcmV0" not in str(raised.value)


def test_no_output_has_credentials(server: Server, tmp_path: Path) -> None:
    """The command with URLs everywhere: images, a mask, and a band to correct."""
    write_pair(server.folder)
    write_cog(server.folder / "band.tif", texture(128, 128, seed=4))
    with rasterio.open(server.folder / "band.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        file.transform = GRID @ GRID.scale(2)
    write_cog(server.folder / "mask.tif", np.pad(np.zeros((226, 256), np.uint8), [(30, 0), (0, 0)], constant_values=1))
    user = server.url.replace("://", "://alice:password@")
    names = ("a.tif", "b.tif", "mask.tif", "band.tif")
    reference, target, mask, band = (f"{user}/{name}?sig=SECRET" for name in names)
    out = tmp_path / "out"
    words = ["--images", reference, target, "--mask", mask, "--coregister", str(out / "b.tif"), "--apply_to", band]
    words += ["--out", str(out), "--image_size", "native", "--confidence", "0.2", "--device", "cpu", "--debug"]
    command = [sys.executable, str(ROOT / "model_inference.py"), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with rasterio.open(out / "b.tif") as corrected:
        moved, truth = corrected.read(1), texture(270, 270, seed=1)[:256, :256]
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(moved[inner].astype(float) - truth[inner]).mean() < 2
    assert (out / "band_coregistered.tif").exists() and (out / "result.json").exists()
    written = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    for secret in ("SECRET", "password", "alice"):
        assert secret not in done.stdout + done.stderr
        assert not [content for content in written if secret.encode() in content]


def test_a_series_of_signed_urls_keeps_no_signature(server: Server, tmp_path: Path) -> None:
    """Nor does it match a pair again under a new one."""
    write_pair(server.folder)
    table, folder = tmp_path / "series.csv", tmp_path / "pairs"
    for signature in ("SECRET1", "SECRET2"):
        rows = [f"{server.url}/{name}.tif?X-Amz-Signature={signature}" for name in "ab"]
        table.write_text(f"path,date\n{rows[0]},2018-08-20\n{rows[1]},2018-08-25\n")
        server.requests.clear()
        result = s2match.series(table, folder=folder, **OPTIONS)
        first, second = result.dates
        assert (first.dx_m, first.dy_m, second.dx_m, second.dy_m) == pytest.approx((20, -30, -20, 30), abs=3)
    finished = [path.read_text() for path in folder.iterdir()]
    assert len(finished) == 2 and not [text for text in finished if "SECRET" in text]
    assert len((folder / "pairs.jsonl").read_text().splitlines()) == 1


def test_an_area_of_interest_behind_a_url(tmp_path: Path) -> None:
    import geopandas
    import shapely

    reference, target = write_pair(tmp_path)
    box = shapely.box(GRID.c + 400, GRID.f - 2400, GRID.c + 2400, GRID.f - 400)
    geopandas.GeoDataFrame(geometry=[box], crs=UTM).to_file(tmp_path / "area.gpkg")
    with serve_apart(tmp_path, {}) as url:
        result = s2match.match(reference, target, aoi=f"{url}/area.gpkg", **OPTIONS)
    assert_right(result)
    assert result.reference.size == (200, 200)


def test_results_stay_on_this_computer() -> None:
    for name in ("https://alice:password@host/a/result.png?sig=SECRET", "s3://bucket/r.json", "/vsis3/bucket/r.json"):
        for check in (check_writable, check_folder):
            with pytest.raises(OutputError) as raised:
                check(Path(name))
            assert "results are files of this computer, not behind URLs." in str(raised.value)
            assert "SECRET" not in str(raised.value) and "alice" not in str(raised.value)
    with pytest.raises(OutputError, match=r"Cannot write https://host/a/result\.png: "):
        check_writable("https:/host/a/result.png")


def test_windows_read_each_byte_once(server: Server) -> None:
    """Overlapping windows of native pixels, as large images are matched."""
    rng = np.random.default_rng(2)
    path = write_cog(server.folder / "a.tif", rng.integers(1, 255, (2200, 2200), np.uint8), BLOCKSIZE=512)
    grid = with_radiometry(read_grid(f"{server.url}/a.tif"))
    local = with_radiometry(read_grid(path))
    with keep_open(grid):
        for top in (0, 500, 1000):
            for left in (0, 500, 1000):
                window = Window(left, top, 1200, 1200)
                assert (read_window(grid, window).image == read_window(local, window).image).all()
    assert server.sent["a.tif"] < 1.3 * path.stat().st_size


@pytest.mark.slow
def test_a_pair_of_full_tiles_takes_a_twentieth_of_their_bytes(server: Server) -> None:
    """Noise in every pixel, without compression: overviews are as large as those of real images are at best."""
    side, shift_px = 10_980, 30
    small = texture(1098, 1098, seed=5, detail_px=4)
    noise = np.random.default_rng(0).integers(0, 16, (side, side), np.uint8)
    image = cv2.add(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), noise)
    reference = write_cog(server.folder / "a.tif", image, COMPRESS="NONE", BLOCKSIZE=512)
    # the same pixels on a map that is off to the east
    content = reference.read_bytes()
    east, moved = (struct.pack("<d", GRID.c + off) for off in (0, 10 * shift_px))
    assert content[:32768].count(east) == 1
    (server.folder / "b.tif").write_bytes(content[:32768].replace(east, moved) + content[32768:])
    options = OPTIONS | {"image_size": (1098, 1098), "confidence": 0.8}
    begin = time.perf_counter()
    result = s2match.match(f"{server.url}/a.tif", f"{server.url}/b.tif", **options)
    print(f"{time.perf_counter() - begin:.1f} s, {sum(server.sent.values())} bytes, {len(server.requests)} requests")
    assert np.abs(shift_of(result)).max() < 3
    assert sum(server.sent.values()) < 0.05 * 2 * len(content)
