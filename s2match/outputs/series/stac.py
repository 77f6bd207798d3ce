"""STAC Items of a series, with the fields of the accuracy extension."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from s2match.core.image_path import file_uri
from s2match.errors import OutputError
from s2match.outputs.csv_table import cell
from s2match.outputs.series.footprints import bounds_of, footprint_of
from s2match.outputs.series.wording import datum_text
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateRow, DateStatus
from s2match.util.atomic_write import write_text
from s2match.version import __version__

_LOG = logging.getLogger(__name__)

_VERSION = "1.1.0"
_ACCURACY = "https://stac-extensions.github.io/accuracy/v1.0.0-beta.1/schema.json"
_SATELLITE = "https://stac-extensions.github.io/sat/v1.0.0/schema.json"
_PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"

_MEDIA_TYPES = {".jp2": "image/jp2", ".tif": "image/tiff; application=geotiff"}


def write_stac(result: SeriesResult, folder: str | Path) -> tuple[Path, ...]:
    """Write a STAC Item for each placed image.

    The bias is the image's georeferencing error against the datum, the standard deviation its standard error, and the
    RMSE the root of the sum of their squares. An Item needs a date and a place on Earth: images without them have none
    and are named in a warning of the log.

    Args:
        result: The series.
        folder: Folder to write to; created if it is missing.

    Returns:
        The files, in the order of the images.

    Raises:
        OutputError: The folder or a file in it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {folder}: {error.strerror}.") from error
    written = []
    for row in result.dates:
        if row.status is not DateStatus.PLACED:
            continue
        item = stac_item(result, row)
        if item is None:
            _LOG.warning("%s has no STAC Item: its date or its place on Earth is unknown.", row.file)
            continue
        path = folder / f"{item['id']}.json"
        write_text(path, json.dumps(item, indent=2, allow_nan=False) + "\n")
        written.append(path)
    return tuple(written)


def stac_item(result: SeriesResult, row: DateRow) -> dict[str, Any] | None:
    """STAC Item of a placed image as JSON types; None if its date or its place on Earth is unknown."""
    image, footprint = result.images[row.index], footprint_of(result, row.index)
    if image.sensed is None or footprint is None:
        return None
    properties = {"datetime": f"{image.sensed:%Y-%m-%dT%H:%M:%SZ}"} | _platform(image) | _processing(result, row)
    accuracy = _accuracy(row)
    extensions = [
        *([_ACCURACY] if accuracy else []),
        *([] if image.relative_orbit is None else [_SATELLITE]),
        _PROCESSING,
    ]
    path = image.scene.path
    asset = {"href": file_uri(path), "title": path.name, "roles": ["data"]}
    media_type = _MEDIA_TYPES.get(path.suffix.lower())
    return {
        "type": "Feature",
        "stac_version": _VERSION,
        "stac_extensions": extensions,
        "id": f"{row.index:04d}_{path.stem}",
        "geometry": json.loads(shapely.to_geojson(footprint)),
        "bbox": bounds_of(footprint),
        "properties": properties | accuracy,
        "links": [],
        "assets": {"image": asset | ({} if media_type is None else {"type": media_type})},
    }


def _platform(image: SeriesImage) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if image.platform is not None:
        properties |= {"constellation": "sentinel-2", "platform": f"sentinel-{image.platform[1:].lower()}"}
        properties |= {"instruments": ["msi"]}
    if image.relative_orbit is not None:
        properties["sat:relative_orbit"] = image.relative_orbit
    return properties


def _processing(result: SeriesResult, row: DateRow) -> dict[str, Any]:
    """Processing baseline of a placed image, its verdict, and how its accuracy was estimated."""
    image = result.images[row.index]
    lineage = (
        f"Accuracy relative to {datum_text(result)}, by adjustment of matched pairs of {len(result.images)} images. "
        f"Verdict: {row.verdict}."
    )
    version = {} if image.baseline is None else {"processing:version": image.baseline}
    return {**version, "processing:lineage": lineage, "processing:software": {"s2match": __version__}}


def _accuracy(row: DateRow) -> dict[str, Any]:
    """Fields of the accuracy extension, in metres; none for an image without metres."""
    values = row.dx_m, row.dy_m, row.dx_std_m, row.dy_std_m
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    if len(numbers) < len(values):
        return {}
    names = ("geometric_x_bias", "geometric_y_bias", "geometric_x_stddev", "geometric_y_stddev")
    fields = dict(zip(names, numbers, strict=True)) | {"geometric_rmse": float(np.linalg.norm(numbers))}
    return {f"accuracy:{name}": cell(value) for name, value in fields.items()}
