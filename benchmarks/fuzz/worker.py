"""Runs cases in a process of its own, with limits on time and memory."""

import faulthandler
import gc
import io
import logging
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from benchmarks.fuzz.cases import Kind, Outcome, Reader, Seed
from s2match.errors import S2MatchError

# A case that takes longer, or has more memory resident, is a finding.
LIMIT_S, LIMIT_MB = 20.0, 2048

# Memory that a process may ask for besides that of its libraries. Not all of it becomes resident: threads reserve some.
_ASKED_MB = 3072

_MB = 1 << 20
_DETAIL_LINES = 12


@dataclass(frozen=True)
class Plan:
    """What cases are made of.

    Attributes:
        readers: The readers.
        seeds: The seeds of each reader by its name, see :func:`plan_of`.
        seed: Number that all cases depend on.
        limit_s: A case that takes longer is a finding.
    """

    readers: Sequence[Reader]
    seeds: Mapping[str, Sequence[Seed]] = field(repr=False)
    seed: int = 0
    limit_s: float = LIMIT_S


class Cases:
    """The cases of all readers: each is known by its reader and its number, and is the same in every run."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Keep what cases are made of, and the folder for their files."""
        self._plan, self._folder = plan, folder
        self._readers = {reader.name: reader for reader in plan.readers}

    def files_of(self, name: str, number: int) -> tuple[Seed, dict[str, bytes], Random]:
        """The seed and the mutated files of a case, and the random numbers that go on."""
        rng = Random(f"{self._plan.seed}/{name}/{number}")
        seed = rng.choice(self._plan.seeds[name])
        return seed, dict(self._readers[name].mutate(rng, seed)), rng

    def run(self, name: str, number: int) -> Outcome:
        """Run a case."""
        seed, files, rng = self.files_of(name, number)
        # names of files are not used again: GDAL keeps open files
        folder = self._folder / f"{name.replace(' ', '_')}-{number}" / "here"
        write_files(folder, files)
        _reset_peak()
        begun = time.perf_counter()
        kind, detail = _run(self._readers[name], folder / seed.entry, rng)
        seconds, peak_mb = time.perf_counter() - begun, _peak_mb()
        shutil.rmtree(folder.parent, ignore_errors=True)
        if kind in (Kind.ACCEPTED, Kind.REFUSED) and peak_mb > LIMIT_MB:
            kind, detail = Kind.MEMORY, f"peak of {peak_mb:.0f} MiB: {detail}"
        return Outcome(name, number, seed.name, kind, detail, seconds, peak_mb)


def serve(connection: Connection, plan: Plan, traces: Path) -> None:
    """Run the cases that arrive as (name of the reader, number) and send their outcomes, until None arrives.

    Args:
        connection: To the process that asks.
        plan: What cases are made of.
        traces: File for the traceback of a process that is ended by its limits. Cases are run in its folder, which
            the process that asks removes.
    """
    _prepare_process()
    with tempfile.TemporaryDirectory(dir=traces.parent) as name, traces.open("w") as trace:
        cases = Cases(plan, Path(name))
        faulthandler.enable(trace)
        connection.send(None)
        while (job := connection.recv()) is not None:
            trace.seek(0)
            trace.truncate()
            faulthandler.dump_traceback_later(plan.limit_s, exit=True, file=trace)
            outcome = cases.run(*job)
            faulthandler.cancel_dump_traceback_later()
            connection.send(outcome)


def plan_of(readers: Sequence[Reader], seed: int = 0, limit_s: float = LIMIT_S) -> Plan:
    """The plan of some readers, whose seeds are made."""
    seeds = {}
    for reader in readers:
        with tempfile.TemporaryDirectory(prefix="s2match-fuzz-") as folder:
            seeds[reader.name] = reader.seeds(Path(folder))
    return Plan(tuple(readers), seeds, seed, limit_s)


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files of a case."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _run(reader: Reader, entry: Path, rng: Random) -> tuple[Kind, str]:
    """What became of a case, and the message or the traceback."""
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            reader.run(entry, rng)
    except S2MatchError as error:
        return Kind.REFUSED, str(error)
    except MemoryError:
        gc.collect()
        return Kind.MEMORY, _last_lines(traceback.format_exc())
    # any other exception is what is looked for
    except BaseException:
        return Kind.EXCEPTION, _last_lines(traceback.format_exc())
    return Kind.ACCEPTED, ""


def _last_lines(text: str) -> str:
    lines = [line[:300] for line in text.strip().splitlines()]
    places = [line for line in lines if "s2match/" in line]
    return "\n".join([*places[-3:], *lines[-_DETAIL_LINES:]])


def _prepare_process() -> None:
    """Limit memory and threads, and silence the libraries."""
    # readers that need it have imported it
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    os.environ["MPLBACKEND"] = "agg"
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda raised: None
    with Path(os.devnull).open("w") as null:
        os.dup2(null.fileno(), 1)
        os.dup2(null.fileno(), 2)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now = int(status["VmData"].split()[0]) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (now + _ASKED_MB * _MB,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _reset_peak() -> None:
    # 5 resets the peak of the resident memory
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024
