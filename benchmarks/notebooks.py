"""Run the notebooks from top to bottom, and store them with their outputs.

python -m benchmarks.notebooks [Demo.ipynb dataset_preparation.ipynb]
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from benchmarks.networks import ROOT
from s2match.util.atomic_write import atomic_write

NOTEBOOKS = ("dataset_preparation.ipynb", "Demo.ipynb")
# Seconds that a cell may take.
_MOST_SECONDS = 600


def without_progress(notebook: Any) -> Any:
    """The notebook without standard error, where the bars are, and without the times of its cells."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def run(path: Path) -> None:
    """Run a notebook, and replace it by the one with its outputs."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    resources = {"metadata": {"path": str(path.parent)}}
    done = NotebookClient(notebook, timeout=_MOST_SECONDS, kernel_name="python3", resources=resources).execute()
    with atomic_write(path) as partial:
        nbformat.write(without_progress(done), partial)  # type: ignore[no-untyped-call]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the notebooks on the bundled sample, without a source of images."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notebooks", description="Run and store the notebooks.")
    parser.add_argument("notebooks", nargs="*", default=NOTEBOOKS, help="notebooks of the project")
    for name in ("S2MATCH_SOURCE", "S2MATCH_DATASET", "S2MATCH_CATALOGUE"):
        os.environ.pop(name, None)
    for name in parser.parse_args(arguments).notebooks:
        run(ROOT / name)


if __name__ == "__main__":
    main()
