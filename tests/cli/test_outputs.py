"""Where results go: ``--out``, ``--no-figure``, files that exist, ``--fail_above``, and the progress of every stage."""

import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, UTM, texture, write_geotiff

import s2match
from s2match.cli.exit_codes import ABOVE_LIMIT, NO_REGISTRATION
from s2match.cli.main import main
from s2match.errors import OptionError, OutputError
from s2match.outputs.report.names import report_files
from s2match.util.progress import Progress, Stage, progress_bar

pytestmark = pytest.mark.usefixtures("coarse_figures")

Capture = pytest.CaptureFixture[str]

SIZE = 192

# Where the georeference of the target is wrong: pixels to the right and down.
MOVED_PX = (4, 2)

MATCHED = [Stage.WEIGHTS, Stage.READ, Stage.MATCH, Stage.FIT]
CORRECTED = [Stage.CORRECT, Stage.COMPARE, Stage.REMATCH, Stage.SIBLINGS]
WRITTEN = [Stage.FIGURE, Stage.TABLES, Stage.REPORT]


@dataclass(frozen=True)
class Run:
    """A run of the command with all of its outputs, and what its progress reported."""

    folder: Path
    images: list[str]
    code: int
    reports: list[tuple[str, float]]

    @property
    def out(self) -> Path:
        return self.folder / "results" / "first"


def recorder(reports: list[tuple[str, float]]) -> object:
    """A progress bar that keeps what it is told."""

    @contextmanager
    def bar(stages: Iterable[Stage], show: bool) -> Iterator[Progress]:
        progress = Progress(stages, lambda text, fraction: reports.append((text, fraction)))
        yield progress
        progress.end()

    return bar


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("outputs")
    scene = texture(SIZE + 8, SIZE + 8, seed=1)
    images = [str(folder / name) for name in ("a.tif", "b.tif", "b_B11.tif")]
    moved = GRID @ Affine.translation(*MOVED_PX)
    for path, transform in zip(images, (GRID, moved, moved), strict=True):
        write_geotiff(Path(path), scene[:SIZE, :SIZE], transform, UTM)
    reports: list[tuple[str, float]] = []
    words = ["match", "--images", *images[:2], "--confidence", "0.2", "--no-show"]
    words += [
        "--out",
        str(folder / "results" / "first"),
        "--coregister",
        str(folder / "c.tif"),
        "--apply_to",
        images[2],
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("s2match.cli.pair.progress_bar", recorder(reports))
        code = main(words)
    return Run(folder, images[:2], code, reports)


def test_a_folder_gets_all_results_by_their_names(run: Run) -> None:
    assert run.code == 0
    assert {path.name for path in run.out.iterdir()} == {"result.png", "result.json", "tie_points.gpkg", "report"}
    facts = json.loads((run.out / "result.json").read_text(encoding="utf-8"))
    east, south = 10 * MOVED_PX[0], 10 * MOVED_PX[1]
    assert facts["displacement"]["mean_east_m"] == pytest.approx(east, abs=3)
    assert facts["displacement"]["mean_north_m"] == pytest.approx(-south, abs=3)
    assert report_files(run.out / "report")[0].exists()


def test_every_stage_is_announced_in_order_and_the_fraction_rises_to_1(run: Run) -> None:
    texts, fractions = zip(*run.reports, strict=True)
    announced = list(dict.fromkeys(stage for text in texts for stage in Stage if is_stage(text, stage)))
    assert announced == [*MATCHED, *CORRECTED, *WRITTEN]
    assert fractions[0] == 0 and fractions[-1] == 1 and texts[-1] == "Done"
    assert list(fractions) == sorted(fractions)
    # every stage moves the bar
    begun = [next(fraction for text, fraction in run.reports if is_stage(text, stage)) for stage in announced]
    assert begun == sorted(set(begun))


def test_the_library_announces_the_stages_of_a_correction(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a bar that is asked for."""
    reports: list[tuple[str, float]] = []
    monkeypatch.setattr("s2match.api.progress_bar", recorder(reports))
    done = s2match.coregister(*run.images, run.folder / "library.tif", confidence=0.2, show_progress=True)
    announced = list(dict.fromkeys(stage for text, _ in reports for stage in Stage if is_stage(text, stage)))
    assert announced == [*MATCHED, *CORRECTED[:-1]] and len(done.files) == 1
    assert [fraction for _, fraction in reports] == sorted(fraction for _, fraction in reports)


def is_stage(text: str, stage: Stage) -> bool:
    """Whether a text of the bar is that of a stage; "Matching" is the beginning of "Matching again"."""
    return text == stage or text.startswith(f"{stage} on ")


def test_results_are_never_replaced_unasked(run: Run, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2match.pipeline.pair_grids", None)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    page = run.out / "report" / "index.html"
    for words, files in (
        (["--json", run.out / "result.json", "--no-figure"], [run.out / "result.json"]),
        (["--output", run.out / "result.png"], [run.out / "result.png"]),
        (["--tie_points", run.out / "tie_points.gpkg", "--no-figure"], [run.out / "tie_points.gpkg"]),
        (["--report", run.out / "report", "--no-figure"], [page]),
        (["--coregister", run.folder / "c.tif", "--no-figure"], [run.folder / "c.tif"]),
        (["--out", run.out], [run.out / "result.png", run.out / "result.json", run.out / "tie_points.gpkg", page]),
    ):
        assert main(["match", "--images", *run.images, "--no-show", *map(str, words)]) == OutputError.exit_code
        names = [str(path) for path in files[:3]] + (["1 more"] if len(files) > 3 else [])
        existing = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        verb = "exists: --overwrite replaces it" if len(names) == 1 else "exist: --overwrite replaces them"
        assert capsys.readouterr().err == f"error: {existing} {verb}.\n"
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


def test_a_list_is_not_replaced_unasked(dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["list", "--dataset_path", str(dataset), "--json", str(tmp_path / "list.json"), "--quiet"]
    assert main(words) == 0
    assert main(words) == OutputError.exit_code
    assert capsys.readouterr().err == f"error: {tmp_path / 'list.json'} exists: --overwrite replaces it.\n"
    assert main([*words, "--overwrite"]) == 0


@pytest.fixture
def points(run: Run, tmp_path: Path) -> list[str]:
    """Words of a run that needs no network: tie points that are displaced by (4, 2) px, 44.7 m."""
    xy = np.random.default_rng(0).uniform(10, SIZE - 10, (60, 2))
    rows = [f"{x:.4f},{y:.4f},{x:.4f},{y:.4f}" for x, y in xy]
    path = tmp_path / "points.csv"
    path.write_text("\n".join(["X_IM_REF,Y_IM_REF,X_IM,Y_IM", *rows]) + "\n")
    return ["apply", str(path), *run.images, "--no-show"]


@pytest.mark.parametrize(
    ("limit", "code", "finding"),
    [
        ("5m", ABOVE_LIMIT, "a displacement of 44.7 m; --fail_above 5m"),
        ("4.4 px", ABOVE_LIMIT, "a displacement of 4.47 px; --fail_above 4.4px"),
        ("4.6px", 0, ""),
        ("45m", 0, ""),
    ],
)
def test_a_displacement_above_the_limit_is_an_exit_code(
    points: list[str], tmp_path: Path, capsys: Capture, limit: str, code: int, finding: str
) -> None:
    """And everything is written."""
    facts = tmp_path / "r.json"
    assert main([*points, "--no-figure", "--json", str(facts), "--fail_above", limit]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == (f"failed        {finding}" if finding else f"written       {facts}")
    assert json.loads(facts.read_text())["displacement"]["largest_m"] == pytest.approx(44.7, abs=0.05)


def test_a_limit_in_metres_fails_without_a_georeference(points: list[str], tmp_path: Path, capsys: Capture) -> None:
    scene = texture(SIZE, SIZE, seed=1)
    images = [str(write_geotiff(tmp_path / name, scene, None, None)) for name in ("c.tif", "d.tif")]
    words = [*points[:2], *images, "--no-show", "--no-figure", "--fail_above"]
    assert main([*words, "5m"]) == ABOVE_LIMIT
    assert "the displacement is not known in metres, without a georeference" in capsys.readouterr().out
    assert main([*words, "0.5px"]) == 0


def test_no_registration_comes_before_the_limit(run: Run, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text(
        "X_IM_REF,Y_IM_REF,X_IM,Y_IM\n10,10,10,10\n90,20,20,70\n30,80,90,40\n70,70,12,90\n50,5,5,50\n"
    )
    words = ["apply", str(tmp_path / "few.csv"), *run.images, "--no-show", "--no-figure", "--fail_above", "0px"]
    assert main(words) == NO_REGISTRATION


@pytest.mark.parametrize("text", ["5", "m", "-1m", "5km", "1.2.3m", "nanpx"])
def test_a_limit_is_a_length_with_a_unit(text: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["match", f"--fail_above={text}"])
    assert ended.value.code == 2
    assert f"{text!r} is not a length in metres or native pixels, such as 5m or 0.5px" in capsys.readouterr().err


def test_a_figure_is_written_or_not(points: list[str], tmp_path: Path, capsys: Capture) -> None:
    """In formats of lines and text, with equal bytes in equal runs, or not at all."""
    written = []
    for number in range(2):
        files = [tmp_path / f"{number}{suffix}" for suffix in (".pdf", ".svg")]
        for path in files:
            assert main([*points, "--output", str(path)]) == 0
        written.append([path.read_bytes() for path in files])
    assert written[0] == written[1]
    assert written[0][0].startswith(b"%PDF") and b"<svg" in written[0][1]
    capsys.readouterr()
    before = sorted(tmp_path.iterdir())
    assert main([*points, "--no-figure"]) == 0
    assert "written" not in capsys.readouterr().out and sorted(tmp_path.iterdir()) == before
    assert main([*points, "--no-figure", "--output", str(tmp_path / "x.png")]) == OptionError.exit_code
    assert "--output has no effect with --no-figure" in capsys.readouterr().err


def test_the_default_figure_is_replaced(points: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(points) == main(points) == 0
    assert main([*points, "--output", "result.png"]) == OutputError.exit_code


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_bar_names_the_stage_and_shows_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    moments = iter([0.0, 6.0, *[8.0] * 50])
    monkeypatch.setattr("s2match.util.progress.time.monotonic", lambda: next(moments))
    with progress_bar([Stage.MATCH, Stage.REMATCH]) as progress:
        progress.expect(Stage.MATCH, 3.0)
        progress.expect(Stage.REMATCH, 3.0)
        progress.begin(Stage.MATCH, "on cpu")
        progress.advance(1.0, "on cpu")
        progress.begin(Stage.REMATCH)
    lines = terminal.getvalue().replace("\r", "\n").splitlines()
    # half of the run took 6 s, and 2 s more have passed
    assert any(
        line.startswith("Matching on cpu") and " 50 %|" in line and line.endswith(", 00:04 left") for line in lines
    )
    assert any(line.startswith("Matching again") for line in lines)
    with progress_bar([Stage.MATCH], show=False) as silent:
        silent.begin(Stage.MATCH)
    assert terminal.getvalue().replace("\r", "\n").splitlines() == lines
