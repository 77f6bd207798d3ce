"""Seconds until servers that hardly answer are left, and until zips of many images are prepared.

python -m benchmarks.untrusted_inputs        (three minutes, of which it waits most)
"""

import argparse
import json
import socket
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rasterio

from benchmarks.markdown import row
from s2match.core.image_path import image_path
from s2match.dataset.prepare import prepare
from s2match.errors import S2MatchError
from s2match.io.download import DownloadError, download
from s2match.io.http_text import read_url
from s2match.io.open_file import opened
from s2match.util.atomic_write import write_text

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_JSON = ROOT / "benchmarks" / "results" / "untrusted_inputs.json"

# Images of the zips, and the side of each image in pixels.
_COUNTS, _SIDE_PX = (500, 1000, 2000, 3000), 64

# What a server that hardly answers sends, and after how many seconds again.
_BEGIN, _BYTE, _PAUSE_S = b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.5


@dataclass(frozen=True)
class Left:
    """A request that was given up.

    Attributes:
        request: What was asked for.
        server: What the server does.
        seconds: Time until the error.
        message: The error.
    """

    request: str
    server: str
    seconds: float
    message: str


@dataclass(frozen=True)
class Preparation:
    """The preparation of a zip.

    Attributes:
        images: Images in the zip.
        seconds: Time, including that of the disk.
        processor_seconds: Time of the processor.
    """

    images: int
    seconds: float
    processor_seconds: float


@contextmanager
def hardly_answering(trickles: bool) -> Iterator[str]:
    """URL of a server that accepts connections within the block, and says nothing or a byte now and then.

    Args:
        trickles: Whether it sends the begin of an answer, and then bytes of its headers.
    """
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(_BEGIN if trickles else b"")
            while not ended.wait(_PAUSE_S):
                connection.sendall(_BYTE if trickles else b"")

    def accept(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()


def measure_requests(folder: Path) -> list[Left]:
    """Requests of each kind to a silent server and to one that trickles; a download has two addresses.

    Args:
        folder: A folder to download to.
    """
    requests: dict[str, Callable[[str], object]] = {
        "weights, two addresses": lambda url: download([f"{url}/a.ckpt", f"{url}/b.ckpt"], folder / "a.ckpt"),
        "STAC Item": lambda url: read_url(f"{url}/item.json"),
        "STAC search": lambda url: read_url(f"{url}/search", b"{}"),
        "image": lambda url: opened(image_path(f"{url}/a.tif")).__enter__(),
    }
    left = []
    for server in ("silent", "trickling"):
        with hardly_answering(server == "trickling") as url:
            for name, ask in requests.items():
                begun = time.perf_counter()
                try:
                    ask(url)
                except (S2MatchError, DownloadError) as error:
                    left.append(Left(name, server, time.perf_counter() - begun, str(error).replace(url, "")))
    return left


def measure_preparation(counts: Sequence[int], folder: Path) -> list[Preparation]:
    """Preparations of zips of small images.

    Args:
        counts: Number of images of each zip.
        folder: An empty folder.
    """
    image = _image()
    prepared = []
    for count in counts:
        source = folder / f"{count}.zip"
        with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(count):
                archive.writestr(f"A.SAFE/T36UXA_2018{number:04}T083601_TCI.jp2", image)
        begun, of_processor = time.perf_counter(), time.process_time()
        result = prepare(source, folder / f"{count}", progress=False)
        times = time.perf_counter() - begun, time.process_time() - of_processor
        prepared.append(Preparation(len(result.copied), *times))
    return prepared


def table(left: Sequence[Left], prepared: Sequence[Preparation]) -> str:
    """Both measurements as Markdown."""
    lines = [row(["request", "server", "left after"]), row(["---"] * 3)]
    lines += [row([one.request, one.server, f"{one.seconds:.0f} s"]) for one in left]
    lines += ["", row(["images in a zip", "time", "of the processor"]), row(["---"] * 3)]
    lines += [row([str(one.images), f"{one.seconds:.1f} s", f"{one.processor_seconds:.1f} s"]) for one in prepared]
    return "\n".join(lines)


def _image() -> bytes:
    """A small JPEG 2000 file."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, _SIDE_PX, _SIDE_PX), dtype=np.uint8)
    profile = {"driver": "JP2OpenJPEG", "width": _SIDE_PX, "height": _SIDE_PX, "count": 3, "dtype": "uint8"}
    with rasterio.MemoryFile(ext=".jp2") as memory:
        with memory.open(**profile, transform=rasterio.Affine(10, 0, 600000, 0, -10, 5600040)) as file:
            file.write(pixels)
        return bytes(memory.read())


def main() -> None:
    """Measure, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, help="default: %(default)s")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepared = measure_preparation(_COUNTS, Path(folder))
        left = measure_requests(Path(folder))
    print(table(left, prepared))
    figures = {"requests": list(map(asdict, left)), "preparation": list(map(asdict, prepared))}
    write_text(arguments.json, json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
