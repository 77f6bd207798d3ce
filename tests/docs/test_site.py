"""The web site that MkDocs builds of the pages: it is whole, asks no other host for anything, and has the library."""

import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import markdown
import pytest
from browser import browser, find_chromium
from conftest import ROOT
from markdown_it import MarkdownIt

import s2match

# Elements that differ if a list, a table or a block of code is none on GitHub or in the site.
STRUCTURE = {"ul", "ol", "li", "table", "tr", "pre", "h1", "h2", "h3", "h4", "img", "a", "strong", "em", "code"}
# What a browser loads by itself, not when a reader clicks.
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src")}
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]


class Elements(HTMLParser):
    """Elements of a page with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    @property
    def targets(self) -> list[tuple[str, str, str]]:
        """Element, attribute and address of every link and every resource."""
        return [(tag, name, str(has[name])) for tag, has in self.found for name in ("href", "src") if name in has]

    @property
    def anchors(self) -> set[str | None]:
        return {has.get("id") for _, has in self.found}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """Files outside docs/ included: they are pages or files of the site."""
    pages = {page.resolve(): Elements(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    assert len(pages) > 40
    for page, elements in pages.items():
        for tag, name, address in elements.targets:
            if re.match(r"[a-z]+:|//", address):
                assert (tag, name) not in LOADED, f"{page.name} loads {address}"
                continue
            path, _, anchor = address.partition("#")
            linked = (page.parent / unquote(path)).resolve() if path else page
            if page.name == "404.html" or linked == site.resolve():
                continue
            assert linked.is_file() and site.resolve() in linked.parents, f"{page.name}: {address}"
            if anchor and linked in pages and not anchor.startswith("__"):
                assert unquote(anchor) in pages[linked].anchors, f"{page.name}: {address}"


def test_every_name_of_the_library_has_an_entry(site: Path) -> None:
    pages = [page.read_text(encoding="utf-8") for page in (site / "api").glob("*.html")]
    anchors = [Elements(page).anchors for page in pages]
    for name in {*s2match.__all__} - {"__version__"}:
        assert sum(f"s2match.{name}" in page for page in anchors) == 1, name
    assert not any(re.search(r":(func|class|mod|data|meth):", page) for page in pages)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lists_tables_and_code_are_the_same_on_github_and_in_the_site(page: Path) -> None:
    """Nested lists need four spaces in the site; GitHub takes two."""
    text = page.read_text(encoding="utf-8")
    github = MarkdownIt("commonmark").enable("table").render(text)
    here = markdown.markdown(text, extensions=["tables", "fenced_code"])
    counts = [Counter(tag for tag, _ in Elements(html).found if tag in STRUCTURE) for html in (github, here)]
    assert counts[0] == counts[1]


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_and_complain_of_nothing(site: Path, width: int) -> None:
    chromium = find_chromium()
    assert chromium is not None
    with browser(chromium) as page:
        for name in ("index.html", "cli.html", "accuracy.html", "api/match.html", "CONTRIBUTING.html"):
            page.open(site / name, width, 900, phone=width < 500)
            assert page.run("document.documentElement.scrollWidth") <= width, name
            assert not page.complaints, name
            assert all(request.startswith("file:") for request in page.requests), name
