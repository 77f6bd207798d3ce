"""The demonstration runs from top to bottom on the bundled sample, and its stored outputs are small and clean."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

NOTEBOOK = ROOT / "Demo.ipynb"


def text_of(notebook: Any) -> str:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return "".join("".join(output.get("text", "")) for output in outputs)


def images_of(notebook: Any) -> int:
    """Number of pictures in the outputs."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return sum("image/jpeg" in output.get("data", {}) for output in outputs)


def with_smaller_images(notebook: Any) -> Any:
    """The notebook with a ninth of the pixels to match; the stored numbers are those of the default command."""
    for size, smaller in (("IMAGE_SIZE = (1098, 1098)", "IMAGE_SIZE = (366, 366)"), ("=(366, 366)", "=(183, 183)")):
        (cell,) = (cell for cell in notebook.cells if size in cell.source)
        cell.source = cell.source.replace(size, smaller)
    return notebook


@pytest.mark.slow
def test_demo_runs_and_gives_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # importing it takes seconds, which every process that collects tests would spend
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("S2MATCH_DATASET", str(ROOT / "dataset" / "sample"))
    notebook = with_smaller_images(nbformat.read(NOTEBOOK, as_version=4))  # type: ignore[no-untyped-call]
    stored = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    done = client.execute()
    text = text_of(done)
    assert "18 images" in text and "registration  translation" in text and "CE90" in text
    assert "files: corrected.tif" in text
    assert images_of(done) == images_of(stored) == 9
    # the bars: nothing else says that a cell of half a minute works
    assert "Matching" in text and "Matching" not in text_of(stored)
    assert not list(tmp_path.iterdir())


def test_only_the_algorithm_and_the_library_are_imported() -> None:
    code = "\n".join(
        "".join(cell["source"])
        for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    )
    modules = set(re.findall(r"^(?:from|import) (\S+)", code, re.MULTILINE))
    assert modules == {"os", "tempfile", "pathlib", "s2match", "algorithm_creation"}


def test_stored_demo_is_small_and_clean() -> None:
    stored = NOTEBOOK.read_text(encoding="utf-8")
    notebook = json.loads(stored)
    assert 100_000 < len(stored) < 2_000_000
    assert "registration  translation" in text_of(notebook)
    assert not [path for path in (str(ROOT), "/home/", "/root/", "/tmp/", "/Users/") if path in text_of(notebook)]
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert outputs and not [output for output in outputs if output["output_type"] == "error"]
