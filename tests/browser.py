"""Drive Debian's chromium through its debugging port, as far as the tests of a page need it."""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

_PATIENCE_S = 60.0
_AXE = Path(__file__).parent / "vendor" / "axe.min.js"


def find_chromium() -> str | None:
    """Path of chromium or chrome; None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """A page in a browser; the messages of its console are kept."""

    def __init__(self, address: str) -> None:
        # it checks UTF-8 byte by byte in Python, seconds for a page with its images; `recv` decodes strictly anyway
        self.socket = websocket.create_connection(
            address, timeout=_PATIENCE_S, suppress_origin=True, skip_utf8_validation=True
        )
        self.count = itertools.count(1)
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.count)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer: dict[str, Any] = json.loads(self.socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer.get("result", {})
            self.events.append(answer)

    def open(self, page: Path, width: int, height: int, phone: bool = False) -> None:
        """Load a file and wait until its images are there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.events.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        ready = "document.readyState === 'complete' && [...document.images].every((image) => image.complete)"
        while not self.run(f"location.protocol === 'file:' && {ready}"):
            time.sleep(0.05)
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked for is painted."""
        self.run("new Promise((done) => setTimeout(() => requestAnimationFrame(() => setTimeout(done, 60)), 60))")

    def run(self, script: str) -> Any:
        """The value of an expression on the page, awaited."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def set(self, selector: str, value: float, event: str) -> None:
        """Give a control a value as a user does."""
        self.run(
            f"(() => {{ const one = document.querySelector({selector!r}); one.value = {value}; "
            f"one.dispatchEvent(new Event({event!r})); }})()"
        )

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def key(self, key: str) -> None:
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self, path: Path, whole: bool = True) -> None:
        size = self.run("[document.documentElement.clientWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        more = {"clip": clip, "captureBeyondViewport": True} if whole else {}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **more)["data"]))

    def media(self, kind: str = "", scheme: str = "light") -> None:
        """Show the page as on "screen" or in "print", in a "light" or "dark" colour scheme."""
        self.call(
            "Emulation.setEmulatedMedia", media=kind, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def pdf(self) -> bytes:
        """The page as printed on its own paper."""
        printed = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(printed["data"])

    def wider_than(self, width: float, selector: str = "body *") -> list[str]:
        """Elements that end right of a width, but those in boxes that scroll by themselves and in the map."""
        scrolls = "getComputedStyle(box).overflowX === 'auto'"
        inside = f"one.closest('.stage') || ((box) => box && {scrolls})(one.parentElement.closest('.wide'))"
        name = "`${one.tagName} ${one.id} ${one.className}`"
        return list(
            self.run(
                f"[...document.querySelectorAll({selector!r})].filter((one) => !({inside}) && "
                f"one.getBoundingClientRect().right > {width} + 0.5).map((one) => {name})"
            )
        )

    def faults(self) -> list[str]:
        """Serious and critical faults of accessibility by axe-core."""
        self.run(f"(() => {{ {_AXE.read_text(encoding='utf-8')} ; return 1; }})()")
        serious = "['serious', 'critical'].includes(fault.impact)"
        told = "`${fault.id}: ${fault.nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`"
        script = (
            "axe.run({resultTypes: ['violations']}).then((done) => "
            f"done.violations.filter((fault) => {serious}).map((fault) => {told}))"
        )
        return list(self.run(script))

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings of the page and of the browser about it."""
        kinds = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        return [json.dumps(event["params"]) for event in self.events if event.get("method") in kinds]

    @property
    def requests(self) -> list[str]:
        """Addresses that the page asked for, without what it holds itself."""
        asked = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [request["request"]["url"] for request in asked if not request["request"]["url"].startswith("data:")]


@contextmanager
def browser(chromium: str) -> Iterator[Page]:
    """A page in a new chromium without a window."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        port = Path(profile, "DevToolsActivePort")
        process = subprocess.Popen(
            [chromium, *options, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Page(_address(port))
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)


def _address(port_file: Path) -> str:
    from urllib.request import urlopen

    end = time.monotonic() + _PATIENCE_S
    while not (port_file.exists() and port_file.read_text().count("\n")):
        assert time.monotonic() < end, "chromium did not start"
        time.sleep(0.05)
    with urlopen(f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}/json") as answer:
        pages = [page for page in json.load(answer) if page["type"] == "page"]
    return str(pages[0]["webSocketDebuggerUrl"])
