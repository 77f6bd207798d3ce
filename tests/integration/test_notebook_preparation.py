"""The preparation notebook runs from top to bottom without a network, and writes nowhere but into its dataset."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from http_server import serve

from s2match.dataset.chosen_pair import chosen_pair

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "dataset_preparation.ipynb"
NAMES = ("T36UXA_20180731T083601_TCI.jp2", "T36UYA_20160212T084052_TCI.jp2")


def write_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(1, 255, (3, 96, 96), dtype=np.uint8)
    with rasterio.open(path, "w", driver="JP2OpenJPEG", width=96, height=96, count=3, dtype="uint8") as file:
        file.write(pixels)


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Any:
    """Run a copy of the notebook in a folder of its own; return it with its outputs."""
    # importing it takes seconds, which every process that collects tests would spend
    import nbformat
    from nbclient import NotebookClient

    for name in ("S2MATCH_SOURCE", "S2MATCH_DATASET", "S2MATCH_CATALOGUE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    # no way out, should a cell try
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(folder.parent / "jupyter"))
    copy = Path(shutil.copy(NOTEBOOK, folder))
    notebook = nbformat.read(copy, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    return client.execute()


def text_of(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


def images_of(notebook: Any) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.data["image/jpeg"] for output in outputs if "image/jpeg" in output.get("data", {})]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


def test_without_a_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate(NAMES):
        write_image(folder / "dataset" / "sample" / name, seed)
    before = files_below(folder)
    notebook = run(folder, monkeypatch)
    text = text_of(notebook)
    assert "No source is set, so nothing was downloaded: these are the bundled synthetic images." in text
    assert "dataset/sample: 2 images" in text
    assert all(name in text for name in NAMES)
    assert len(images_of(notebook)) == 1
    assert files_below(folder) == sorted([*before, NOTEBOOK.name, "dataset/pair.csv"])
    reference, target = chosen_pair(folder / "dataset") or pytest.fail("no pair was chosen")
    assert (reference.path.name, target.path.name) == NAMES[::-1]


def test_without_a_network_the_answer_is_a_recorded_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(folder / "dataset" / "sample" / NAMES[0], 0)
    text = text_of(run(folder, monkeypatch, S2MATCH_CATALOGUE="http://127.0.0.1:9/v1"))
    assert "Cannot read http://127.0.0.1:9/v1/search: the server cannot be reached" in text
    assert "This answer was recorded from a local server with the bundled synthetic images instead." in text
    assert "There is one image only" in text
    assert "2023-01-26         dataset/sample/SYNTHETIC-B_20230126T104251_TCI.jp2" in text


def test_the_images_of_a_catalogue(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(folder / "dataset" / "sample" / NAMES[0], 0)
    with serve(tmp_path) as server:
        items = [
            {
                "id": f"S2A_36UXA_{day}",
                "properties": {"datetime": f"2018-08-{day}T08:36:01Z", "eo:cloud_cover": 3.2},
                "links": [{"rel": "self", "href": f"{server.url}/items/{day}"}],
                "assets": {"visual": {"href": f"{day}.tif"}},
            }
            for day in ("20", "10")
        ]
        server.answers["/search"] = json.dumps({"features": items}).encode()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        text = text_of(run(folder, monkeypatch, S2MATCH_CATALOGUE=server.url))
        (asked,) = server.posted
    assert f"{server.url} has 2 images of 36UXA:" in text and "recorded" not in text
    assert f"2018-08-10     3%  {server.url}/items/10#visual" in text
    assert f'--images "{server.url}/items/10#visual" "{server.url}/items/20#visual"' in text
    query = json.loads(asked)
    assert query["datetime"] == "2018-07-01T00:00:00Z/2018-09-30T23:59:59Z"
    assert query["query"] == {"grid:code": {"eq": "MGRS-36UXA"}, "eo:cloud_cover": {"lte": 20}}


def test_with_a_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "downloads"
    for seed, name in enumerate(NAMES):
        write_image(source / "product.SAFE" / "GRANULE" / "granule" / "IMG_DATA" / name, seed)
    offered, project = files_below(source), files_below(ROOT / "dataset")
    notebook = run(folder, monkeypatch, S2MATCH_SOURCE=str(source), S2MATCH_DATASET="images")
    assert "images: 2 images, 2 copied now and 0 there already." in text_of(notebook)
    assert len(images_of(notebook)) == 1
    assert files_below(folder) == sorted([NOTEBOOK.name, "images/pair.csv", *(f"images/{name}" for name in NAMES)])
    # a list of pairs, with paths that move with the folder
    assert (folder / "images" / "pair.csv").read_text(encoding="utf-8").split() == [
        "reference,target",
        ",".join(NAMES[::-1]),
    ]
    assert (files_below(source), files_below(ROOT / "dataset")) == (offered, project)


def test_stored_notebook_is_clean() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert len(text) < 400_000
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error"]
    shown = json.dumps([output for output in outputs if "image/jpeg" not in output.get("data", {})])
    assert not [path for path in (str(ROOT), "/home/", "/root/", "/tmp/", "/Users/") if path in shown]
    assert all("execution" not in cell["metadata"] for cell in notebook["cells"])
