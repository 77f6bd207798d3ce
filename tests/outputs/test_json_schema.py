"""The JSON of every kind of result is valid by its schema, which describes every key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import GRID, ROOT, make_raster, texture
from pairs import corrected, shifted_pair

from s2match.core.matches import Matches, Provenance
from s2match.correction.decision import CorrectionOutcome, decide
from s2match.correction.request import CorrectionRequest
from s2match.correction.saved_model import SCHEMA, SCHEMA_VERSION, read_model
from s2match.errors import ModelFileError
from s2match.outputs.facts import correction_facts, facts, write_json
from s2match.registration.fit import fit
from s2match.registration.options import FitOptions
from s2match.result import PairResult, assemble
from s2match.settings import Settings

Document = dict[str, Any]
DOCUMENT: Document = json.loads((ROOT / "docs" / "result.schema.json").read_text(encoding="utf-8"))


def strict(schema: Any) -> Any:
    """A schema that allows no keys but those that it describes; the options are those of the command."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def validator_of(schema: Any) -> Any:
    """What checks documents by a schema that is a valid one."""
    # importing it takes seconds, which every process that collects tests would spend
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def fitted(geometry: str, wave_px: float = 0.0, crs: bool = True) -> PairResult:
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(0, 1, (1500, 2)) * [600, 400]
    wave = wave_px * np.stack([np.sin(xy0[:, 0] / 80), np.cos(xy0[:, 1] / 80)], axis=1)
    raster = make_raster(texture(600, 400), GRID) if crs else make_raster(texture(600, 400), GRID, None)
    xy1 = xy0 + (3, -2) + wave + rng.normal(0, 0.1, xy0.shape)
    matches = Matches(xy0, xy1, np.ones(len(xy0)), Provenance("sentinel2", "cpu", 0.8))
    model = fit(matches, FitOptions(geometry))
    return assemble(raster, raster, (raster, raster), matches, model, Settings(geometry=geometry))


def with_correction(better: bool, force: bool = False) -> Document:
    result = shifted_pair()
    improvement = corrected(result, better)
    outcome = CorrectionOutcome(decide(result.verdict, improvement, force), improvement)
    return facts(result) | correction_facts(CorrectionRequest(Path("out.tif"), (Path("band.tif"),)), outcome)


def without_anything() -> Document:
    result = shifted_pair(right=5, wrong=3)
    return facts(result) | correction_facts(
        CorrectionRequest(Path("out.tif"), resampling=None), CorrectionOutcome(decide(result.verdict, None))
    )


KINDS: dict[str, Callable[[], Document]] = {
    "translation": lambda: facts(shifted_pair()),
    "no registration": without_anything,
    "no matches": lambda: facts(shifted_pair(right=0, wrong=0)),
    "field": lambda: facts(fitted("field", wave_px=2.0)),
    "homography": lambda: facts(fitted("homography")),
    "no georeference": lambda: facts(shifted_pair(georeferenced=False)),
    "no reference system": lambda: facts(fitted("affine", crs=False)),
    "corrected": lambda: with_correction(better=True),
    "not better": lambda: with_correction(better=False),
    "on force": lambda: with_correction(better=False, force=True),
    "options": lambda: facts(shifted_pair()) | {"options": {"image_size": [512, 512], "mask": []}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_results_are_valid(kind: str, tmp_path: Path) -> None:
    content = KINDS[kind]()
    path = tmp_path / "result.json"
    write_json(shifted_pair(), path, content)
    document = json.loads(path.read_text())
    validator = validator_of(strict(DOCUMENT))
    assert [error.message for error in validator.iter_errors(document)] == []
    assert (document["schema"], document["schema_version"]) == (SCHEMA, SCHEMA_VERSION)
    if document["registration"] is None:
        with pytest.raises(ModelFileError, match="no registration was accepted"):
            read_model(path)
        return
    model = read_model(path)
    assert model.name == document["registration"]["model"] and model.verdict == document["verdict"]
    assert np.isfinite(model.apply([[10.0, 20.0]])).all()


def test_the_schema_is_one_that_can_fail() -> None:
    validator, closed = (validator_of(schema) for schema in (DOCUMENT, strict(DOCUMENT)))
    content = json.loads(json.dumps(KINDS["field"]()))
    assert validator.is_valid(content) and closed.is_valid(content)
    # programs ignore keys that they do not know
    assert validator.is_valid(content | {"more": 1}) and not closed.is_valid(content | {"more": 1})
    for name in DOCUMENT["required"]:
        assert not validator.is_valid({key: value for key, value in content.items() if key != name}), name
    for changes in ({"schema_version": 2}, {"verdict": "good"}, {"options": []}, {"matches": -1}):
        assert not validator.is_valid(content | changes)
    registration = content["registration"]
    frame = "matrix_reference_file_px_to_target_file_px"
    for damage in ({frame: [[1, 0, 0], [0, 1, 0]]}, {"model": "spline"}, {"inlier_share": 1.2}):
        assert not validator.is_valid(content | {"registration": registration | damage})


def test_the_page_names_the_schema() -> None:
    text = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    assert f"`schema` is `{SCHEMA}`, and `schema_version` is {SCHEMA_VERSION}." in text
    assert DOCUMENT["properties"]["schema"]["const"] == SCHEMA
    assert DOCUMENT["properties"]["schema_version"]["const"] == SCHEMA_VERSION
