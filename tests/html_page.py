"""HTML pages as a test reads them."""

import re
from html.parser import HTMLParser
from pathlib import Path


class Reader(HTMLParser):
    """Text of a page, its tags, the addresses that it loads, and the texts that stand for images."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.alternatives: list[str] = []
        self.words: list[str] = []
        self.inside = ""
        self.feed(page.read_text(encoding="utf-8"))
        self.said = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.tags.append(tag)
        self.loads += [value or "" for key, value in attrs if key in ("src", "href", "srcset", "action", "data")]
        if tag == "img":
            self.alternatives.append(dict(attrs).get("alt") or "")

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.words.append(data)
