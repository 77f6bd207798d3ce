"""Hooks of MkDocs: files outside docs/ that a page links to become part of the site, with links that work there.

In the repository a page links to README.md, to CONTRIBUTING.md or to a module by its path. The site has README.md as
its first page, other Markdown files as pages, and text files as pages that show their lines. All else is copied.
"""

import os
import re
from pathlib import Path
from posixpath import normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_HOME = "README.md"
_DOCS = "docs/"
# Suffixes of files that are shown as code, and their languages.
_LANGUAGES = {".py": "python", ".toml": "toml", ".cff": "yaml", ".txt": "text", "": "text"}
# The target of a link or an image, in Markdown or in HTML; addresses of other hosts have a scheme.
_TARGET = re.compile(r"""(?P<before>\]\(|(?:src|href)=")(?![a-z]+:)(?P<path>[^)\s"#]+)""")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the first page, and every file outside docs/ that a page of the site links to.

    Raises:
        PluginError: A link leads to a folder without README.md, or out of the project.
    """
    root = _root(config)
    waiting = [_HOME, *(_DOCS + page.src_uri for page in files.documentation_pages())]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not path.startswith(_DOCS):
            files.append(_file(path, config))
        if path.endswith(".md"):
            linked = {_linked(root, path, match["path"]) for match in _TARGET.finditer(_text(root, path))}
            new = {one for one in linked if one is not None and not one.startswith(_DOCS)} - seen
            waiting += sorted(new)
            seen |= new
    return files


def on_page_markdown(markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The Markdown of a page, with links to files of the repository as links within the site."""
    root, uri = _root(config), page.file.src_uri
    path = _HOME if uri == _uri(_HOME) else _DOCS + uri if (root / _DOCS / uri).exists() else uri

    def link(match: re.Match[str]) -> str:
        linked = _linked(root, path, match["path"])
        if linked is None:
            return match[0]
        return match["before"] + relpath(_uri(linked), os.path.dirname(uri) or ".")  # noqa: PTH120 a URI

    return _TARGET.sub(link, markdown)


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent


def _text(root: Path, path: str) -> str:
    return (root / path).read_text(encoding="utf-8")


def _linked(root: Path, page: str, target: str) -> str | None:
    """Path in the repository of what a page links to; None where nothing is, which MkDocs reports."""
    path = normpath(f"{Path(page).parent.as_posix()}/{target}")
    if path.startswith("../"):
        raise PluginError(f"{page} links out of the project: {target}")
    if (root / path).is_dir():
        if not (root / path / _HOME).is_file():
            raise PluginError(f"{page} links to a folder without {_HOME}: {target}")
        path += f"/{_HOME}"
    return path if (root / path).is_file() else None


def _uri(path: str) -> str:
    """Path in the site, before it is built, of a file of the repository."""
    if path == _HOME:
        return "index.md"
    if path.startswith(_DOCS):
        return path.removeprefix(_DOCS)
    return f"{path}.md" if Path(path).suffix in _LANGUAGES else path


def _file(path: str, config: MkDocsConfig) -> File:
    """A file outside docs/ as one of the site."""
    root = _root(config)
    language = _LANGUAGES.get(Path(path).suffix)
    if language is None:
        return File.generated(config, _uri(path), abs_src_path=str(root / path))
    content = f"---\nsearch:\n  exclude: true\n---\n# {path}\n\n````{language}\n{_text(root, path)}````\n"
    return File.generated(config, _uri(path), content=content)
