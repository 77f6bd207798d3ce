"""Time and memory of a command."""

import json
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.networks import ROOT

_MEASURE = (
    "import json, resource, subprocess, sys, time; begin = time.perf_counter(); "
    "done = subprocess.run(json.loads(sys.argv[1]), capture_output=True, text=True); "
    "seconds, peak = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss; "
    "print(json.dumps([done.returncode, seconds, peak / 2**20, done.stderr]))"
)


@dataclass(frozen=True)
class Cost:
    """What a command took, and how it ended.

    Attributes:
        code: Exit code.
        seconds: Time.
        peak_gib: Peak memory in GiB.
        errors: Its standard error.
    """

    code: int
    seconds: float
    peak_gib: float
    errors: str


def measured(command: list[str]) -> Cost:
    """Run a command, given by its words, in the folder of the project, and measure it."""
    words = [sys.executable, "-c", _MEASURE, json.dumps(command)]
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    return Cost(*json.loads(done.stdout))


def command_cost(command: list[str]) -> tuple[float, float]:
    """Run a command and measure it.

    Args:
        command: Its words. Exit code 3 is accepted: with random weights there is no registration.

    Returns:
        Seconds, and peak memory in GiB.
    """
    cost = measured(command)
    assert cost.code in (0, 3), cost.errors
    return cost.seconds, cost.peak_gib
