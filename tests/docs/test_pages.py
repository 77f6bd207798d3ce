"""Pages for people: links lead somewhere, and the options they describe are those of the command."""

import argparse
import pkgutil
import re
import signal
import tomllib
import unicodedata
from pathlib import Path

import pytest
from conftest import ROOT

from model_inference import INTERRUPTED, NO_REGISTRATION, build_parser
from s2match import __version__, errors
from s2match.batch.rows import COLUMNS
from s2match.cli.exit_codes import ABOVE_LIMIT, NO_READER
from s2match.cli.options.parsers import command_parser
from s2match.core.mask import MASKED_CLASSES
from s2match.registration.evidence import Reason
from s2match.registration.refusal import LITTLE_CLEAR_GROUND, TOO_SMALL

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "training" / "README.md",
        ROOT / "dataset" / "README.md",
    ]
)
CLI = ROOT / "docs" / "cli.md"


def prose(page: Path) -> str:
    """A page without blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ +(.*?)$", prose(page), re.MULTILINE)
    kept = [
        "".join(c for c in heading.lower() if c in " -_" or unicodedata.category(c)[0] in "LN") for heading in headings
    ]
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists() and ROOT in [linked, *linked.parents], link
        assert not anchor or anchor in anchors(linked), link


def test_every_page_is_linked_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"](docs/{page.name})" in text for page in PAGES if page.parent.name == "docs")


def test_the_readme_is_short() -> None:
    """And a test command that the continuous integration runs."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert len(re.findall(r"^    python3 -m venv .*-m pytest$", text, re.MULTILINE)) == 1
    assert max(len(line) for line in text.splitlines() if not line.startswith(("    ", "|"))) <= 120


def rows(page: Path = CLI) -> dict[str, tuple[str, str]]:
    """Meaning and default of every option in the tables of a page."""
    cells = [
        line.strip("|").split(" |") for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `-")
    ]
    return {
        option: (meaning, default)
        for names, meaning, default in cells
        for option in re.findall(r"(?<![\w-])--?\w[\w-]*", names)
    }


def test_every_option_is_described_with_its_default() -> None:
    actions = build_parser()._actions
    described = rows()
    assert set(described) == {option for action in actions for option in action.option_strings}
    for action in actions:
        meaning, default = described[action.option_strings[-1]]
        if action.choices is not None and not isinstance(action, argparse.BooleanOptionalAction):
            assert all(f"`{choice}`" in meaning for choice in action.choices), action.dest
        if action.default in (None, False, [], argparse.SUPPRESS):
            continue
        if action.default is True and not isinstance(action, argparse.BooleanOptionalAction):
            continue
        if action.default is True:
            assert default.strip() == f"`--{action.dest}`"
            continue
        values = action.default if isinstance(action.default, tuple) else (action.default,)
        written = default.strip(" `").split()
        assert [type(value)(word) for word, value in zip(written, values, strict=True)] == list(values), action.dest


def test_every_option_of_a_series_is_described() -> None:
    pair = {option for action in build_parser()._actions for option in action.option_strings}
    actions = [action for action in command_parser("series")._actions if action.option_strings]
    described = rows(CLI.parent / "series.md")
    own = {action.option_strings[-1]: action for action in actions if action.option_strings[-1] not in pair}
    assert {"--partners", "--workers", "--datum"} <= own.keys() <= described.keys()
    assert described.keys() <= {option for action in actions for option in action.option_strings}
    for option, action in own.items():
        meaning, default = described[option]
        assert all(f"`{choice}`" in meaning for choice in action.choices or ()), option
        if not isinstance(action.default, bool) and action.default not in (None, [], 0):
            assert default.strip(" `") == str(action.default), option


def test_the_masked_classes_are_those_of_the_code() -> None:
    classes = " ".join(map(str, MASKED_CLASSES))
    assert f"default: {classes} of a Scene Classification" in " ".join(build_parser().format_help().split())
    assert f"`{classes}` of a Scene Classification" in rows()["--mask_values"][1]
    (row,) = re.findall(
        r"^\| Scene Classification.*", (CLI.parent / "masks.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert f"| `{classes}`: " in row


def test_every_exit_code_is_described() -> None:
    described = dict(re.findall(r"^\| (\d+) \|(?: `(\w+)`)? \|", CLI.read_text(encoding="utf-8"), re.MULTILINE))
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.S2MatchError)]
    expected = {str(c.exit_code): c.__name__ for c in classes if c is not errors.S2MatchError}
    expected |= {str(code): "" for code in (0, 2, NO_REGISTRATION, ABOVE_LIMIT, INTERRUPTED, NO_READER)}
    expected |= {str(128 + number): "" for number in (signal.SIGHUP, signal.SIGTERM)}
    assert described == expected


def test_every_cause_of_a_refusal_is_described() -> None:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").split("## When there is no registration")[1]
    described = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(described) == sorted([*Reason, TOO_SMALL, LITTLE_CLEAR_GROUND])


def test_the_picture_of_the_layers_is_the_contract() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    picture = text.split("## Layers")[1].split("| package | task |")[0]
    drawn = [re.split(r" {2,}", line.strip())[0] for line in picture.splitlines() if line.startswith("    ")]
    assert drawn == layers
    described = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert {package for layer in layers for package in layer.split(" | ")} <= {*described}


def test_moved_modules_lie_where_the_changelog_says() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("### Moved modules")[1].split("###")[0]
    moved = re.findall(r"^\| `([\w.*]+)` \| (.+) \|$", text, re.MULTILINE)
    assert len(moved) > 60
    for _, homes in moved:
        for home in re.findall(r"`([\w.]+?)(?:\.\*)?`", homes):
            path = ROOT / "s2match" / home.replace(".", "/")
            assert path.is_dir() or path.with_suffix(".py").is_file(), home


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_names_in_the_text_exist(page: Path) -> None:
    """Modules and functions of the package, and files of the project."""
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`(s2match(?:\.\w+)+)", text):
        pkgutil.resolve_name(name)
    for name in re.findall(r"`((?:s2match|tests|benchmarks|training|docs)/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name


def test_the_version_is_the_same_everywhere() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_columns_of_a_list_of_pairs_are_described() -> None:
    text = CLI.read_text(encoding="utf-8").split("## Many pairs")[1].split("\n## ")[0]
    described = re.findall(r"^- `(\w+)`(?: \([^)]*\))?: (.*)$", text, re.MULTILINE)
    assert described == [(name, column.meaning) for name, column in COLUMNS.items()]
