"""Time and memory of a command."""

import json
import subprocess
import sys

from benchmarks.networks import ROOT


def command_cost(command: list[str]) -> tuple[float, float]:
    """Run a command and measure it.

    Args:
        command: Its words. Exit code 3 is accepted: with random weights there is no registration.

    Returns:
        Seconds, and peak memory in GiB.
    """
    measuring = (
        "import json, resource, subprocess, sys, time; begin = time.perf_counter(); "
        "done = subprocess.run(json.loads(sys.argv[1]), capture_output=True, text=True); "
        "assert done.returncode in (0, 3), done.stderr; "
        "print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measuring, json.dumps(command)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory
