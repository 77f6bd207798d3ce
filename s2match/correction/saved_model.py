"""Models that a JSON keeps: written with a result, and read again to correct files later; docs/json.md has the keys."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.grid import Grid
from s2match.core.projection import crs_named, crs_text
from s2match.core.radiometry import AS_FILES_SAY, NodataSource, ReadOptions
from s2match.core.scene import scene_of
from s2match.correction.decision import DecisionCode
from s2match.errors import CorrectionError, ModelFileError
from s2match.io.borders import reading
from s2match.io.placement import is_usable
from s2match.registration.file_model import ControlPoints, FileModel, FrameModel
from s2match.registration.options import MODELS
from s2match.registration.verdict import Decision
from s2match.result import PairResult

# Schema of the JSON of a result: docs/result.schema.json. The version changes when a reader of the last one would fail.
SCHEMA, SCHEMA_VERSION = "s2match-result", 1

# Frames of a model in the JSON.
_FILE_PX, _ON_MAP = "reference_file_px_to_target_file_px", "reference_map_to_target_map"


@dataclass(frozen=True)
class SavedModel:
    """A model that corrects files without matching, see :func:`s2match.apply_model`.

    Attributes:
        file_model: The model in pixels of the two files, and on the map.
        verdict: The verdict on the pair.
        options: How the pixel values of the files are interpreted.
        not_better: Whether the target was corrected, and did not agree better with the reference.
    """

    file_model: FileModel
    verdict: Decision
    options: ReadOptions = AS_FILES_SAY
    not_better: bool = False

    @property
    def name(self) -> str:
        """Name of the model, such as ``"translation"``."""
        return self.file_model.name

    def apply(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) pixels (x, y) of the target's file for pixels (N, 2) of the reference's file, GDAL frame."""
        return self.file_model.apply(np.asarray(xy, np.float64))

    def invert(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) pixels (x, y) of the reference's file for pixels (N, 2) of the target's file: inverse of `apply`."""
        return self.file_model.invert(np.asarray(xy, np.float64))


def saved_model_of(result: PairResult | SavedModel) -> SavedModel:
    """The model of a pair, as its JSON keeps it; a model that was read from a JSON is its own.

    Raises:
        CorrectionError: There is no registration.
    """
    if isinstance(result, SavedModel):
        return result
    if result.file_model is None:
        raise CorrectionError("Nothing can be corrected without a registration.")
    return SavedModel(result.file_model, result.verdict.decision, result.settings.read_options)


def model_facts(model: FileModel) -> dict[str, Any]:
    """The model in file pixels and in map coordinates as JSON types."""
    return {
        f"matrix_{_FILE_PX}": None if model.file_px is None else model.file_px.matrix.tolist(),
        f"field_{_FILE_PX}": _field_facts(model.file_px),
        f"matrix_{_ON_MAP}": None if model.on_map is None else model.on_map.matrix.tolist(),
        f"field_{_ON_MAP}": _field_facts(model.on_map),
        "reference_map_crs": crs_text(model.reference_crs),
        "target_map_crs": crs_text(model.target_crs),
    }


def file_facts(file: Grid) -> dict[str, Any]:
    """Size and georeference of a whole file as JSON types."""
    return {
        "width_file_px": file.size[0],
        "height_file_px": file.size[1],
        "transform": None if file.transform is None else list(file.transform)[:6],
        "crs": crs_text(file.crs),
    }


def read_model(path: str | Path) -> SavedModel:
    """Read the model of a JSON that ``--json`` or :func:`s2match.write_json` wrote.

    Args:
        path: The JSON.

    Returns:
        The model; its ``apply`` maps pixels of the reference's file to pixels of the target's file.

    Raises:
        ModelFileError: The file cannot be read, is not such a JSON, has another schema version, or has no model.

    Examples:
        >>> import s2match
        >>> reference = "dataset/sample/SYNTHETIC-B_20240510T103621_TCI.jp2"
        >>> target = "dataset/sample/SYNTHETIC-B_20220829T103641_TCI.jp2"
        >>> result = s2match.match(reference, target, confidence=0.5, image_size=(512, 512))
        >>> s2match.write_json(result, "result.json")
        >>> model = s2match.read_model("result.json")
        >>> model.name
        'translation'
        >>> bool((model.apply([[120.5, 300.5]]) == result.file_model.apply([[120.5, 300.5]])).all())
        True
    """
    content = _read_json(Path(path))
    if content.get("schema") != SCHEMA or "schema_version" not in content:
        hint = ": match again, the version that wrote it kept less" if "registration" in content else ""
        raise ModelFileError(f"{path} is not a JSON of a result, as --json writes it{hint}.")
    if content["schema_version"] != SCHEMA_VERSION:
        raise ModelFileError(
            f"{path} has schema version {content['schema_version']}, and this version of s2match reads "
            f"{SCHEMA_VERSION}: match again."
        )
    if content.get("registration") is None:
        raise ModelFileError(f"{path} has no model: no registration was accepted.")
    try:
        return _saved_model(content)
    # an array that is nested too deeply is the last one
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else error
        raise ModelFileError(f"{path} is damaged: {what}.") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with reading(path, ModelFileError, text=True):
            data = path.read_bytes()
        content = json.loads(data.decode("utf-8"))
    # text of another encoding, no JSON, or brackets that are nested too deeply
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not a JSON of a result: it is not JSON.") from error
    if not isinstance(content, dict):
        raise ModelFileError(f"{path} is not a JSON of a result, as --json writes it.")
    return content


def _saved_model(content: dict[str, Any]) -> SavedModel:
    registration = content["registration"]
    name = registration["model"]
    if name not in MODELS:
        raise ValueError(f"the model {name} is unknown")
    reference, target = (_file_of(content[role]) for role in ("reference", "target"))
    file_px, on_map = (_frame_of(registration, frame) for frame in (_FILE_PX, _ON_MAP))
    if (on_map is None) != (None in (reference.transform, target.transform)) or (file_px is None and on_map is None):
        raise ValueError("its model has no frame")
    model = FileModel(name, reference, target, file_px, on_map)
    options = ReadOptions(_nodata_option(content["target"]))
    not_better = content.get("correction", {}).get("code") == DecisionCode.NOT_BETTER
    return SavedModel(model, Decision(content["verdict"]), options, not_better)


def _file_of(image: dict[str, Any]) -> Grid:
    """Every pixel of a file, from the JSON of its image."""
    whole = image["whole_file"]
    size = (int(whole["width_file_px"]), int(whole["height_file_px"]))
    if min(size) < 1:
        raise ValueError("the size of a file is not positive")
    transform = None if whole["transform"] is None else Affine(*_numbers(whole["transform"], (6,)).tolist())
    if transform is not None and not is_usable(transform, size):
        raise ValueError("a transform places no pixel on a map")
    return Grid(size, transform, _crs_of(whole["crs"]), size, scene_of(str(image["file"])))


def _frame_of(registration: dict[str, Any], frame: str) -> FrameModel | None:
    """The model in a frame; None if the JSON has none."""
    matrix, field = registration[f"matrix_{frame}"], registration[f"field_{frame}"]
    if matrix is None:
        return None
    numbers = _numbers(matrix, (3, 3))
    if np.linalg.det(numbers) == 0:
        raise ValueError("a matrix has no inverse")
    if field is None:
        return FrameModel(numbers)
    origin, column_step, row_step = (_numbers(field[key], (2,)) for key in ("origin", "column_step", "row_step"))
    coefficients = _numbers(field["coefficients"], (-1, -1, 2))
    control = ControlPoints(_pair(origin), _pair(column_step), _pair(row_step), coefficients)
    return FrameModel(numbers, control)


def _numbers(values: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Finite numbers of a shape, where -1 is any length.

    Raises:
        ValueError: They are not.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != len(shape) or any(want not in (-1, side) for want, side in zip(shape, array.shape, strict=True)):
        raise ValueError(f"an array has the shape {array.shape} instead of {shape}")
    if not np.isfinite(array).all():
        raise ValueError("a number is not finite")
    return array


def _pair(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _crs_of(text: str | None) -> CRS | None:
    crs = None if text is None else crs_named(text)
    if text is not None and crs is None:
        raise ValueError("a reference system is unknown")
    return crs


def _nodata_option(target: dict[str, Any]) -> float | None:
    """The nodata value that was given as an option; NaN for "none", and None without the option."""
    if target["nodata_from"] != NodataSource.OPTION:
        return None
    return float("nan") if target["nodata_value"] is None else float(target["nodata_value"])


def _field_facts(model: FrameModel | None) -> dict[str, Any] | None:
    if model is None or model.control is None:
        return None
    control = model.control
    return {
        "origin": list(control.origin),
        "column_step": list(control.column_step),
        "row_step": list(control.row_step),
        "coefficients": control.coefficients.tolist(),
    }
