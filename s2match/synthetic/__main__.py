"""The sample from the command line."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from s2match.synthetic.write import write_sample


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the synthetic sample to a folder."""
    parser = argparse.ArgumentParser(
        prog="python -m s2match.synthetic", description="Write the synthetic Sentinel-2-like sample scenes."
    )
    parser.add_argument("folder", type=Path, help="folder to write the scenes to")
    for path in write_sample(parser.parse_args(arguments).folder):
        print(path)


if __name__ == "__main__":
    main()
