"""The package's metadata say what it needs and what it is."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

from s2match import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(name: str) -> dict[str, Requirement]:
    """The pinned requirements of a file, by name."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    assert all(re.fullmatch(r"==[\w.]+", str(requirement.specifier)) for requirement in pinned)
    return {requirement.name.lower(): requirement for requirement in pinned}


def ranges(lines: list[str]) -> dict[str, Requirement]:
    return {Requirement(line).name.lower(): Requirement(line) for line in lines}


def test_ranges_hold_the_pinned_versions() -> None:
    """What the README's first command installs is what ``pip install .`` asks for, with the notebooks' libraries."""
    extras = PROJECT["optional-dependencies"]
    pinned, asked = pins("requirements.txt"), ranges(PROJECT["dependencies"] + extras["notebooks"])
    assert set(pinned) == set(asked)
    arrays = pins("requirements-xarray.txt")
    assert set(arrays) == set(ranges(extras["xarray"]))
    for name, range_ in (asked | ranges(extras["xarray"])).items():
        (pin,) = (pinned | arrays)[name].specifier
        assert range_.specifier.contains(pin.version), name


def test_every_import_is_a_dependency() -> None:
    """Of the package, at the top of its modules or within functions; optional ones are extras."""
    imported: set[str] = set()
    for path in (ROOT / "s2match").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
    names = {"cv2": "opencv-python", "PIL": "pillow", "kagglesdk": "kagglehub", "markupsafe": "jinja2"}
    libraries = {names.get(name, name) for name in imported - set(sys.stdlib_module_names) - {"s2match"}}
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    assert libraries <= set(ranges(PROJECT["dependencies"] + extras))


def test_the_version_has_one_place() -> None:
    assert PROJECT["dynamic"] == ["version"] and re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    changes = Path(ROOT / "CHANGELOG.md")
    if not changes.exists():
        pytest.skip("no changelog yet")
    assert f"## [{__version__}]" in changes.read_text(encoding="utf-8") or f"## {__version__}" in changes.read_text()
