"""``python -m s2match``."""

from s2match.cli.process import run_and_exit

if __name__ == "__main__":
    run_and_exit()
