"""Extension of Griffe: names in docstrings, such as ``:func:`match```, become links to their entries in the site."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import griffe

_ROLE = re.compile(r":[a-z]+:`(?P<name>[\w.]+)`")
_ENTRY = re.compile(r"^ *::: (?P<name>[\w.]+)$", re.MULTILINE)
_PAGES = Path(__file__).parents[1] / "api"


class SphinxRoles(griffe.Extension):
    """Writes roles of Sphinx as Markdown."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object as soon as it is read."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(_link, obj.docstring.value)


def _link(role: re.Match[str]) -> str:
    """A link to the entry of a name; the name as code if it has none."""
    last = role["name"].rpartition(".")[2]
    entry = _entries().get(last)
    return f"`{role['name']}`" if entry is None else f"[`{last}`][{entry}]"


@cache
def _entries() -> dict[str, str]:
    """Names with an entry on the pages of the library, by their last part."""
    names = [
        match["name"] for page in sorted(_PAGES.glob("*.md")) for match in _ENTRY.finditer(page.read_text("utf-8"))
    ]
    return {name.rpartition(".")[2]: name for name in names}
