"""Runs that are ended: by signals, which clean up, or by kill -9, after which the next run does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest
from small_commands import ENVIRONMENT, apply_words, heed_signals, partial_folders, run, start, write_inputs

from s2match.errors import OutputError
from s2match.util.partial_files import partial_folder, remove_leftovers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs processes of Linux")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


def started(inputs: Path, folder: Path) -> subprocess.Popen[str]:
    """A run that writes a corrected file, whose old one exists, or has just written it and waits for a reader."""
    (folder / "out.tif").write_text("old")
    os.mkfifo(folder / "pipe.json")
    outputs = ["--no-figure", "--json", "pipe.json", "--coregister", "out.tif", "--force", "--overwrite"]
    process = start([*apply_words(inputs), *outputs], folder, heed_signals)
    deadline = time.monotonic() + 60
    while not partial_folders(folder) and (folder / "out.tif").read_text(errors="replace") == "old":
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.002)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_clean_up(inputs: Path, tmp_path: Path, number: signal.Signals) -> None:
    process = started(inputs, tmp_path)
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and (out, errors) == ("", "interrupted\n")
    assert not partial_folders(tmp_path) and (tmp_path / "pipe.json").is_fifo()


def test_a_signal_just_before_the_removal_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is met while signals are not held yet."""

    def interrupted() -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), partial_folder(tmp_path):
        monkeypatch.setattr("s2match.util.partial_files.held", interrupted)
    assert not partial_folders(tmp_path)


def test_a_killed_run_leaves_the_old_file_and_the_next_run_cleans_up(inputs: Path, tmp_path: Path) -> None:
    """Not so the folders of runs that go on."""
    process = started(inputs, tmp_path)
    process.kill()
    process.communicate(timeout=60)
    if partial_folders(tmp_path):
        # killed before the file got its name
        assert (tmp_path / "out.tif").read_text() == "old"
    with partial_folder(tmp_path) as living:
        assert run([*apply_words(inputs), "--no-figure", "--json", "new.json"], tmp_path).returncode == 0
        assert partial_folders(tmp_path) == [living]
    assert json.loads((tmp_path / "new.json").read_text())["model_accepted"]


def test_folders_of_dead_processes_are_told_from_those_of_living_ones(tmp_path: Path) -> None:
    """By their computer, number and start time: a number may be given to another process."""
    lines = ["import os, sys", "from pathlib import Path", "from s2match.util.partial_files import partial_folder"]
    lines += ["context = partial_folder(Path())", "print(context.__enter__(), flush=True)"]
    lines += ["sys.stdin.read()", "os._exit(1)"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    words = [sys.executable, "-c", "\n".join(lines)]
    process = subprocess.Popen(words, cwd=tmp_path, env=ENVIRONMENT, text=True, **pipes)
    assert process.stdout is not None and process.stdin is not None
    name = process.stdout.readline().strip()
    prefix, computer, pid, begun, rest = name.split("-")
    folder = tmp_path / name
    assert prefix == ".s2match" and pid == str(process.pid) and folder.is_dir()
    reused = tmp_path / f"{prefix}-{computer}-{pid}-{int(begun) - 1}-{rest}"
    elsewhere = tmp_path / f"{prefix}-{'0' * 8}-{pid}-{int(begun) - 1}-{rest}"
    for other in (reused, elsewhere):
        (other / "more").mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([folder, elsewhere])
    process.stdin.close()
    process.wait(60)
    assert folder.is_dir()
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [elsewhere]


def test_ctrl_c_in_the_imports_is_no_traceback(tmp_path: Path) -> None:
    """At some times in the first second: while Python itself starts, nothing can be done."""
    for seconds in (0.2, 0.4, 0.7):
        process = start(["list", "--dataset_path", "nowhere"], tmp_path, heed_signals)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode in (130, 10) and "Traceback" not in errors


def test_nohup_stays_in_effect(inputs: Path, tmp_path: Path) -> None:
    """A signal that the shell has told a process to ignore does not end it."""
    words = [*apply_words(inputs), "--no-figure", "--json", "a.json"]
    process = start(words, tmp_path, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    for _ in range(10):
        time.sleep(0.1)
        process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0 and (tmp_path / "a.json").is_file()


def test_two_runs_in_one_folder(inputs: Path, tmp_path: Path) -> None:
    """Each file is one of theirs, whole."""
    words = [*apply_words(inputs), "--output", "a.png", "--json", "a.json", "--tie_points", "a.gpkg", "--overwrite"]
    words += ["--coregister", "a.tif", "--force"]
    names = ("a.png", "a.json", "a.gpkg", "a.tif")
    assert run(words, tmp_path).returncode == 0
    expected = {name: (tmp_path / name).read_bytes() for name in names}
    runs = [start(words, tmp_path) for _ in range(2)]
    assert [process.wait(120) for process in runs] == [0, 0]
    for process in runs:
        process.communicate()
    assert {name: (tmp_path / name).read_bytes() for name in names} == expected and not partial_folders(tmp_path)


# Runs the first commands, which import everything, and the last one as another user.
AS_ANOTHER_USER = """
import json, os, sys
from s2match.cli.main import main
first, last = json.loads(sys.argv[1])
assert main(first) == 0
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for words in last:
    print(main(words), file=sys.stderr)
"""


def open_to_others(folder: Path) -> None:
    """Let other users read a folder of pytest's, and those that it lies in, which are closed to them."""
    for each in (folder, *folder.parents):
        if each.stat().st_mode & 0o005 == 0o005:
            break
        each.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_that_an_ordinary_user_may_only_read(inputs: Path, tmp_path: Path) -> None:
    for folder in (inputs, tmp_path):
        open_to_others(folder)
    (tmp_path / "root").mkdir()
    outputs = ("--json a.json", "--tie_points a.gpkg", "--coregister a.tif --force", "--output a.png", "--report a")
    options = [option.split() for option in outputs]
    words = [[*apply_words(inputs), *option, *([] if "--output" in option else ["--no-figure"])] for option in options]
    commands = json.dumps([[*apply_words(inputs), "--out", "root", "--coregister", "root/a.tif", "--force"], words])
    code = [sys.executable, "-c", AS_ANOTHER_USER, commands]
    done = subprocess.run(code, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[1::2] == [str(OutputError.exit_code)] * len(options) and len(lines) == 2 * len(options), done.stderr
    assert all(line.startswith("error: Cannot write ") and "Permission denied." in line for line in lines[::2])
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
