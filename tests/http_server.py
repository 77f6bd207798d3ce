"""A local HTTP server with range requests, which counts the bytes that it sends and fails on demand."""

import json
import re
import ssl
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

# The connection is closed in the middle of the body, or before any answer; the server sends nothing, or a byte now and
# then, of the headers or of the body; or all goes well.
CUT, DROP, SILENT, SLOW_HEADERS, SLOW_BODY, OK = "cut", "drop", "silent", "slow headers", "slow body", "ok"

# Seconds between two bytes of a slow server.
_SLOW_S = 0.02


@dataclass
class Server:
    """What a server offers, and what it was asked for.

    Attributes:
        folder: The files.
        url: URL of the folder, without a slash at the end.
        faults: By the name of a file, what goes wrong with the next requests for it: statuses, or the words above.
        always: By the name of a file, what goes wrong with every request.
        sent: Bytes of bodies that were sent, by the name of the file.
        requests: (method, name of the file, range, status) of each request.
        answers: Bodies of POST requests and of further GET requests, by path.
        headers: Further headers of answers, by the name of the file. With ``ETag``, ``If-Range`` has an effect.
        redirects: By the name of a file, the URL that it has moved to.
        authorized: Names of the files that were asked for with credentials.
        ended: Is set when the server ends.
    """

    folder: Path
    url: str = ""
    faults: dict[str, list[int | str]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, int | str] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    requests: list[tuple[str, str, str | None, int | str]] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    posted: list[bytes] = field(default_factory=list)
    headers: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    redirects: dict[str, str] = field(default_factory=dict)
    authorized: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def next_fault(self, name: str) -> int | str | None:
        """What goes wrong with a request for a file; None for nothing."""
        return self.faults[name].pop(0) if self.faults[name] else self.always.get(name)

    def read(self, path: str) -> bytes | None:
        """The answer to a path; None if there is none."""
        file = self.folder / path.lstrip("/")
        return self.answers.get(path) or (file.read_bytes() if file.is_file() else None)


def _part(data: bytes | None, asked: str | None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to a request of a range."""
    if data is None:
        return 404, {}, b""
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
    if match is None:
        return 200, {"Accept-Ranges": "bytes"}, data
    first, last = int(match[1]), min(int(match[2] or len(data) - 1), len(data) - 1)
    if first >= len(data):
        return 416, {}, b""
    headers = {"Accept-Ranges": "bytes", "Content-Range": f"bytes {first}-{last}/{len(data)}"}
    return 206, headers, data[first : last + 1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Server

    def handle(self) -> None:
        # GDAL leaves connections as it likes
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        self.served.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        name, asked = path.rpartition("/")[2], self.headers.get("Range")
        fault = self.served.next_fault(name)
        self.served.authorized += [name] if "Authorization" in self.headers else []
        same = self.headers.get("If-Range") in (None, self.served.headers[name].get("ETag"))
        status, headers, part = _part(self.served.read(path), asked if same else None)
        headers = headers | self.served.headers[name]
        if name in self.served.redirects:
            status, headers, part = 302, headers | {"Location": self.served.redirects[name]}, b""
        if isinstance(fault, int):
            status, headers, part = fault, {}, b""
        self.served.requests.append((self.command, name, asked, fault or status))
        if fault == SILENT:
            self.served.ended.wait()
        if fault in (DROP, SILENT):
            self.close_connection = True
            return
        count = len(part) // (2 if fault == CUT else 1) * body
        self.served.sent[name] += count
        if fault in (SLOW_HEADERS, SLOW_BODY):
            self.close_connection = True
            self._trickle(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if fault == SLOW_BODY else b""))
            return
        self._send(status, part, headers, count)
        if fault == CUT:
            self.close_connection = True

    def _trickle(self, begin: bytes) -> None:
        """Send the begin of an answer, and then a byte of the headers or of the body now and then."""
        with suppress(OSError):
            self.wfile.write(begin)
            while not self.served.ended.wait(_SLOW_S):
                self.wfile.write(b"x")
                self.wfile.flush()

    def _send(self, status: int, part: bytes, headers: dict[str, str], count: int) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        try:
            self.wfile.write(part[:count])
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


@contextmanager
def serve(folder: Path, encryption: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve the files of a folder within the block, by https if there is a context."""
    server = Server(folder)
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("_Handler", (_Handler,), {"served": server}))
    http.daemon_threads = True
    if encryption is not None:
        http.socket = encryption.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    server.url = f"{'http' if encryption is None else 'https'}://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        http.server_close()
        thread.join()


@contextmanager
def serve_apart(folder: Path, faults: dict[str, list[int | str]]) -> Iterator[str]:
    """URL of a server in another process within the block: pyogrio keeps this one from answering.

    Args:
        folder: The files.
        faults: See :class:`Server`; a file whose list has one status only always fails.
    """
    command = [sys.executable, __file__, str(folder), json.dumps(faults)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    with serve(Path(sys.argv[1])) as apart:
        for file, chosen in json.loads(sys.argv[2]).items():
            if len(chosen) == 1:
                apart.always[file] = chosen[0]
            else:
                apart.faults[file] = chosen
        print(apart.url, flush=True)
        threading.Event().wait()
