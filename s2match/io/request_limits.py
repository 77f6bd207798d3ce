"""Limits on the time of HTTP requests: on connecting, on the speed, and on all attempts together.

A timeout of a socket alone is no limit: a server that sends a byte every few seconds keeps a connection for ever.
"""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """Limits on the time of a request and its retries.

    Attributes:
        connect_s: Most seconds to connect, and to send the request.
        window_s: Seconds in which the speed is measured. A server that sends nothing is left after this time.
        least_speed: Least bytes per second in each window.
        patience_s: Most seconds of all attempts together. They begin anew when an attempt has received new bytes at
            the least speed.
        delays_s: Seconds before each retry.
    """

    connect_s: float = 10.0
    window_s: float = 30.0
    least_speed: float = 1000.0
    patience_s: float = 50.0
    delays_s: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)

    @property
    def least_bytes(self) -> float:
        """Least bytes of a window."""
        return self.least_speed * self.window_s


LIMITS = Limits()


class RequestError(Exception):
    """Why a request failed, without a full stop and without credentials."""

    def __init__(self, reason: str, retries: int = 0, status: int | None = None) -> None:
        """Store the reason.

        Args:
            reason: The reason.
            retries: How often it is worth to try again.
            status: HTTP status of the answer; None without one.
        """
        super().__init__(reason)
        self.retries, self.status = retries, status


@dataclass
class Pace:
    """The speed at which the bytes of a request arrive.

    Attributes:
        limits: The limits.
        deadline: When the attempts end that receive nothing new, by ``time.monotonic``.
    """

    limits: Limits
    deadline: float
    _begun: float = field(default_factory=time.monotonic)
    _bytes: int = 0
    _windows: int = 0

    def seconds_left(self) -> float:
        """Seconds to wait for the next bytes.

        Raises:
            RequestError: The server is too slow.
        """
        now = time.monotonic()
        if now >= self._begun + self.limits.window_s and self._bytes >= self.limits.least_bytes:
            self._begun, self._bytes, self.deadline = now, 0, now + self.limits.patience_s
            self._windows += 1
        left = min(self._begun + self.limits.window_s, self.deadline) - now
        if left <= 0:
            sent = f"only {self._bytes} bytes" if self._bytes else "nothing"
            # a server that has sent a part before may send the rest
            retries = 1 if self._windows or self._bytes >= self.limits.least_bytes else 0
            raise RequestError(f"the server has sent {sent} for {now - self._begun:.0f} s", retries)
        return left

    def add(self, count: int) -> None:
        """Count bytes that have arrived."""
        self._bytes += count
