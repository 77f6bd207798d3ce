"""What a whole command costs."""

import json
import subprocess
import sys

from benchmarks.networks import ROOT


def command_cost(command: list[str]) -> tuple[float, float]:
    """Seconds of a command, and the most memory it held, GB; random weights end it with 3, no registration."""
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
