"""The Processing script for QGIS, with stand-ins for the classes of QGIS: it is not run in QGIS here."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from conftest import ROOT

from s2match.cli.arguments import parse

SCRIPT = ROOT / "docs" / "qgis" / "s2match_algorithm.py"

# The parts of the command that the script uses, which writes what it is asked for.
COMMAND = """#!{python}
import pathlib, sys
words = sys.argv[1:]
print("verdict", *words)
for option in ("--tie_points", "--coregister"):
    if option in words and {code} != 13 and not (option == "--coregister" and {code} == 4):
        pathlib.Path(words[words.index(option) + 1]).touch()
sys.exit({code})
"""


class Parameter:
    """Any parameter of Processing: name, description, and options."""

    def __init__(self, name: str, description: str, *values: object, **options: object) -> None:
        self.name, self.description, self.values, self.options = name, description, values, options


class Algorithm:
    """The methods of QgsProcessingAlgorithm that the script calls."""

    def __init__(self) -> None:
        self.parameters: list[Parameter] = []

    def addParameter(self, parameter: Parameter) -> bool:  # noqa: N802
        self.parameters.append(parameter)
        return True

    def __getattr__(self, name: str) -> Any:
        assert name in {
            "parameterAsFileOutput",
            "parameterAsString",
            "parameterAsEnum",
            "parameterAsBool",
            "parameterAsRasterLayer",
            "parameterAsVectorLayer",
        }, name
        empty = {"parameterAsFileOutput": "", "parameterAsString": "", "parameterAsEnum": 0, "parameterAsBool": False}
        return lambda values, key, context: values.get(key, empty.get(name))


class Context:
    """The context of Processing, which remembers what to load."""

    class LayerDetails:
        def __init__(self, name: str, project: object, output: str) -> None:
            self.name, self.output = name, output

    def __init__(self) -> None:
        self.loaded: dict[str, str] = {}

    def project(self) -> None:
        return None

    def addLayerToLoadOnCompletion(self, path: str, details: LayerDetails) -> None:  # noqa: N802
        self.loaded[path] = details.name


class Feedback:
    """The log of Processing."""

    def __init__(self, canceled: bool = False) -> None:
        self.canceled = canceled
        self.infos: list[str] = []
        self.errors: list[str] = []
        self.pushInfo = self.pushCommandInfo = self.infos.append
        self.reportError = self.errors.append

    def isCanceled(self) -> bool:  # noqa: N802
        return self.canceled


class ProcessingError(Exception):
    """QgsProcessingException."""


@pytest.fixture
def algorithm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    core = ModuleType("qgis.core")
    for name in ("Boolean", "Enum", "FileDestination", "RasterLayer", "String", "VectorLayer"):
        setattr(core, f"QgsProcessingParameter{name}", Parameter)
    core.__dict__.update(
        QgsProcessingAlgorithm=Algorithm, QgsProcessingContext=Context, QgsProcessingException=ProcessingError
    )
    monkeypatch.setitem(sys.modules, "qgis", ModuleType("qgis"))
    monkeypatch.setitem(sys.modules, "qgis.core", core)
    spec = importlib.util.spec_from_file_location("s2match_algorithm", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    created = module.S2MatchAlgorithm().createInstance()
    created.initAlgorithm()
    yield created


def layer(path: str) -> SimpleNamespace:
    return SimpleNamespace(source=lambda: path)


def values_of(folder: Path, code: int = 0, **more: object) -> dict[str, object]:
    """Values of the parameters, with a command that ends with a code."""
    command = folder / "s2match"
    command.write_text(COMMAND.format(python=sys.executable, code=code))
    command.chmod(0o755)
    return {
        "REFERENCE": layer("/data/a b_TCI.jp2"),
        "TARGET": layer("/data/b_TCI.jp2"),
        "COMMAND": str(command),
        "TIE_POINTS": str(folder / "points.gpkg"),
        **more,
    }


def test_the_parameters(algorithm: Any) -> None:
    names = [parameter.name for parameter in algorithm.parameters]
    assert names == ["REFERENCE", "TARGET", "PRESET", "MASK", "FORCE", "COMMAND", "TIE_POINTS", "CORRECTED"]
    assert (algorithm.name(), algorithm.group(), algorithm.groupId()) == ("s2match_match", "s2match", "s2match")
    assert algorithm.displayName() and "LoFTR" in algorithm.shortHelpString()


def test_the_command_line_is_one_of_the_command(algorithm: Any, tmp_path: Path) -> None:
    """Every word is one that ``s2match`` takes; the layer of a GeoPackage is left out."""
    mask = layer("/data/clouds.gpkg|layername=clouds")
    values = values_of(tmp_path, PRESET=1, MASK=mask, FORCE=True)
    out = str(tmp_path / "out.tif")
    words = algorithm.command_line(values, Context(), values["TIE_POINTS"], out)
    assert words[0] == values["COMMAND"]
    arguments = parse(words[1:], "s2match")
    assert arguments.images == ["/data/a b_TCI.jp2", "/data/b_TCI.jp2"] and arguments.preset == "fast"
    assert arguments.mask == ["/data/clouds.gpkg"] and arguments.tie_points == [tmp_path / "points.gpkg"]
    assert arguments.coregister == tmp_path / "out.tif" and arguments.force and arguments.overwrite
    assert arguments.figure is False and arguments.show is False
    plain = algorithm.command_line(values_of(tmp_path), Context(), "p.gpkg", "")
    assert not {"--preset", "--mask", "--coregister", "--force"} & set(plain)
    with pytest.raises(ProcessingError, match="no command 'nowhere'"):
        algorithm.command_line({**values, "COMMAND": "nowhere"}, Context(), "p.gpkg", "")


@pytest.mark.parametrize(
    ("code", "names"), [(0, ["points.gpkg", "out.tif"]), (4, ["points.gpkg"]), (3, ["points.gpkg"])]
)
def test_what_was_written_is_loaded(code: int, names: list[str], algorithm: Any, tmp_path: Path) -> None:
    """A corrected image is loaded only if there is one; the log has the summary."""
    corrected = {} if code == 3 else {"CORRECTED": str(tmp_path / "out.tif")}
    context, feedback = Context(), Feedback()
    results = algorithm.processAlgorithm(values_of(tmp_path, code, **corrected), context, feedback)
    assert [Path(path).name for path in context.loaded] == names
    assert next(iter(context.loaded.values())) == "Tie points"
    assert results == dict(zip(("TIE_POINTS", "CORRECTED"), context.loaded, strict=False))
    assert any(line.startswith("verdict match --images") for line in feedback.infos) and not feedback.errors


def test_errors_and_cancel(algorithm: Any, tmp_path: Path) -> None:
    context, feedback = Context(), Feedback()
    with pytest.raises(ProcessingError, match="exit code 13"):
        algorithm.processAlgorithm(values_of(tmp_path, 13), context, feedback)
    assert feedback.errors and not context.loaded
    values = values_of(tmp_path)
    Path(str(values["COMMAND"])).write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    with pytest.raises(ProcessingError):
        algorithm.processAlgorithm(values, context, Feedback(canceled=True))
