"""Every command on a page is one that the programs take, and the commands on pairs of files do what the page says."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import geopandas
import numpy as np
import pytest
import shapely
from conftest import GRID, ROOT, UTM, texture, write_geotiff

import s2match
from s2match.api import MatchOptions
from s2match.cli.arguments import parse
from s2match.cli.main import main
from s2match.cli.options.parsers import COMMANDS, build_parser, command_parser
from s2match.cli.rio import s2match as rio_command

pytestmark = pytest.mark.usefixtures("coarse_figures")

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "training" / "README.md",
    ROOT / "dataset" / "README.md",
]
PROGRAMS = {"model_inference.py": [], "match_series.py": ["series"]}
# What stands for something in a command that is not meant to be typed as it is.
PLACEHOLDERS = {"...", "[OPTIONS]", "COMMAND", "…"}
# Options of other programs that pages name.
OF_OTHERS = {
    "--user",
    "--rm",
    "--extra-index-url",
    "--shell",
    "--nthreads",
    "--strict",
    "--constraint",
    "--require-hashes",
}


@dataclass(frozen=True)
class Shown:
    """A command on a page: the program, and the words after it."""

    program: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join([self.program, *self.words])


def lines_of_code(page: Path) -> Iterator[str]:
    """Lines of indented and of fenced blocks, and code within the text that has an option."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```(?:bash|sh)?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"^    +(\S.*)$", prose, re.MULTILINE)
    yield from (code for code in re.findall(r"`([^`]+)`", prose.replace("\n", " ")) if " --" in code or " -m " in code)


def shown_on(page: Path) -> list[Shown]:
    """Commands of Python and of the project on a page."""
    found = []
    for line in lines_of_code(page):
        for command in re.split(r" && |\s+#\s", line):
            if not re.match(r"(\.venv/bin/)?(python|s2match|rio|docker run|pip|mkdocs) ", command):
                continue
            words = [word for word in shlex.split(command) if word not in PLACEHOLDERS]
            if words[0] == "docker":
                words = words[words.index("s2match", words.index("-v")) :]
            found.append(Shown(words[0].removeprefix(".venv/bin/"), tuple(words[1:])))
    return found


def check(command: Shown) -> None:
    """Refuse a command that its program refuses, or whose files are not in the project."""
    program, words = command.program, [*command.words]
    if program == "python" and words[0] == "-m":
        program, words = words[1], words[2:]
    elif program == "python":
        program, words = words[0], words[1:]
        assert (ROOT / program).is_file() or program in PROGRAMS
    if program == "s2match" and not words:
        # only named
        return
    if program in PROGRAMS:
        parse([*PROGRAMS[program], *words], program)
    elif program == "s2match":
        parse(words, program)
    elif program == "rio" and words[0] == "s2match":
        rio_command.make_context("s2match", words[1:])
    elif program.partition(".")[0] in ("benchmarks", "training"):
        place = ROOT / program.replace(".", "/")
        sources = [*place.glob("*.py")] if place.is_dir() else [place.with_suffix(".py")]
        text = "".join(source.read_text(encoding="utf-8") for source in sources)
        assert all(f'"{word}"' in text for word in words if word.startswith("--")), words
    else:
        assert program in ("pip", "pytest", "rio", "mkdocs", "s2match.synthetic"), program
        files = [word for word in words if re.match(r"requirements.*\.txt|tests/", word)]
        assert all((ROOT / file).exists() for file in files), words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_taken_by_their_programs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # what --config names is read while the words are parsed
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path)
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "result.json").write_text('{"options": {"images": ["a_TCI.jp2", "b_TCI.jp2"]}}')
    for command in shown_on(page):
        try:
            check(command)
        except (SystemExit, click.exceptions.Exit) as end:
            # help or the version was asked for
            assert (end.code if isinstance(end, SystemExit) else end.exit_code) == 0, str(command)
        except (click.UsageError, s2match.S2MatchError) as error:
            pytest.fail(f"{command}: {error}")


def test_commands_are_found() -> None:
    """So that a change of the pages' form does not leave this file with nothing to check."""
    programs = [command.program for page in PAGES for command in shown_on(page)]
    assert programs.count("python") > 25 and programs.count("s2match") > 12 and "rio" in programs and "pip" in programs


def test_ways_to_name_images_are_taken() -> None:
    """The second column of the table in docs/data.md."""
    table = (ROOT / "docs" / "data.md").read_text(encoding="utf-8").split("| image | command |")[1].split("\n\n")[0]
    forms = re.findall(r"\| `(--[^`]+)`", table)
    assert len(forms) > 12
    for form in forms:
        parsed = parse(["match", *shlex.split(form)], "s2match") if "--dataset_path" not in form else None
        assert parsed is None or len(parsed.images) == 2


def all_options() -> set[str]:
    """Options of every program of the project."""
    parsers = [build_parser(), *map(command_parser, COMMANDS)]
    options = {option for parser in parsers for action in parser._actions for option in action.option_strings}
    options |= {option for parameter in rio_command.params for option in parameter.opts}
    sources = [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "training").rglob("*.py")]
    return options.union(*(re.findall(r'"(--[\w-]+)"', source.read_text(encoding="utf-8")) for source in sources))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_that_are_named_exist(page: Path) -> None:
    codes = re.findall(r"`([^`]+)`", page.read_text(encoding="utf-8"))
    named = {option for code in codes for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", code)}
    assert named <= all_options() | OF_OTHERS


# --- commands that are run ---


def write_config(folder: Path) -> None:
    """The file of options that docs/cli.md shows."""
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").split("## Options in a file")[1]
    (block,) = re.findall(r"\n\n((?:    \w+ = .*\n)+)", page)
    (folder / "options.toml").write_text(re.sub("^    ", "", block, flags=re.MULTILINE), encoding="utf-8")


SCENE = texture(272, 272, seed=1)


def write_input(path: Path) -> None:
    """A small file for a name on a page: the reference a, or a target that its georeference puts 30 m too far north."""
    path.parent.mkdir(exist_ok=True)
    first = path.name.startswith("a")
    scene = SCENE[:256, :256] if first else SCENE[3:259, :256]
    if path.suffix in (".gpkg", ".geojson"):
        ground = shapely.box(*GRID @ (200, 250), *GRID @ (250, 200))
        geopandas.GeoDataFrame({"name": ["x"]}, geometry=[ground], crs=UTM).to_file(path)
    elif "SCL" in path.name:
        classes = np.full((128, 128), 4, np.uint8)
        classes[:20] = 9
        write_geotiff(path, classes, GRID @ GRID.scale(2))
    elif "_20m" in path.name:
        write_geotiff(path, scene[::2, ::2], GRID @ GRID.scale(2))
    elif path.suffix == ".csv":
        path.write_text("reference,target\na_TCI.jp2,b_TCI.jp2\na_TCI.jp2,c_TCI.jp2\n", encoding="utf-8")
        for name in ("a_TCI.jp2", "b_TCI.jp2", "c_TCI.jp2"):
            write_input(path.parent / name)
    else:
        write_geotiff(path, np.stack([scene] * 3))


def inputs(arguments: argparse.Namespace) -> list[Path]:
    """Files that a command reads."""
    listed = [getattr(arguments, name, None) or [] for name in ("images", "mask", "apply_to", "files", "pairs")]
    single = [getattr(arguments, name, None) for name in ("reference", "model", "from_tie_points")]
    named = [str(path) for path in (*(one for many in listed for one in many), *single) if path is not None]
    return [Path(name.replace("*", "b")) for name in named if name not in ("auto", "product")]


def runnable(command: Shown) -> argparse.Namespace | None:
    """Arguments of a command on files with bundled weights; None for other commands."""
    words = [*command.words]
    if command.program == "python":
        if words[0] not in PROGRAMS:
            return None
        words = [*PROGRAMS[words[0]], *words[1:]]
    elif command.program != "s2match":
        return None
    if "--help" in words or "…" in str(command) or "--config" in words:
        return None
    try:
        arguments = parse(words, "s2match")
    except SystemExit:
        return None
    has_files = arguments.images or arguments.pairs or arguments.model
    products = any(path.suffix in (".SAFE", ".zip") for path in inputs(arguments))
    missing = arguments.model is not None and not arguments.model.exists()
    return None if arguments.series or products or missing or not has_files else arguments


# Pages whose commands are run, with the least number of them. What README.md has is run once.
RUN = {"README.md": 3, "docs/cli.md": 4, "docs/correction.md": 2, "docs/masks.md": 1}


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_commands_on_files_write_what_they_say(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, so that a later one finds what an earlier one wrote."""
    monkeypatch.chdir(tmp_path)
    ran = 0
    for command in shown_on(ROOT / page):
        arguments = runnable(command)
        if arguments is None or (page != "README.md" and command in shown_on(ROOT / "README.md")):
            continue
        for path in inputs(arguments):
            if not path.exists():
                write_input(path)
        words = list(command.words[1:] if command.program == "python" else command.words)
        code = main([*words, "--overwrite", *([] if arguments.model else ["--no-show"])], "s2match")
        assert code == 0, str(command)
        written = [arguments.json, arguments.report, arguments.out, *(arguments.tie_points or ())]
        written += [] if arguments.pairs else [arguments.coregister]
        assert all(Path(path).exists() for path in written if path is not None), str(command)
        ran += 1
    assert ran >= RUN[page]


# --- Python ---


def python_on(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if python_on(page)], ids=lambda page: page.name)
def test_names_of_the_library_in_python_exist(page: Path) -> None:
    """Of every block; tests of the library run those of README.md, docs/python.md and docs/report.md."""
    for block in python_on(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "s2match":
                assert hasattr(s2match, node.attr) or find_spec(f"s2match.{node.attr}"), node.attr


def test_options_of_the_library_exist() -> None:
    """The second column of the table in docs/python.md."""
    table = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").split("| command | Python |")[1].split("\n\n")[0]
    known: set[str] = {*MatchOptions.__annotations__, "apply_to"}
    cells = re.findall(r"^\| .* \| (`.*) \|$", table, re.MULTILINE)
    assert len(cells) > 7
    for code in (code for cell in cells for code in re.findall(r"`([^`]+)`", cell)):
        call: Any = ast.parse(f"f({code})", mode="eval").body
        assert {keyword.arg for keyword in call.keywords} <= known and not call.args, code
