"""Search a STAC API for images of a tile: https://github.com/radiantearth/stac-api-spec/tree/main/item-search."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from s2match.errors import PreparationError, UnreadableImageError
from s2match.io.http_text import read_url

EARTH_SEARCH = "https://earth-search.aws.element84.com/v1"
_COLLECTION = "sentinel-2-l2a"

# Keys of true-colour images.
_TRUE_COLOUR = ("visual", "TCI")

_RECORDED = "recorded_stac_search.json"


@dataclass(frozen=True)
class FoundImage:
    """A true-colour image of a catalogue.

    Attributes:
        name: Identifier of its Item.
        date: Day of the sensing time, YYYY-MM-DD.
        cloud_percent: Share of cloud; None if the catalogue does not say.
        source: What ``--images`` takes: URL of the Item with the key of the asset, or the path of the image.
    """

    name: str
    date: str
    cloud_percent: float | None
    source: str


def search_stac(api: str, tile: str, dates: tuple[str, str], cloud_percent: float = 100) -> tuple[FoundImage, ...]:
    """Search a catalogue for the images of a tile.

    Args:
        api: URL of a STAC API with the query extension, such as :data:`EARTH_SEARCH`.
        tile: Such as ``"36UXA"``.
        dates: First and last day, YYYY-MM-DD.
        cloud_percent: Largest share of cloud.

    Returns:
        The images, sorted by date.

    Raises:
        PreparationError: The catalogue cannot be reached, or its answer is not that of a STAC API.
    """
    body = {
        "collections": [_COLLECTION],
        "datetime": f"{dates[0]}T00:00:00Z/{dates[1]}T23:59:59Z",
        "query": {"grid:code": {"eq": f"MGRS-{tile.removeprefix('T')}"}, "eo:cloud_cover": {"lte": cloud_percent}},
        "limit": 100,
    }
    try:
        return _images_in(read_url(f"{api.rstrip('/')}/search", json.dumps(body).encode()))
    except UnreadableImageError as error:
        raise PreparationError(str(error)) from error


def recorded_images() -> tuple[FoundImage, ...]:
    """The images of an answer that was recorded from a local server with the bundled synthetic images, in 2023."""
    return _images_in(files("s2match.data").joinpath(_RECORDED).read_text(encoding="utf-8"))


def images_table(images: tuple[FoundImage, ...]) -> str:
    """A line for each image: date, cloud, name and what ``--images`` takes."""
    lines = [f"{'date':<11}{'cloud':>6}  image"]
    for image in images:
        cloud = "" if image.cloud_percent is None else f"{image.cloud_percent:.0f}%"
        lines.append(f"{image.date:<11}{cloud:>6}  {image.source}")
    return "\n".join(lines)


def _images_in(text: str) -> tuple[FoundImage, ...]:
    """The true-colour images of an answer, sorted by date; Items without one are left out.

    Raises:
        PreparationError: It is not the answer of a STAC API.
    """
    try:
        items = json.loads(text)["features"]
        images = [image for item in items if (image := _image_of(item)) is not None]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PreparationError("The answer is not that of a STAC API.") from error
    return tuple(sorted(images, key=lambda image: (image.date, image.name)))


def _image_of(item: dict[str, Any]) -> FoundImage | None:
    key = next((key for key in _TRUE_COLOUR if key in item["assets"]), None)
    if key is None:
        return None
    own = next((link["href"] for link in item.get("links", []) if link.get("rel") == "self"), None)
    source = item["assets"][key]["href"] if own is None else f"{own}#{key}"
    properties = item["properties"]
    cloud = properties.get("eo:cloud_cover")
    cloud_percent = float(cloud) if isinstance(cloud, int | float) else None
    return FoundImage(str(item["id"]), str(properties["datetime"])[:10], cloud_percent, str(source))
