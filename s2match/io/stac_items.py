"""Images of STAC Items: https://github.com/radiantearth/stac-spec. pystac is an extra, requirements-stac.txt."""

import json
import math
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from s2match.core.image_path import VirtualFile, image_path, url_of
from s2match.core.product_names import ProductNames
from s2match.core.radiometry import ReflectanceScale
from s2match.core.scene import Scene
from s2match.errors import UnreadableImageError
from s2match.io.http_text import read_url
from s2match.util.optional import import_optional

if TYPE_CHECKING:
    from pystac import Asset, Item

# Keys of true-colour images, in the order in which they are looked for; those of Earth Search, Planetary Computer and
# the Copernicus Data Space come first.
_TRUE_COLOUR = re.compile(r"^(visual|tci)([_-]?10m)?$", re.IGNORECASE)

# Suffixes and the begin of media types of assets that are images.
_SUFFIXES, _MEDIA_TYPE = (".tif", ".tiff", ".jp2", ".png", ".vrt"), "image/"

# Roles of assets that are pictures of an image.
_PICTURES = {"thumbnail", "overview"}

_SENTINEL_2 = re.compile(r"^sentinel-?2([a-d])$", re.IGNORECASE)


def stac_scene(source: str) -> Scene:
    """Scene of an asset of a STAC Item; the image is not opened.

    Tile, time, platform, relative orbit and processing baseline are those of the Item's properties.

    Args:
        source: Path or URL of the Item, with or without ``#`` and the key of the asset. Without a key it is the
            true-colour image: ``visual``, or ``TCI``.

    Raises:
        MissingExtraError: pystac is not installed.
        UnreadableImageError: The Item cannot be read, or does not have the asset.
    """
    href, _, key = source.partition("#")
    item = _read_item(href)
    asset = _asset(item, key, _shown(href))
    target = asset.get_absolute_href()
    if target is None:
        raise UnreadableImageError(f"The asset {key!r} of {_shown(href)} has a relative path, and the Item has none.")
    stated = _product(item)
    return Scene(
        image_path(target),
        stated.tile,
        stated.sensed,
        catalogue=stated,
        stated_scale=_reflectance_scale(asset, item.properties),
    )


def _read_item(href: str) -> "Item":
    """The Item at a path or URL."""
    pystac = import_optional("pystac", "STAC Items", "requirements-stac.txt")
    shown = _shown(href)
    href, text = _read_text(href)
    try:
        item = pystac.Item.from_dict(json.loads(text), preserve_dict=False)
        _check_assets(item)
    except RecursionError as error:
        raise UnreadableImageError(f"{shown} is not a STAC Item: it is nested too deeply.") from error
    except (ValueError, KeyError, TypeError, AttributeError, pystac.STACError, pystac.STACTypeError) as error:
        raise UnreadableImageError(f"{shown} is not a STAC Item: {str(error).rstrip('.')}.") from error
    item.set_self_href(href)
    return item


def _check_assets(item: "Item") -> None:
    """Check the types that pystac takes from the JSON as they are.

    Raises:
        TypeError: One is not that of a STAC Item.
    """
    for key, asset in item.assets.items():
        roles = asset.roles or []
        texts = [asset.href, asset.media_type or "", *(roles if isinstance(roles, list) else [roles])]
        if not isinstance(roles, list) or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"the asset {key!r} has a value of a wrong type")


def _read_text(href: str) -> tuple[str, str]:
    """The absolute path or URL of an Item, and its text."""
    path = image_path(href)
    if isinstance(path, VirtualFile):
        url = url_of(href) or ""
        if not url.startswith(("http://", "https://")):
            raise UnreadableImageError(f"{path} is not read: a STAC Item is a file or an http(s) URL.")
        return url, read_url(url)
    try:
        return str(path.absolute()), path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UnreadableImageError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error


def _shown(href: str) -> str:
    """A path or URL without credentials."""
    return str(image_path(href))


def _asset(item: "Item", key: str, shown: str) -> "Asset":
    """The asset of a key, or the true-colour image.

    Raises:
        UnreadableImageError: There is none.
    """
    if key in item.assets:
        return item.assets[key]
    images = [name for name, asset in item.assets.items() if _is_image(asset)]
    listed = f"Its images are {', '.join(images)}." if images else "It has no images."
    if key:
        raise UnreadableImageError(f"The STAC Item {shown} has no asset {key!r}. {listed}")
    true_colour = sorted(
        (name for name in images if _TRUE_COLOUR.match(name)), key=lambda name: name.lower() != "visual"
    )
    if not true_colour:
        raise UnreadableImageError(
            f"The STAC Item {shown} has no true-colour image: write the key of an asset behind it, as in "
            f"item.json#{images[0] if images else 'visual'}. {listed}"
        )
    return item.assets[true_colour[0]]


def _is_image(asset: "Asset") -> bool:
    """Whether an asset is an image to match, by its media type or the suffix of its name."""
    if _PICTURES & set(asset.roles or ()):
        return False
    suffix = PurePosixPath(urlsplit(asset.href).path).suffix.lower()
    return (asset.media_type or "").startswith(_MEDIA_TYPE) or suffix in _SUFFIXES


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def _tile(properties: dict[str, Any]) -> str | None:
    """Sentinel-2 tile by the properties of the extensions grid, mgrs and s2; None if they do not contain it."""
    code = str(properties.get("grid:code", ""))
    if code.startswith("MGRS-"):
        return f"T{code.removeprefix('MGRS-')}"
    if "s2:mgrs_tile" in properties:
        return f"T{str(properties['s2:mgrs_tile']).removeprefix('T')}"
    parts = [properties.get(f"mgrs:{name}") for name in ("utm_zone", "latitude_band", "grid_square")]
    return None if None in parts else f"T{str(parts[0]).zfill(2)}{parts[1]}{parts[2]}"


def _product(item: "Item") -> ProductNames:
    """Platform, tile, time, relative orbit and processing baseline by the properties of an Item."""
    properties = item.properties
    platform = _SENTINEL_2.match(str(properties.get("platform", "")))
    sensed = item.datetime or item.common_metadata.start_datetime
    orbit = properties.get("sat:relative_orbit")
    baseline = properties.get("s2:processing_baseline") or properties.get("processing:version")
    return ProductNames(
        None if platform is None else f"S2{platform[1].upper()}",
        _tile(properties),
        None if sensed is None else _utc(sensed),
        int(orbit) if isinstance(orbit, int | float) and math.isfinite(orbit) else None,
        None if baseline is None else str(baseline),
    )


def _reflectance_scale(asset: "Asset", properties: dict[str, Any]) -> ReflectanceScale | None:
    """Scale of reflectance by the raster extension; None without one.

    STAC 1.0 has ``scale`` and ``offset`` in ``raster:bands``, STAC 1.1 ``raster:scale`` and ``raster:offset`` in
    ``bands`` or in the asset. Earth Search states the offset even of images that it has subtracted it from already.
    """
    fields = asset.extra_fields
    bands = fields.get("raster:bands") or fields.get("bands")
    first = bands[0] if isinstance(bands, list) and bands and isinstance(bands[0], dict) else {}
    merged = {f"raster:{name}": first[name] for name in ("scale", "offset") if name in first} | {**fields, **first}
    scale, offset = merged.get("raster:scale"), merged.get("raster:offset", 0)
    if not isinstance(scale, int | float) or scale <= 0 or not isinstance(offset, int | float):
        return None
    applied = properties.get("earthsearch:boa_offset_applied") is True
    try:
        zero, one = 0.0 if applied else 0.0 - offset / scale, 1 / scale
    # whole numbers that are too large for a float
    except OverflowError:
        return None
    return ReflectanceScale(zero, one) if math.isfinite(zero) and 0 < one < math.inf else None
