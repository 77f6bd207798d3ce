"""Match a series of Sentinel-2 images with each other, and place every date by all the others.

python match_series.py dataset --workers 2
"""

import sys
from collections.abc import Sequence

from s2match.cli.process import run_and_exit


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    from s2match.cli.main import main as run
    from s2match.cli.options.parsers import SERIES_PROGRAM

    return run(["series", *(sys.argv[1:] if argv is None else argv)], SERIES_PROGRAM)


if __name__ == "__main__":
    run_and_exit(main)
