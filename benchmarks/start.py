"""Time of what starts a session: the help, a list of images, and the import of the package.

python -m benchmarks.start [--repeats 11] [--before FOLDER] [--json FILE]

Each run is a process of its own. With ``--before``, the folder of another version of this repository, both versions
alternate. The list is of 50 images of the sample, of 1098 px.
"""

import argparse
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.markdown import ratio, row
from benchmarks.networks import ROOT
from benchmarks.result_file import write_result
from s2match.util.devices import pick_device

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "start.json"

_IMAGES = 50
_HELP, _LIST, _IMPORT = "`s2match --help`", f"`s2match list`, {_IMAGES} images", "`import s2match`"


@dataclass(frozen=True)
class Start:
    """Times of a process.

    Attributes:
        name: What it does.
        seconds: Median of its runs.
        python_s: Median of a process of Python that does nothing.
        before_s: Median of the version before; None if that was not measured.
    """

    name: str
    seconds: float
    python_s: float
    before_s: float | None


def measure(name: str, words: Sequence[str], repeats: int, before: Path | None = None) -> Start:
    """Run Python with words, in turn with the version before and with a program that does nothing; take the medians."""
    runs: dict[str, list[float]] = {"python": [], "now": [], "before": []}
    # not timed: writes bytecode
    for version in (ROOT, *([] if before is None else [before])):
        _seconds(words, version)
    for _ in range(repeats):
        runs["python"].append(_seconds(["-c", "pass"], ROOT))
        runs["now"].append(_seconds(words, ROOT))
        if before is not None:
            runs["before"].append(_seconds(words, before))
    then = statistics.median(runs["before"]) if before is not None else None
    return Start(name, statistics.median(runs["now"]), statistics.median(runs["python"]), then)


def commands(folder: Path) -> Mapping[str, list[str]]:
    """Arguments of Python by what they do; the images to list are written into a folder."""
    sample = sorted((ROOT / "dataset" / "sample").glob("*.jp2"))
    for number, path in zip(range(_IMAGES), itertools.cycle(sample), strict=False):
        shutil.copyfile(path, folder / f"{number:02d}_{path.name}")
    return {
        _HELP: ["-m", "s2match", "--help"],
        _LIST: ["-m", "s2match", "list", "--dataset_path", str(folder)],
        _IMPORT: ["-c", "import s2match"],
    }


def _seconds(words: Sequence[str], version: Path) -> float:
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words],
        cwd=version,
        # with bytecode, as users have
        env={**os.environ, "PYTHONPATH": str(version), "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - begin
    assert done.returncode == 0, done.stderr
    return seconds


def table(result: dict[str, Any]) -> str:
    """Markdown table of the times, with those of the version before."""
    lines = [row(["process", "before", "time", "Python alone"]), "|---|---:|---:|---:|"]
    for start in (Start(**facts) for facts in result["starts"]):
        before = "" if start.before_s is None else f"{start.before_s:.2f} s"
        now = f"{start.seconds:.2f} s{ratio(start.before_s, start.seconds)}"
        lines.append(row([start.name, before, now, f"{start.python_s:.2f} s"]))
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--before", type=Path, help="folder of another version, to compare with")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    before = None if arguments.before is None else arguments.before.resolve()
    with tempfile.TemporaryDirectory() as folder:
        starts = [measure(name, words, arguments.repeats, before) for name, words in commands(Path(folder)).items()]
    result = {
        "environment": environment(pick_device("auto")),
        "repeats": arguments.repeats,
        "starts": [asdict(start) for start in starts],
    }
    write_result(arguments.json, result)
    print(table(result))


if __name__ == "__main__":
    main()
