"""Downloads end within their limits, go on where they were interrupted, and leave a whole file or none."""

import hashlib
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from http_server import CUT, DROP, SILENT, SLOW_BODY, SLOW_HEADERS, Server, serve

from s2match.errors import OutputError, UnreadableImageError
from s2match.io.download import DownloadError, download
from s2match.io.http_text import read_url
from s2match.io.request_limits import LIMITS, Limits

DATA = np.random.default_rng(0).bytes(200_000)
# The real limits a hundred times as strict, but for the speed.
QUICK = Limits(connect_s=0.2, window_s=0.3, least_speed=10_000, patience_s=0.6, delays_s=(0.01,) * 4)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.bin").write_bytes(DATA)
    (tmp_path / "files" / "b.bin").write_bytes(DATA)
    with serve(tmp_path / "files") as server:
        server.headers["a.bin"]["ETag"] = '"one"'
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "a.bin"


def ranges(server: Server) -> list[str | None]:
    return [asked for _, _, asked, _ in server.requests]


def names(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def fails(server: Server, target: Path, sentence: str) -> None:
    with pytest.raises(DownloadError, match=sentence):
        download([f"{server.url}/a.bin"], target, limits=QUICK)
    assert not target.exists()


def test_a_file_and_its_progress(server: Server, target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    download([f"{server.url}/a.bin"], target, lambda *progress: told.append(progress))
    assert target.read_bytes() == DATA and names(target) == ["a.bin"]
    assert told[-1] == (len(DATA), len(DATA)) and told == sorted(told)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate")
def test_encrypted_connections(server: Server, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serve(server.folder, context) as encrypted:
        with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
            download([f"{encrypted.url}/a.bin"], target, limits=QUICK)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        download([f"{encrypted.url}/a.bin"], target)
        assert target.read_bytes() == DATA
        encrypted.always["a.bin"] = SILENT
        with pytest.raises(DownloadError, match="the server has sent nothing"):
            download([f"{encrypted.url}/a.bin"], target, limits=replace(QUICK, connect_s=5))


@pytest.mark.parametrize("fault", [SILENT, SLOW_HEADERS, SLOW_BODY])
def test_servers_that_hardly_send_are_left(server: Server, target: Path, fault: str) -> None:
    server.always["a.bin"] = fault
    fails(server, target, "the server has sent (nothing|only .* bytes) for")
    assert names(target) == [] and len(server.requests) == 1


def test_two_silent_servers_share_the_time(server: Server, target: Path) -> None:
    server.always |= {"a.bin": SILENT, "b.bin": SILENT}
    with pytest.raises(DownloadError, match=r"a.bin: the server has sent nothing.*b.bin: the server has sent"):
        download([f"{server.url}/a.bin", f"{server.url}/b.bin"], target, limits=QUICK)
    assert [name for _, name, _, _ in server.requests] == ["a.bin", "b.bin"]


def test_the_real_limits_are_below_a_minute() -> None:
    assert LIMITS.patience_s < 60 and LIMITS.connect_s == 10 and LIMITS.window_s == 30


def test_a_server_that_does_not_accept(target: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        place = listening.getsockname()
        # the queue is full from now on, so that nothing answers
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(place)
        with pytest.raises(DownloadError, match=r"cannot be reached .*timed out"):
            download([f"http://127.0.0.1:{place[1]}/a.bin"], target, limits=QUICK)
        for one in waiting:
            one.close()


def test_a_server_that_refuses_connections(target: Path) -> None:
    with pytest.raises(DownloadError, match=r"http://127.0.0.1:9/a.bin: the server cannot be reached .*refused"):
        download(["http://127.0.0.1:9/a.bin?sig=SECRET"], target, limits=QUICK)


def test_a_missing_file_is_not_asked_for_again(server: Server, target: Path) -> None:
    server.always["a.bin"] = 404
    fails(server, target, "HTTP status 404")
    assert len(server.requests) == 1


@pytest.mark.parametrize("faults", [[503, 503], [DROP], [429, DROP]], ids=str)
def test_busy_servers_are_asked_again(server: Server, target: Path, faults: list[int | str]) -> None:
    server.faults["a.bin"] = faults
    download([f"{server.url}/a.bin"], target, limits=QUICK)
    assert target.read_bytes() == DATA


def test_a_busy_server_is_left_in_the_end(server: Server, target: Path) -> None:
    server.always["a.bin"] = 503
    fails(server, target, "HTTP status 503")
    assert len(server.requests) == 5


def test_the_second_address_is_tried(server: Server, target: Path) -> None:
    server.always["a.bin"] = 404
    download([f"{server.url}/a.bin", f"{server.url}/b.bin"], target, limits=QUICK)
    assert target.read_bytes() == DATA


def test_a_connection_that_is_cut_off_goes_on(server: Server, target: Path) -> None:
    server.faults["a.bin"] = [CUT, CUT]
    download([f"{server.url}/a.bin"], target, limits=QUICK)
    assert target.read_bytes() == DATA
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-"]


def test_without_an_etag_it_starts_again(server: Server, target: Path) -> None:
    server.headers.clear()
    server.faults["a.bin"] = [CUT]
    download([f"{server.url}/a.bin"], target, limits=QUICK)
    assert target.read_bytes() == DATA and ranges(server) == [None, None]


def test_a_later_run_goes_on(server: Server, target: Path) -> None:
    server.faults["a.bin"] = [CUT, 404]
    fails(server, target, "HTTP status 404")
    assert names(target) == [".a.bin.part", ".a.bin.part.json"]
    server.requests.clear()
    download([f"{server.url}/a.bin"], target, limits=QUICK)
    assert target.read_bytes() == DATA and names(target) == ["a.bin"]
    assert ranges(server) == ["bytes=100000-"]


def begin(server: Server, target: Path) -> None:
    """Download a half of the file."""
    server.faults["a.bin"] = [CUT, 404]
    fails(server, target, "HTTP status 404")
    server.requests.clear()


def test_an_interrupted_run_goes_on_later(server: Server, target: Path) -> None:
    def interrupt(received: int, size: int | None) -> None:
        if received >= 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download([f"{server.url}/a.bin"], target, interrupt, limits=QUICK)
    assert names(target) == [".a.bin.part", ".a.bin.part.json"]
    received = target.with_name(".a.bin.part").stat().st_size
    download([f"{server.url}/a.bin"], target, limits=QUICK)
    assert target.read_bytes() == DATA and ranges(server) == [None, f"bytes={received}-"]


def test_downloads_of_one_file_at_once(server: Server, target: Path) -> None:
    """Each has a file of its own, and only one of them goes on with what is there."""
    begin(server, target)
    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(download, [f"{server.url}/a.bin"], target) for _ in range(4)]
        assert [one.result() for one in done] == [None] * 4
    assert target.read_bytes() == DATA and names(target) == ["a.bin"]
    assert sorted(map(str, ranges(server))) == ["None"] * 3 + ["bytes=100000-"]


def test_another_file_at_the_same_address_starts_again(server: Server, target: Path) -> None:
    begin(server, target)
    server.headers["a.bin"]["ETag"] = '"two"'
    (server.folder / "a.bin").write_bytes(DATA[::-1])
    download([f"{server.url}/a.bin"], target, limits=QUICK)
    assert target.read_bytes() == DATA[::-1] and ranges(server) == ["bytes=100000-"]


def test_a_file_that_has_become_shorter_starts_again(server: Server, target: Path) -> None:
    begin(server, target)
    (server.folder / "a.bin").write_bytes(DATA[:1000])
    download([f"{server.url}/a.bin"], target, limits=QUICK)
    assert target.read_bytes() == DATA[:1000] and ranges(server) == ["bytes=100000-", None]


@pytest.mark.parametrize("damage", ["cut", "description", "no description", "no part"])
def test_a_begun_file_that_is_damaged_starts_again(server: Server, target: Path, damage: str) -> None:
    begin(server, target)
    part, description = target.with_name(".a.bin.part"), target.with_name(".a.bin.part.json")
    if damage == "cut":
        part.write_bytes(DATA[:10])
    elif damage == "description":
        description.write_text("{")
    else:
        (description if damage == "no description" else part).unlink()
    download([f"{server.url}/a.bin"], target, limits=QUICK)
    assert target.read_bytes() == DATA and ranges(server) == [None]
    assert names(target) == ["a.bin"]


def linked(server: Server, data: bytes) -> str:
    """URL that redirects to the file and names the SHA-256 of some bytes, as Hugging Face does."""
    server.redirects["named.bin"] = f"{server.url}/a.bin"
    server.headers["named.bin"]["X-Linked-ETag"] = f'"{hashlib.sha256(data).hexdigest()}"'
    return f"{server.url}/named.bin"


def test_the_checksum_that_a_server_names(server: Server, target: Path) -> None:
    download([linked(server, DATA)], target, limits=QUICK)
    assert target.read_bytes() == DATA


def test_a_wrong_checksum_is_no_file(server: Server, target: Path) -> None:
    with pytest.raises(DownloadError, match=r"its SHA-256 is .* and should be"):
        download([linked(server, b"other")], target, limits=QUICK)
    assert names(target) == []
    # once more, because the connection may have damaged it
    assert [name for _, name, _, _ in server.requests] == ["named.bin", "a.bin"] * 2


def test_a_file_that_is_too_large(server: Server, target: Path) -> None:
    with pytest.raises(DownloadError, match="larger than 1000 bytes"):
        download([f"{server.url}/a.bin"], target, limits=QUICK, most_bytes=1000)
    assert not target.exists()


def test_a_folder_that_is_missing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Cannot write"):
        download([f"{server.url}/a.bin"], tmp_path / "nowhere" / "a.bin", limits=QUICK)


@pytest.mark.parametrize("fault", [SILENT, SLOW_HEADERS, SLOW_BODY])
def test_texts_have_the_same_limits(server: Server, fault: str) -> None:
    server.always["a.json"] = fault
    with pytest.raises(UnreadableImageError, match=r"Cannot read .*/a.json: the server has sent"):
        read_url(f"{server.url}/a.json", limits=QUICK)
    assert len(server.requests) == 1


def test_texts_that_are_cut_off_are_read_again(server: Server) -> None:
    (server.folder / "a.json").write_text(json.dumps({"a": 1}))
    server.faults["a.json"] = [CUT, DROP]
    assert json.loads(read_url(f"{server.url}/a.json", limits=QUICK)) == {"a": 1}


def test_credentials_stay_at_their_server(server: Server, tmp_path: Path) -> None:
    (server.folder / "a.json").write_text("{}")
    with serve(tmp_path) as other:
        other.redirects["b.json"] = f"{server.url}/a.json"
        url = f"{other.url}/b.json".replace("://", "://alice:password@")
        assert read_url(url, limits=QUICK) == "{}"
    assert [other.authorized, server.authorized] == [["b.json"], []]
