"""Standard streams that are closed, full or not read, and outputs that are devices, pipes or links."""

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest
from small_commands import ENVIRONMENT, PROGRAM, apply_words, run, write_inputs

from s2match.cli.exit_codes import NO_READER
from s2match.cli.main import main
from s2match.errors import DatasetError, OutputError

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the devices of Linux")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


def shell(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run words of the program in a shell, with its redirections."""
    line = f"set -o pipefail; {' '.join(PROGRAM)} {words}"
    return subprocess.run(["bash", "-c", line], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--version >&-", 0),
        ("--version >/dev/full", OutputError.exit_code),
        ("--version <&- >&- 2>&-", 0),
        ("list --dataset_path nowhere 2>&-", DatasetError.exit_code),
        ("list --dataset_path nowhere 2>/dev/full", DatasetError.exit_code),
        ("--nonsense 2>/dev/full", 2),
        ("match --help >/dev/full", OutputError.exit_code),
    ],
)
def test_streams_that_take_nothing(tmp_path: Path, words: str, code: int) -> None:
    done = shell(words, tmp_path)
    assert done.returncode == code and "Traceback" not in done.stderr
    if "2>" not in words and code:
        assert done.stderr == "error: Cannot write to standard output: No space left on device.\n"


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """The pipe is closed before the program writes."""
    read, write = os.pipe()
    os.close(read)
    done = run(["match", "--help"], tmp_path, capture_output=False, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.returncode == NO_READER and done.stderr == ""


def test_json_in_devices_and_pipes(inputs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is there stays what it is; the JSON arrives whole."""
    words = [*apply_words(inputs), "--no-figure", "--quiet"]
    before = Path("/dev/null").stat().st_ino
    assert main([*words, "--json", "/dev/null"]) == 0
    assert Path("/dev/null").stat().st_ino == before and Path("/dev/null").is_char_device()
    assert main([*words, "--json", "/dev/full"]) == OutputError.exit_code
    assert capfd.readouterr().err == "error: Cannot write /dev/full: No space left on device.\n"
    os.mkfifo(tmp_path / "pipe")
    arrived: list[str] = []
    reader = threading.Thread(target=lambda: arrived.append((tmp_path / "pipe").read_text()))
    reader.start()
    assert main([*words, "--json", str(tmp_path / "pipe")]) == 0
    reader.join(30)
    assert json.loads(arrived[0])["model_accepted"] and (tmp_path / "pipe").is_fifo()


def test_json_on_standard_output_keeps_what_is_printed(inputs: Path, tmp_path: Path) -> None:
    """A file behind standard output is written where it is open, neither replaced nor cut."""
    with (tmp_path / "out.txt").open("w") as file:
        file.write("before\n")
        file.flush()
        words = [*apply_words(inputs), "--no-figure", "--quiet", "--json", "/dev/stdout"]
        done = run(words, tmp_path, capture_output=False, stdout=file)
    assert done.returncode == 0
    first, _, rest = (tmp_path / "out.txt").read_text().partition("\n")
    assert first == "before" and json.loads(rest)["model_accepted"]


@pytest.mark.parametrize("options", [["--tie_points", "p.gpkg"], ["--coregister", "p.tif", "--force"]])
def test_formats_that_need_a_file_are_refused_at_a_pipe(
    inputs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(options[1])
    assert main([*apply_words(inputs), "--no-figure", *options, "--overwrite"]) == OutputError.exit_code
    assert "its format needs a file, not a device or a pipe" in capsys.readouterr().err
    assert Path(options[1]).is_fifo() and [path.name for path in Path().iterdir()] == [options[1]]


def test_the_target_of_a_link_is_replaced(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link stays; a link to nothing creates the file; a link to itself is a sentence."""
    monkeypatch.chdir(tmp_path)
    Path("far").mkdir()
    Path("far/old.json").write_text("old")
    for link, target in (("a.json", "far/old.json"), ("b.tif", "far/new.tif"), ("loop.json", "loop.json")):
        Path(link).symlink_to(target)
    words = [*apply_words(inputs), "--no-figure"]
    assert main([*words, "--json", "a.json"]) == OutputError.exit_code
    assert Path("far/old.json").read_text() == "old"
    assert main([*words, "--json", "a.json", "--coregister", "b.tif", "--force", "--overwrite"]) == 0
    assert json.loads(Path("far/old.json").read_text())["model_accepted"]
    assert Path("a.json").is_symlink() and Path("b.tif").is_symlink() and Path("far/new.tif").is_file()
    capsys.readouterr()
    assert main([*words, "--json", "loop.json"]) == OutputError.exit_code
    assert capsys.readouterr().err == "error: Cannot write loop.json: Too many levels of symbolic links.\n"
    assert not list(tmp_path.rglob(".s2match-*"))


def test_nothing_of_the_user_is_deleted_by_a_report(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a picture with the name of a figure, nor a folder with such a name, not even with --overwrite."""
    monkeypatch.chdir(tmp_path)
    Path("report").mkdir()
    picture = Path("report/confidence.png")
    picture.write_text("mine")
    words = [*apply_words(inputs), "--no-figure", "--report", "report"]
    assert main(words) == OutputError.exit_code
    assert "confidence.png exists" in capsys.readouterr().err and [*Path("report").iterdir()] == [picture]
    picture.unlink()
    Path("report/vectors.png").mkdir()
    assert main([*words, "--overwrite"]) == OutputError.exit_code
    assert capsys.readouterr().err == "error: Cannot write report/vectors.png: it is a folder.\n"
    assert Path("report/vectors.png").is_dir()


def test_a_folder_in_the_way_of_a_series_is_met_before_the_work(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results" / "series.json").mkdir(parents=True)
    words = ["series", str(inputs), "--out", str(tmp_path / "results"), "--overwrite"]
    assert main(words) == OutputError.exit_code
    assert capsys.readouterr().err == f"error: Cannot write {tmp_path}/results/series.json: it is a folder.\n"
