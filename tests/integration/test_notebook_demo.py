"""The demonstration runs from top to bottom on the bundled sample, and its stored outputs are small and clean."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

NOTEBOOK = ROOT / "Demo.ipynb"


def text_of(notebook: Any) -> str:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return "".join("".join(output.get("text", "")) for output in outputs)


@pytest.mark.slow
def test_demo_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("S2MATCH_DATASET", str(ROOT / "dataset" / "sample"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    done = client.execute()
    text = text_of(done)
    assert "18 images" in text and "registration  translation" in text and "CE90" in text
    images = [o for cell in done.cells for o in cell.get("outputs", []) if "image/jpeg" in o.get("data", {})]
    assert len(images) == 5
    assert not list(tmp_path.iterdir())


def test_stored_demo_is_small_and_clean() -> None:
    stored = NOTEBOOK.read_text(encoding="utf-8")
    notebook = json.loads(stored)
    assert 100_000 < len(stored) < 2_000_000
    assert "registration  translation" in text_of(notebook)
    assert not [path for path in (str(ROOT), "/home/", "/root/", "/tmp/", "/Users/") if path in text_of(notebook)]
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert outputs and not [output for output in outputs if output["output_type"] == "error"]
