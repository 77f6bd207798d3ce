"""Images of every kind of source are copied once and completely, and no partial file remains."""

import functools
import http.server
import json
import shutil
import sys
import threading
import urllib.parse
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio

from s2match.dataset.kaggle import KAGGLE_HANDLE, KAGGLE_PAGE, Kaggle, KagglePage, list_kaggle_images
from s2match.dataset.listing import image_table, list_images
from s2match.dataset.offers import Offer, Offers
from s2match.dataset.placing import place_offers
from s2match.dataset.prepare import found_offers, prepare
from s2match.errors import OutputError, PreparationError
from s2match.io.jp2_integrity import image_damage, is_complete
from s2match.io.scene_files import list_scenes
from s2match.outputs.contact_sheet import contact_sheet, read_thumbnails
from s2match.outputs.figures.saving import as_jpeg

NAMES = (
    "T36UXA_20180731T083601_TCI.jp2",
    "T36UYA_20160212T084052_TCI.jp2",
    "T36UYA_20190606T083601_TCI.jp2",
)


@functools.cache
def jp2(seed: int = 0, size: tuple[int, int] = (160, 128), block: int = 64) -> bytes:
    """A small tiled JPEG 2000 file, as those of Sentinel-2 are."""
    width, height = size
    pixels = np.random.default_rng(seed).integers(1, 255, (3, height, width), dtype=np.uint8)
    with rasterio.MemoryFile(ext=".jp2") as memory:
        with memory.open(
            driver="JP2OpenJPEG", width=width, height=height, count=3, dtype="uint8",
            QUALITY="30", BLOCKXSIZE=block, BLOCKYSIZE=block,
        ) as file:  # fmt: skip
            file.write(pixels)
        return bytes(memory.read())


def safe_path(name: str) -> str:
    """Path of an image inside a SAFE product."""
    return f"S2A_MSIL1C_{name[7:22]}_{name[:6]}.SAFE/GRANULE/L1C_{name[:6]}/IMG_DATA/{name}"


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def products() -> dict[str, bytes]:
    """Three SAFE products, with some of their other files."""
    files = {safe_path(name): jp2(seed) for seed, name in enumerate(NAMES)}
    for name in NAMES:
        files[safe_path(name).replace("_TCI", "_B04")] = b"a band"
        files[safe_path(name).rsplit("/", 2)[0] + "/MTD_TL.xml"] = b"<metadata/>"
    return files


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


def test_folder_of_nested_products(tmp_path: Path, dataset: Path) -> None:
    source = write(tmp_path / "source", products())
    result = prepare(source, dataset, progress=False)
    assert (result.copied, result.skipped, result.rejected) == (NAMES, (), ())
    assert files_in(dataset) == list(NAMES)
    assert [(dataset / name).read_bytes() for name in NAMES] == [jp2(seed) for seed in range(3)]


def test_zip_of_nested_products(tmp_path: Path, dataset: Path) -> None:
    junk = {"__MACOSX/._" + NAMES[0]: b"resource fork"}
    source = write_zip(tmp_path / "products.zip", {**products(), **junk})
    result = prepare(str(source), dataset, progress=False)
    assert result.copied == NAMES
    assert files_in(dataset) == list(NAMES)
    assert (dataset / NAMES[1]).read_bytes() == jp2(1)


def test_level_2a_only_at_10_m(tmp_path: Path, dataset: Path) -> None:
    names = {metres: f"T36UXA_20180731T083601_TCI_{metres}m.jp2" for metres in (10, 20, 60)}
    files = {f"S2A_MSIL2A.SAFE/GRANULE/L2A/IMG_DATA/R{metres}m/{name}": jp2() for metres, name in names.items()}
    prepare(write(tmp_path / "source", files), dataset, progress=False)
    assert files_in(dataset) == [names[10]]


def test_what_is_there_is_skipped_untouched(tmp_path: Path, dataset: Path) -> None:
    source = write(tmp_path / "source", products())
    prepare(source, dataset, progress=False)
    before = [(dataset / name).stat().st_mtime_ns for name in NAMES]
    result = prepare(source, dataset, progress=False)
    assert (result.copied, result.skipped) == ((), NAMES)
    assert [(dataset / name).stat().st_mtime_ns for name in NAMES] == before


def test_a_partial_temporary_file_does_not_count(tmp_path: Path, dataset: Path) -> None:
    source = write(tmp_path / "source", products())
    leftover = f".{NAMES[0].removesuffix('.jp2')}-k2j3h4.jp2"
    write(dataset, {leftover: jp2()[:500]})
    assert prepare(source, dataset, progress=False).copied == NAMES
    assert [scene.path.name for scene in list_scenes(dataset)] == list(NAMES)


@pytest.mark.parametrize("length", [0, 7, 100, len(jp2()) // 2, len(jp2()) - 1])
def test_a_truncated_file_in_the_dataset_is_replaced(tmp_path: Path, dataset: Path, length: int) -> None:
    source = write(tmp_path / "source", products())
    write(dataset, {NAMES[0]: jp2()[:length]})
    result = prepare(source, dataset, progress=False)
    assert result.copied == NAMES
    assert (dataset / NAMES[0]).read_bytes() == jp2()


def test_interrupted_copy_leaves_nothing_and_goes_on_later(tmp_path: Path, dataset: Path) -> None:
    def interrupted() -> Iterator[bytes]:
        yield jp2(1)[:100]
        raise KeyboardInterrupt

    source = write(tmp_path / "source", products())
    with found_offers(source, dataset) as offers:
        first, second, third = offers.images
        broken = Offer(second.name, second.origin, second.size, interrupted)
        with pytest.raises(KeyboardInterrupt):
            place_offers(Offers((first, broken, third)), dataset, progress=False)
    assert files_in(dataset) == [NAMES[0]]
    result = prepare(source, dataset, progress=False)
    assert (result.copied, result.skipped) == (NAMES[1:], NAMES[:1])


@pytest.mark.parametrize("block", [64, 160])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncation_is_damage(tmp_path: Path, share: float, block: int) -> None:
    data = jp2(block=block)
    path = tmp_path / "image.jp2"
    path.write_bytes(data)
    assert image_damage(path) is None
    path.write_bytes(data[: int(len(data) * share)])
    assert image_damage(path) is not None


def test_zeros_at_the_end_or_inside_are_damage(tmp_path: Path) -> None:
    path, half = tmp_path / "image.jp2", len(jp2()) // 2
    path.write_bytes(jp2()[:half] + bytes(len(jp2()) - half))
    assert image_damage(path) == "it is cut short or is no JPEG 2000 file."
    # the end is in place but the tiles before it are not: only decoding tells
    path.write_bytes(jp2()[:half] + bytes(len(jp2()) - half - 2) + jp2()[-2:])
    assert image_damage(path) == "it cannot be decoded."


def test_the_decoder_alone_misses_truncation(tmp_path: Path) -> None:
    """The reason for walking the boxes; this fails once GDAL reports truncation."""
    path = tmp_path / "image.jp2"
    data = jp2(size=(512, 512))
    path.write_bytes(data[: len(data) // 2])
    with rasterio.Env(GDAL_NUM_THREADS="2"), rasterio.open(path) as file:
        file.read(1, out_shape=(64, 64))
    assert not is_complete(path)


def test_box_lengths_of_every_form(tmp_path: Path) -> None:
    data = jp2()
    start = data.index(b"jp2c") - 4
    body = data[start + 8 :]
    forms = {
        "to the end": (0).to_bytes(4, "big") + b"jp2c" + body,
        "64 bit": (1).to_bytes(4, "big") + b"jp2c" + (16 + len(body)).to_bytes(8, "big") + body,
    }
    for form, box in forms.items():
        path = tmp_path / "image.jp2"
        path.write_bytes(data[:start] + box)
        assert is_complete(path), form
        path.write_bytes(data[:start] + box[:-1])
        assert not is_complete(path), form


def test_damaged_images_are_reported_and_not_placed(tmp_path: Path, dataset: Path) -> None:
    files = products()
    files[safe_path(NAMES[0])] = jp2()[:-40]
    files[safe_path(NAMES[2])] = b"<html>404</html>"
    result = prepare(write(tmp_path / "source", files), dataset, progress=False)
    assert result.copied == (NAMES[1],)
    assert [Path(each.origin).name for each in result.rejected] == [NAMES[0], NAMES[2]]
    assert "cut short" in result.rejected[0].reason
    assert files_in(dataset) == [NAMES[1]]
    assert "1 images, 1 copied now" in result.summary
    assert f"Not copied: {result.rejected[0].origin}" in result.summary


def test_only_damaged_images_is_an_error(tmp_path: Path, dataset: Path) -> None:
    source = write(tmp_path / "source", {NAMES[0]: jp2()[:-40]})
    with pytest.raises(PreparationError, match="None of the 1 images can be used"):
        prepare(source, dataset, progress=False)
    assert files_in(dataset) == []


def test_zip_with_a_bad_crc(tmp_path: Path, dataset: Path) -> None:
    path = tmp_path / "products.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for seed, name in enumerate(NAMES):
            archive.writestr(name, jp2(seed))
    raw = bytearray(path.read_bytes())
    # one bit in the middle of the first image, which the decoder does not have to notice
    raw[raw.index(jp2()) + len(jp2()) // 2] ^= 1
    path.write_bytes(raw)
    result = prepare(path, dataset, progress=False)
    assert result.copied == NAMES[1:]
    assert result.rejected[0].origin == f"{path}:{NAMES[0]}"
    assert "CRC" in result.rejected[0].reason
    assert files_in(dataset) == list(NAMES[1:])


def test_truncated_zip_and_other_files(tmp_path: Path, dataset: Path) -> None:
    path = write_zip(tmp_path / "products.zip", products())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PreparationError, match="neither a folder nor a complete zip"):
        prepare(path, dataset, progress=False)
    with pytest.raises(PreparationError, match="does not exist"):
        prepare(tmp_path / "nowhere", dataset, progress=False)
    with pytest.raises(PreparationError, match="There is no"):
        prepare(write(tmp_path / "empty", {"readme.txt": b""}), dataset, progress=False)
    assert not dataset.exists()


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_same_name_same_content_is_one_copy(tmp_path: Path, dataset: Path, kind: str) -> None:
    files = {f"one/{NAMES[0]}": jp2(), f"two/{NAMES[0]}": jp2()}
    source = write(tmp_path / "source", files) if kind == "folder" else write_zip(tmp_path / "source.zip", files)
    assert prepare(source, dataset, progress=False).copied == (NAMES[0],)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_same_name_other_content_is_an_error(tmp_path: Path, dataset: Path, kind: str) -> None:
    changed = bytearray(jp2())
    changed[len(changed) // 2] ^= 1
    for other in (jp2(1), bytes(changed)):
        files = {f"one/{NAMES[0]}": jp2(), f"two/{NAMES[0]}": other}
        shutil.rmtree(tmp_path / "source", ignore_errors=True)
        source = write(tmp_path / "source", files) if kind == "folder" else write_zip(tmp_path / "source.zip", files)
        with pytest.raises(PreparationError) as caught:
            prepare(source, dataset, progress=False)
        assert f"one/{NAMES[0]}" in str(caught.value)
        assert f"two/{NAMES[0]}" in str(caught.value)
        assert files_in(dataset) == []


def test_another_whole_image_in_the_dataset_is_never_overwritten(tmp_path: Path, dataset: Path) -> None:
    write(dataset, {NAMES[0]: jp2(size=(192, 128))})
    source = write(tmp_path / "source", {NAMES[0]: jp2()})
    with pytest.raises(PreparationError) as caught:
        prepare(source, dataset, progress=False)
    assert str(dataset / NAMES[0]) in str(caught.value)
    assert str(source / NAMES[0]) in str(caught.value)
    assert (dataset / NAMES[0]).read_bytes() == jp2(size=(192, 128))


def test_source_around_the_dataset(tmp_path: Path, dataset: Path) -> None:
    write(dataset, {NAMES[0]: jp2()[:100], f"sample/{NAMES[1]}": jp2(1), safe_path(NAMES[2]): jp2(2)})
    assert prepare(dataset, dataset, progress=False).copied == (NAMES[2],)
    write(tmp_path, {f"downloads/{NAMES[0]}": jp2()})
    result = prepare(tmp_path, dataset, progress=False)
    assert (result.copied, result.skipped) == ((NAMES[0],), (NAMES[2],))


def test_source_is_the_flat_dataset(dataset: Path) -> None:
    write(dataset, {NAMES[0]: jp2()})
    assert prepare(dataset, dataset, progress=False).skipped == (NAMES[0],)


def test_dataset_folder_that_cannot_be_written(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {NAMES[0]: jp2()})
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PreparationError, match="Cannot make the folder"):
        prepare(source, tmp_path / "file" / "dataset", progress=False)
    (tmp_path / "dataset" / NAMES[0]).mkdir(parents=True)
    with pytest.raises(OutputError, match="it is a folder"):
        prepare(source, tmp_path / "dataset", progress=False)


def test_progress_bar(tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "source", products())
    prepare(source, dataset)
    assert "3/3" in capsys.readouterr().err
    prepare(source, dataset)
    assert capsys.readouterr().err == ""


def test_no_source_uses_what_is_there(dataset: Path) -> None:
    write(dataset, {NAMES[0]: jp2(), f"sample/{NAMES[1]}": jp2(1)})
    result = prepare(None, dataset)
    assert (result.folder, result.skipped) == (dataset, (NAMES[0],))
    assert result.note.startswith("No source is set")


def test_no_source_falls_back_on_the_sample(dataset: Path) -> None:
    write(dataset, {f"sample/{NAMES[1]}": jp2(1)})
    result = prepare(None, dataset)
    assert (result.folder, result.skipped) == (dataset / "sample", (NAMES[1],))
    assert "synthetic" in result.note


def test_no_source_writes_a_missing_sample(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = ModuleType("s2match.synthetic")
    stand_in.write_sample = lambda folder: write(folder, {NAMES[2]: jp2(2)})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "s2match.synthetic", stand_in)
    result = prepare(None, dataset)
    assert (result.folder, result.copied) == (dataset / "sample", (NAMES[2],))


def test_image_table(dataset: Path) -> None:
    write(dataset, {NAMES[1]: jp2(1), NAMES[0]: jp2(), "other_TCI.jp2": jp2(2)})
    images = list_images(list_scenes(dataset))
    assert [(image.index, image.file) for image in images] == [(0, NAMES[0]), (1, NAMES[1]), (2, "other_TCI.jp2")]
    assert (images[1].tile, images[1].date, images[1].width_px, images[1].height_px) == (
        "T36UYA",
        "2016-02-12",
        160,
        128,
    )
    assert (images[2].tile, images[2].date, images[2].nodata_share, images[2].error) == (None, None, 0.0, None)
    lines = image_table(images).splitlines()
    assert lines[2].split() == ["1", "T36UYA", "2016-02-12", "160", "x", "128", "0%", NAMES[1]]
    assert len({line.index(image.file) for line, image in zip(lines[1:], images, strict=True)}) == 1
    write(dataset, {NAMES[2]: b"no image"})
    images = list_images(list_scenes(dataset))
    assert images[2].width_px is None and "Cannot read" in (images[2].error or "")
    assert image_table(images).splitlines()[3].split() == ["2", "T36UYA", "2019-06-06", "unreadable", NAMES[2]]


@pytest.mark.filterwarnings("error")
def test_images_without_a_georeference_bring_no_warning(tmp_path: Path, dataset: Path) -> None:
    prepare(write(tmp_path / "source", {NAMES[0]: jp2()}), dataset, progress=False)
    scenes = list_scenes(dataset)
    list_images(scenes)
    read_thumbnails(scenes)


def test_contact_sheet(dataset: Path) -> None:
    write(dataset, {NAMES[0]: jp2(), NAMES[1]: jp2(1), "plain_TCI.jp2": jp2(2)})
    scenes = list_scenes(dataset)
    thumbnails = read_thumbnails(scenes)
    assert [thumbnail.shape for thumbnail in thumbnails] == [(128, 160, 3)] * 3
    figure = contact_sheet(scenes, thumbnails)
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        "0 · T36UXA\n2018-07-31",
        "1 · T36UYA\n2016-02-12",
        "2 · plain_TCI",
        "",
    ]
    data = as_jpeg(figure)
    with rasterio.MemoryFile(data) as memory, memory.open() as image:
        assert (image.driver, image.width) == ("JPEG", 900)
    assert len(data) < 300_000


def test_contact_sheet_without_pixels_or_scenes(dataset: Path) -> None:
    blank = np.zeros((3, 128, 128), np.uint8)
    dataset.mkdir()
    with rasterio.open(
        dataset / NAMES[0], "w", driver="JP2OpenJPEG", width=128, height=128, count=3, dtype="uint8"
    ) as file:
        file.write(blank)
    (thumbnail,) = read_thumbnails(list_scenes(dataset))
    assert (thumbnail == thumbnail[0, 0, 0]).all()
    assert as_jpeg(contact_sheet((), ()))


# Kaggle. The first tests replace the calls; the later ones run kagglehub itself against a server on this machine.

LISTING = [*(f"root/{path}" for path in products()), "readme.md"]


def stub(pages: list[list[str]], fail_at: str = "") -> tuple[Kaggle, list[str]]:
    """A stub of Kaggle with pages of files, and the list of the files that were fetched."""
    contents = {f"root/{path}": data for path, data in products().items()}
    fetched: list[str] = []

    def list_page(token: str) -> KagglePage:
        number = int(token or 0)
        return KagglePage(tuple(pages[number]), str(number + 1) if number + 1 < len(pages) else "")

    def fetch_file(name: str, folder: Path) -> Path:
        if fail_at and fail_at in name:
            raise ConnectionError("the line went dead")
        fetched.append(name)
        return write(folder, {name: contents[name]}) / name

    def fetch_set() -> Path:
        raise AssertionError("the full download was not allowed")

    return Kaggle(list_page, fetch_file, fetch_set), fetched


def test_kaggle_pages_only_images_are_fetched(dataset: Path) -> None:
    kaggle, fetched = stub([LISTING[:4], [], LISTING[4:]])
    result = prepare("kaggle", dataset, progress=False, kaggle=kaggle)
    assert result.copied == NAMES
    assert sorted(fetched) == sorted(f"root/{safe_path(name)}" for name in NAMES)
    assert files_in(dataset) == list(NAMES)
    fetched.clear()
    assert prepare("kaggle", dataset, progress=False, kaggle=kaggle).skipped == NAMES
    assert fetched == []


def test_kaggle_failing_half_way_goes_on_later(dataset: Path) -> None:
    kaggle, _ = stub([LISTING], fail_at=NAMES[1])
    with pytest.raises(PreparationError) as caught:
        prepare("kaggle", dataset, progress=False, kaggle=kaggle)
    assert NAMES[1] in str(caught.value)
    assert "ConnectionError: the line went dead" in str(caught.value)
    assert "run it again to continue" in str(caught.value)
    assert files_in(dataset) == [NAMES[0]]
    kaggle, fetched = stub([LISTING])
    assert prepare("kaggle", dataset, progress=False, kaggle=kaggle).copied == NAMES[1:]
    assert len(fetched) == 2


def test_kaggle_token_that_never_ends() -> None:
    kaggle = Kaggle(list_page=lambda token: KagglePage((NAMES[0],), "again"))
    assert list_kaggle_images(kaggle) == (NAMES[0], NAMES[0])


def test_kaggle_full_download_only_when_allowed(tmp_path: Path, dataset: Path) -> None:
    whole = write(tmp_path / "cache", products())
    listing, _ = stub([["readme.md"]])
    kaggle = Kaggle(listing.list_page, listing.fetch_file, lambda: whole)
    with pytest.raises(PreparationError, match="the listing names none"):
        prepare("kaggle", dataset, progress=False, kaggle=kaggle)
    result = prepare("kaggle", dataset, full_download=True, progress=False, kaggle=kaggle)
    assert result.copied == NAMES


def test_kagglehub_missing(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub.clients", None)
    with pytest.raises(PreparationError, match="pip install kagglehub"):
        prepare("kaggle", dataset, progress=False)


@dataclass
class Server:
    """The files that a stub of Kaggle serves, and the paths that were requested."""

    files: dict[str, bytes]
    status: int = 200
    cut: str = ""
    page_size: int = 3
    requested: list[str] = field(default_factory=list)


def handler_for(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    names = sorted(server.files)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            call = self.path.rsplit("/", 1)[1]
            if server.status != 200:
                self._send(server.status, json.dumps({"code": server.status, "message": "Permission denied"}))
            elif call == "GetDataset":
                self._send(200, json.dumps({"currentVersionNumber": 1}))
            elif call == "ListDatasetFiles":
                assert (request["ownerSlug"], request["datasetSlug"]) == ("isaienkov", "deforestation-in-ukraine")
                begin = int(request.get("pageToken") or 0)
                end = begin + server.page_size
                files = [{"name": name, "totalBytes": len(server.files[name])} for name in names[begin:end]]
                token = str(end) if end < len(names) else ""
                self._send(200, json.dumps({"datasetFiles": files, "nextPageToken": token}))
            else:
                server.requested.append(request["fileName"])
                self.send_response(302)
                self.send_header("Location", "/storage/" + urllib.parse.quote(request["fileName"]))
                self.send_header("Content-Length", "0")
                self.end_headers()

        def do_GET(self) -> None:
            name = urllib.parse.unquote(self.path.removeprefix("/storage/"))
            data = server.files[name]
            sent = data[: len(data) // 2] if server.cut and server.cut in name else data
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(sent)

        def _send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def serving(server: Server) -> Iterator[int]:
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler_for(server))
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield listener.server_port
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


@pytest.fixture
def kaggle_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Redirect kagglehub to a local port, without the user's account, cache and proxies."""
    kaggle_env = pytest.importorskip("kagglesdk.kaggle_env")
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "kaggle"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def point(port: int) -> None:
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, f"http://127.0.0.1:{port}")

    yield point


def test_kagglehub_against_a_local_server(tmp_path: Path, dataset: Path, kaggle_at) -> None:  # type: ignore[no-untyped-def]
    server = Server({f"a folder/{path}": data for path, data in products().items()})
    with serving(server) as port:
        kaggle_at(port)
        result = prepare("kaggle", dataset, progress=False)
        assert result.copied == NAMES
        assert [(dataset / name).read_bytes() for name in NAMES] == [jp2(seed) for seed in range(3)]
        assert sorted(server.requested) == sorted(f"a folder/{safe_path(name)}" for name in NAMES)
        assert files_in(dataset) == list(NAMES)
        assert not (tmp_path / "cache").exists()
        (dataset / NAMES[1]).unlink()
        server.requested.clear()
        assert prepare("kaggle", dataset, progress=False).copied == (NAMES[1],)
        assert len(server.requested) == 1


def test_kagglehub_connection_lost(dataset: Path, kaggle_at) -> None:  # type: ignore[no-untyped-def]
    server = Server({safe_path(name): jp2(seed) for seed, name in enumerate(NAMES)}, cut=NAMES[1])
    with serving(server) as port:
        kaggle_at(port)
        with pytest.raises(PreparationError, match="could not download .*" + NAMES[1]):
            prepare("kaggle", dataset, progress=False)
        assert files_in(dataset) == [NAMES[0]]
        server.cut = ""
        assert prepare("kaggle", dataset, progress=False).copied == NAMES[1:]


def test_kagglehub_serving_a_damaged_image(dataset: Path, kaggle_at) -> None:  # type: ignore[no-untyped-def]
    server = Server({NAMES[0]: jp2(), NAMES[1]: jp2(1)[:-50]})
    with serving(server) as port:
        kaggle_at(port)
        result = prepare("kaggle", dataset, progress=False)
    assert result.copied == (NAMES[0],)
    assert result.rejected[0].origin == f"{KAGGLE_HANDLE}/{NAMES[1]}"


@pytest.mark.parametrize("status", [403, 404, 500])
def test_kagglehub_refused(dataset: Path, kaggle_at, status: int) -> None:  # type: ignore[no-untyped-def]
    with serving(Server({}, status=status)) as port:
        kaggle_at(port)
        with pytest.raises(PreparationError) as caught:
            prepare("kaggle", dataset, progress=False)
    message = str(caught.value)
    assert "could not list the files of isaienkov/deforestation-in-ukraine" in message
    assert "KAGGLE_API_TOKEN" in message
    assert KAGGLE_PAGE in message
    assert "zip or the unpacked folder" in message


def test_kagglehub_without_a_network(dataset: Path, kaggle_at) -> None:  # type: ignore[no-untyped-def]
    with serving(Server({})) as port:
        closed = port
    kaggle_at(closed)
    with pytest.raises(PreparationError, match="ConnectionError"):
        prepare("kaggle", dataset, progress=False)
    assert files_in(dataset.parent) in ([], ["dataset"])
