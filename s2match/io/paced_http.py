"""Connections of urllib whose headers and bodies are read at a pace, see :mod:`s2match.io.request_limits`."""

import io
import socket
import time
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, Request

from s2match.io.request_limits import Pace


class PacedHTTP(HTTPHandler):
    """Opens http URLs at a pace."""

    def __init__(self, pace: Pace) -> None:
        """Store the pace."""
        super().__init__()
        self._pace = pace

    def http_open(self, req: Request) -> HTTPResponse:
        """Open a URL, see :mod:`urllib.request`."""
        return self.do_open(partial(_connection, HTTPConnection, self._pace), req)


class PacedHTTPS(HTTPSHandler):
    """Opens https URLs at a pace."""

    def __init__(self, pace: Pace) -> None:
        """Store the pace."""
        super().__init__()
        self._pace = pace

    def https_open(self, req: Request) -> HTTPResponse:
        """Open a URL, see :mod:`urllib.request`."""
        return self.do_open(partial(_connection, HTTPSConnection, self._pace), req)


class _PacedResponse(HTTPResponse):
    """An answer whose headers and body are read at a pace."""

    def __init__(self, pace: Pace, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(_PacedSocket(pace, sock), *arguments, **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _PacedSocket:
    """What HTTPResponse needs of a socket."""

    pace: Pace
    sock: socket.socket

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_PacedFile(self.pace, self.sock))


class _PacedFile(io.RawIOBase):
    """The bytes that arrive at a socket, as long as they arrive fast enough."""

    def __init__(self, pace: Pace, sock: socket.socket) -> None:
        super().__init__()
        # a file keeps the connection open, which urllib closes once the headers are there
        self._pace, self._sock, self._file = pace, sock, sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._pace.seconds_left())
        try:
            count = self._file.readinto(buffer)
        except TimeoutError:
            self._pace.seconds_left()
            raise
        self._pace.add(count or 0)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _connection(kind: type[HTTPConnection], pace: Pace, host: str, **options: Any) -> HTTPConnection:
    connection = kind(host, **options)
    connection.response_class = partial(_PacedResponse, pace)  # type: ignore[assignment]
    connection._create_connection = _connected  # type: ignore[attr-defined]
    return connection


def _connected(address: tuple[str, int], timeout: float, *_: object) -> socket.socket:
    """A connection to one of the addresses of a host; ``timeout`` is that of all of them together."""
    deadline = time.monotonic() + timeout
    failure: OSError = OSError("the host has no address")
    for family, kind, protocol, _name, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(left)
        try:
            sock.connect(place)
        except OSError as error:
            failure = error
            sock.close()
        else:
            sock.settimeout(timeout)
            return sock
    raise failure
