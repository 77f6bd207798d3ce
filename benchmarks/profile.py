"""Time of commands by stage, with their memory and the processors that they keep busy, quiet and beside other work.

python -m benchmarks.profile [--cases "default pair" …] [--repeats 3] [--size 10980] [--before FOLDER] [--json FILE]

Each run is a process of its own. With ``--before``, the folder of another version of this repository, both versions
alternate. Beside other work, a process that never rests runs for each processor. The cases without AVX-512 use the
instructions of processors that do not have it, which most do not. What is not measured is kept in the JSON.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import stages
from benchmarks.environment import environment
from benchmarks.markdown import ratio, row
from benchmarks.native import render_dates, write_pair
from benchmarks.networks import ROOT
from benchmarks.result_file import write_result
from benchmarks.stages import STAGES, START
from benchmarks.tiles import write_tiles
from s2match.util.devices import pick_device
from s2match.util.threads import processors

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "profile.json"

# What PyTorch and oneDNN use where there is no AVX-512.
WITHOUT_AVX512 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}

_ONE_PASS = ["--image_size", "1098", "1098"]
_SAMPLE = ["--dataset_path", str(ROOT / "dataset"), "--indexes_of_images", "15", "5", *_ONE_PASS]


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        name: Its name.
        images: Which images it matches: ``sample``, ``tiles`` (two full tiles) or ``bent`` (those of
            :mod:`benchmarks.native`).
        options: Its other options.
        busy: Whether other work runs on every processor.
        without_avx512: Whether it runs without AVX-512, and so in float32.
    """

    name: str
    images: str
    options: tuple[str, ...] = ()
    busy: bool = False
    without_avx512: bool = False


CASES = (
    Case("default pair", "sample"),
    Case("default pair at 256 px", "sample", ("--image_size", "256", "256")),
    Case("default pair, report", "sample", ("--report", "report")),
    Case("two full tiles at 1098", "tiles", tuple(_ONE_PASS)),
    Case("two full tiles, fast", "bent", ("--preset", "fast")),
    Case("two full tiles, thorough", "bent", ("--preset", "thorough")),
    Case("correction of a full tile", "tiles", (*_ONE_PASS, "--coregister", "corrected.tif", "--force")),
    Case("default pair, beside other work", "sample", busy=True),
    Case("default pair, without AVX-512", "sample", without_avx512=True),
    Case("two full tiles, thorough, without AVX-512", "bent", ("--preset", "thorough"), without_avx512=True),
)


@dataclass(frozen=True)
class Profile:
    """Medians of the runs of a case.

    Attributes:
        name: Name of the case.
        seconds: Time.
        stages_s: Seconds by stage, see :data:`benchmarks.stages.STAGES`.
        busy_processors: Processor seconds by seconds.
        peak_gib: Peak memory in GiB.
    """

    name: str
    seconds: float
    stages_s: dict[str, float]
    busy_processors: float
    peak_gib: float


def measure(case: Case, images: list[Path], repeats: int, versions: Sequence[Path] = (ROOT,)) -> list[Profile]:
    """Run a case with versions of the repository in turn, and take the medians of each."""
    runs: list[list[Profile]] = [[] for _ in versions]
    with _other_work(case.busy):
        for _ in range(repeats):
            for version, own in zip(versions, runs, strict=True):
                with tempfile.TemporaryDirectory() as folder:
                    own.append(_run(case, images, Path(folder), version))
    return [_medians(case, own) for own in runs]


def _write_images(case: Case, size: int, folder: Path) -> list[Path]:
    """Write the two images of a case into a folder; those of the sample exist."""
    return write_pair(folder, size, render_dates()) if case.images == "bent" else write_tiles(folder)


def _medians(case: Case, runs: list[Profile]) -> Profile:
    spent = {stage: statistics.median(run.stages_s.get(stage, 0.0) for run in runs) for stage in STAGES}
    seconds, busy = (statistics.median(getattr(run, name) for run in runs) for name in ("seconds", "busy_processors"))
    return Profile(case.name, seconds, spent, busy, max(run.peak_gib for run in runs))


def _run(case: Case, images: list[Path], folder: Path, version: Path) -> Profile:
    """Run a case once, in a folder of its own."""
    out = folder / "stages.json"
    inputs = ["--images", *map(str, images)] if images else _SAMPLE
    words = ["match", *inputs, *case.options, "--no-show", "--quiet"]
    # -P: the folder of the script has modules named as Python's own
    command = [sys.executable, "-P", str(Path(stages.__file__)), str(out), *words]
    variables = {**os.environ, "PYTHONPATH": str(version), **(WITHOUT_AVX512 if case.without_avx512 else {})}
    begin, used = time.perf_counter(), _processor_seconds()
    process = subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True)
    _, errors = process.communicate()
    seconds, used = time.perf_counter() - begin, _processor_seconds() - used
    assert process.returncode == 0, errors
    measured = json.loads(out.read_text())
    spent = measured["seconds"]
    # what comes before the first look is the start of Python
    spent |= {START: seconds - sum(spent.values())}
    return Profile(case.name, seconds, spent, used / seconds, measured["peak_gib"])


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _other_work(wanted: bool) -> Iterator[None]:
    """Keep every processor busy within the block, if that is wanted."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processors() * wanted)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def table(result: dict[str, Any]) -> str:
    """Markdown table of the cases: time and memory, those of the version before, and the longest stages."""
    head = ["command", "before", "time", "processors", "memory before", "memory", "longest stages"]
    lines = [row(head), "|---|" + "---:|" * (len(head) - 2) + "---|"]
    for case in result["cases"]:
        longest = sorted(case["stages_s"].items(), key=lambda stage: -stage[1])[:4]
        parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in longest)
        before = case["before"]
        faster = ratio(None if before is None else before["seconds"], case["seconds"])
        cells = [
            case["name"],
            "" if before is None else f"{before['seconds']:.1f} s",
            f"{case['seconds']:.1f} s{faster}",
        ]
        cells += [f"{case['busy_processors']:.1f}", "" if before is None else f"{before['peak_gib']:.2f} GB"]
        lines.append(row([*cells, f"{case['peak_gib']:.2f} GB", parts]))
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [case.name for case in CASES]
    parser.add_argument("--cases", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {names}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", type=int, default=10_980, help="side of the bent tiles")
    parser.add_argument("--before", type=Path, help="folder of another version, to compare with")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    arguments = parser.parse_args()
    chosen = [case for case in CASES if case.name in arguments.cases]
    versions = [ROOT] if arguments.before is None else [ROOT, arguments.before.resolve()]
    kept = json.loads(arguments.json.read_text(encoding="utf-8"))["cases"] if arguments.json.exists() else []
    measured: dict[str, dict[str, Any]] = {case["name"]: case for case in kept}
    with ExitStack() as folders:
        images: dict[str, list[Path]] = {"sample": []}
        for case in chosen:
            if case.images not in images:
                folder = Path(folders.enter_context(tempfile.TemporaryDirectory()))
                images[case.images] = _write_images(case, arguments.size, folder)
            profile, *before = map(asdict, measure(case, images[case.images], arguments.repeats, versions))
            measured[case.name] = profile | {"before": before[0] if before else None}
            print(table({"cases": [measured[case.name]]}).splitlines()[-1], flush=True)
            result = {
                "environment": environment(pick_device("auto")),
                "repeats": arguments.repeats,
                "bent_px": arguments.size,
                "cases": [measured[name] for name in names if name in measured],
            }
            write_result(arguments.json, result)
    print(table(result))


if __name__ == "__main__":
    main()
