"""Distributes cases to processes, and starts new ones for those that end."""

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty, SimpleQueue

from benchmarks.fuzz.cases import Kind, Outcome, Reader
from benchmarks.fuzz.worker import Plan, serve

# The process ends itself at the limit; one that cannot is killed after this many seconds more.
_GRACE_S = 10.0

# Longest start of a process: the import of PyTorch on a busy machine.
_START_S = 300.0

Job = tuple[str, int]


def jobs_of(readers: Sequence[Reader], cases: int) -> list[Job]:
    """Reader and number of each case; those of the readers in turn.

    Args:
        readers: The readers.
        cases: Number of cases of all readers together.
    """
    total = sum(reader.share for reader in readers)
    counts = [(reader.name, max(1, round(cases * reader.share / total))) for reader in readers]
    places = [((k + 0.5) / count, name, k) for name, count in counts for k in range(count)]
    return [(name, number) for _, name, number in sorted(places)]


def run_jobs(jobs: Sequence[Job], plan: Plan, workers: int) -> list[Outcome]:
    """Run cases in some processes.

    Returns:
        The outcomes, sorted by reader and number.
    """
    waiting: SimpleQueue[Job] = SimpleQueue()
    for job in jobs:
        waiting.put(job)
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=_drive, args=(waiting, outcomes, plan)) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes, key=lambda outcome: (outcome.reader, outcome.number))


def _drive(waiting: "SimpleQueue[Job]", outcomes: list[Outcome], plan: Plan) -> None:
    """Have cases run by one process after another, until none waits."""
    with tempfile.TemporaryDirectory(prefix="s2match-fuzz-") as folder:
        traces = Path(folder) / "trace.txt"
        process: _Process | None = None
        for job in _taken(waiting):
            process = process or _Process(plan, traces)
            outcome = process.run(job)
            if outcome.kind in (Kind.HANG, Kind.CRASH):
                process.end()
                process = None
            outcomes.append(outcome)
        if process is not None:
            process.end()


def _taken(waiting: "SimpleQueue[Job]") -> Iterator[Job]:
    while True:
        try:
            yield waiting.get_nowait()
        except Empty:
            return


class _Process:
    """A process that runs cases."""

    def __init__(self, plan: Plan, traces: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._traces, self._limit_s = traces, plan.limit_s
        self._process: BaseProcess = context.Process(target=serve, args=(other, plan, traces), daemon=True)
        self._process.start()
        other.close()
        if not self._connection.poll(_START_S):
            raise RuntimeError("a process of the fuzzer does not start")
        self._connection.recv()

    def run(self, job: Job) -> Outcome:
        """Run a case; a process that ended, or does not answer, is its outcome."""
        begun = time.perf_counter()
        try:
            self._connection.send(job)
            if self._connection.poll(self._limit_s + _GRACE_S):
                outcome: Outcome = self._connection.recv()
                return outcome
        # the process has ended
        except (EOFError, OSError):
            self._process.join(_GRACE_S)
        seconds = time.perf_counter() - begun
        kind = Kind.HANG if seconds >= self._limit_s else Kind.CRASH
        detail = f"{self._trace()}\nexit code {self._process.exitcode}"
        return Outcome(job[0], job[1], "", kind, detail, seconds, 0.0)

    def end(self) -> None:
        """End the process."""
        if self._process.is_alive():
            try:
                self._connection.send(None)
                self._process.join(2)
            except OSError:
                pass
            self._process.kill()
        self._process.join()
        self._connection.close()

    def _trace(self) -> str:
        """The innermost calls of the process; of a traceback of faulthandler they come first."""
        lines = [line.strip() for line in self._traces.read_text(errors="replace").splitlines()]
        own = [line for line in lines if "s2match/" in line]
        return "\n".join([*lines[:8], *own[:4][::-1]])
