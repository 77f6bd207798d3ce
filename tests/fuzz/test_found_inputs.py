"""Inputs that the fuzzer found, made small: each was an exception of Python or of a library once."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fuzz.file_seeds import FINGERPRINT, REFERENCE, TARGET, list_seeds, model_json, model_seeds, record_seeds
from s2match.batch.journal import Journal, PairFiles
from s2match.cli.config import read_options
from s2match.core.projection import crs_named
from s2match.correction.apply import apply_model
from s2match.correction.saved_model import read_model
from s2match.errors import CorrectionError, ModelFileError, OptionError, UnreadableImageError
from s2match.io.sources import open_source
from s2match.timeseries.manifest import Fingerprint, Manifest
from s2match.util.json_lines import JsonLines

DEEP = "[" * 100_000 + "]" * 100_000


def line_of(record: object) -> str:
    """A line of finished pairs with its right checksum, as after an edit by a program."""
    text = record if isinstance(record, str) else json.dumps(record)
    return f"{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()} {text}\n"


@pytest.fixture
def records(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A measured pair of a series, and a finished pair of a list."""
    series, pairs = record_seeds(tmp_path)
    lines = [series.files["series/pairs.jsonl"], pairs.files["pairs/pairs.jsonl"]]
    first, second = (json.loads(line.splitlines()[0].partition(b" ")[2]) for line in lines)
    return first, second


@pytest.mark.parametrize("text", [DEEP, "5", "[]", "{", "9" * 5000, '"a"'])
def test_lines_that_are_no_records_are_ignored(text: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(line_of(text) + line_of({"a": 1}))
    assert list(JsonLines(path)) == [{"a": 1}]


@pytest.mark.parametrize(
    "change",
    [
        {"observation": None},
        {"observation": {}},
        {"observation": {"shift": [1]}},
        {"observation": {"shift": [10**400, 0]}},
        {"observation": {"covariance": [[1, 2], [3]]}},
        {"observation": {"covariance": [[None, 2], [3, 4]]}},
        {"observation": {"status": "x"}},
        {"observation": {"status": []}},
        {"observation": {"matches": "5"}},
        {"observation": {"pixel": None}},
        {"observation": {"unknown": 1}},
    ],
)
def test_damaged_observations_are_matched_again(
    change: dict[str, Any], tmp_path: Path, records: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    record, _ = records
    observation = change["observation"]
    changed = {**record["observation"], **observation} if observation else observation
    (tmp_path / "fingerprint.json").write_text(json.dumps(FINGERPRINT))
    (tmp_path / "pairs.jsonl").write_text(line_of({**record, "observation": changed}))
    manifest = Manifest(tmp_path, Fingerprint(**FINGERPRINT))
    assert manifest.load() == {}
    (tmp_path / "pairs.jsonl").write_text(line_of(record))
    assert len(manifest.load()) == 1


@pytest.mark.parametrize(
    "content", [DEEP, "5", "{}", '{"options": [], "images": {}}', '{"options": {}, "images": {"a": 5}}', "\xff"]
)
def test_a_damaged_fingerprint_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "fingerprint.json").write_bytes(content.encode("latin-1"))
    (tmp_path / "pairs.jsonl").write_text("")
    with pytest.raises(OptionError, match="its fingerprint is damaged"):
        Manifest(tmp_path, Fingerprint(**FINGERPRINT))


@pytest.mark.parametrize(
    "change",
    [
        *({"name": []}, {"name": None}, {"fingerprint": 5}, {"files": []}, {"files": None}, {"row": 0}),
        *({"row": {}}, {"row": {"matches": "5"}}, {"row": {"unknown": 1}}),
    ],
)
def test_damaged_rows_are_matched_again(
    change: dict[str, Any], tmp_path: Path, records: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    _, record = records
    row = change.get("row", record["row"])
    row = {**record["row"], **row} if row else row
    (tmp_path / "pairs.jsonl").write_text(line_of({**record, **change, "row": row}))
    journal = Journal(tmp_path)
    pair = PairFiles("first", "f", ())
    assert journal.finished(pair) is None and journal.foreign(pair) == []
    (tmp_path / "pairs.jsonl").write_text(line_of(record))
    assert Journal(tmp_path).finished(pair) is not None


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("registration", "matrix_reference_file_px_to_target_file_px"), [[10**400, 0, 0], [0, 1, 0], [0, 0, 1]]),
        (("registration", "matrix_reference_map_to_target_map"), None),
        (("target", "whole_file", "transform"), None),
        (("target", "whole_file", "width_file_px"), float("inf")),
    ],
)
def test_models_with_impossible_numbers_are_refused(keys: tuple[str, ...], value: object, tmp_path: Path) -> None:
    content = json.loads(model_json())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path = tmp_path / "model.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ModelFileError, match="is damaged"):
        read_model(path)


@pytest.mark.parametrize("scale", [1e5, 1e30, 1e100])
def test_models_that_scale_absurdly_are_refused(scale: float, tmp_path: Path) -> None:
    model = next(seed for seed in model_seeds(tmp_path) if seed.entry == "translation.json")
    content = json.loads(model.files["translation.json"])
    matrix = [[scale, 0, 0], [0, scale, 0], [0, 0, 1]]
    content["registration"]["matrix_reference_file_px_to_target_file_px"] = matrix
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(CorrectionError, match="cannot be corrected: by the model a pixel would be"):
        apply_model(read_model(tmp_path / "model.json"), tmp_path / TARGET, tmp_path / "out", force=True)
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    "name", ["[1]", '["a"]', "[]", "null", "5", '{"a": 1}', '{"init": 5}', "[[1, 2]]", "\ud800", "\0"]
)
def test_names_of_reference_systems_that_are_other_json_are_unknown(name: str) -> None:
    assert crs_named(name) is None


@pytest.mark.parametrize(("name", "text"), [("a.toml", f"bands = {DEEP}"), ("a.json", f'{{"options": {DEEP}}}')])
def test_options_that_are_nested_deeply_are_refused(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(OptionError, match="nested too deeply"):
        read_options(path)


@pytest.fixture
def item(tmp_path: Path) -> dict[str, Any]:
    """A STAC Item beside its images."""
    seed = next(seed for seed in list_seeds(tmp_path) if seed.entry == "item.json")
    content: dict[str, Any] = json.loads(seed.files["item.json"])
    return content


@pytest.mark.parametrize(
    "change", [{"roles": [["a"]]}, {"roles": 5}, {"type": ["image/tiff"]}, {"href": 5}, {"href": None}]
)
def test_assets_of_other_types_are_refused(change: dict[str, Any], tmp_path: Path, item: dict[str, Any]) -> None:
    item["assets"]["visual"] |= change
    (tmp_path / "item.json").write_text(json.dumps(item))
    with pytest.raises(UnreadableImageError, match="is not a STAC Item"):
        open_source(str(tmp_path / "item.json"))


@pytest.mark.parametrize(
    "bands", [5, [5], [[]], {"scale": 1}, [{"scale": 10**400, "offset": 1}], [{"scale": 5e-324, "offset": 1}]]
)
def test_a_scale_that_is_none_is_not_used(bands: object, tmp_path: Path, item: dict[str, Any]) -> None:
    item["assets"]["visual"]["raster:bands"] = bands
    item["properties"] |= {"sat:relative_orbit": float("nan")}
    (tmp_path / "item.json").write_text(json.dumps(item))
    scene = open_source(str(tmp_path / "item.json"))
    assert scene.path == tmp_path / TARGET and scene.stated_scale is None
    assert open_source(str(tmp_path / "item.json#B08")).path == tmp_path / REFERENCE


def test_an_item_that_is_nested_deeply_is_refused(tmp_path: Path) -> None:
    (tmp_path / "item.json").write_text(DEEP)
    with pytest.raises(UnreadableImageError, match="is nested too deeply"):
        open_source(str(tmp_path / "item.json"))
