"""Scenes from what a user names: a file, a product or a part of one, a zip, a STAC Item, a URL."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from s2match.core.band_choice import check_bands
from s2match.core.image_path import ImagePath, VirtualFile, file_key, image_path, zip_member
from s2match.core.scene import Scene, scene_of
from s2match.errors import OptionError, SameImageError, UnreadableImageError
from s2match.io.band_files import BandFile, band_name, band_of, in_order
from s2match.io.file_tree import ZIP_SUFFIX, FileTree, local_path
from s2match.io.missing_paths import no_image_message, several_images_message, several_products_message
from s2match.io.product_metadata import sensing_time
from s2match.io.products import (
    RED_GREEN_BLUE,
    TRUE_COLOUR,
    Granule,
    granule_of,
    granules_in,
    is_metadata,
    is_product,
    product_tree,
    products_in,
)

# Suffixes of images in a zip that holds no product.
_IMAGE_SUFFIXES = (".jp2", ".tif", ".tiff", ".png", ".img")

# Names of STAC Items: a file of JSON, or an Item of an API; the key of an asset may follow.
_STAC_ITEM = re.compile(
    r"\.json(\?[^#]*)?(#[^/]*)?$|^https?:/.*#[^/]*$|^https?:/.*/items/(?![^/]*\.(tiff?|jp2|png|vrt|zip)([?#]|$))[^/]+$",
    re.IGNORECASE,
)

Source = str | ImagePath | Scene
Bands = Sequence[str | int] | str | None


def open_source(source: Source, bands: Bands = None) -> Scene:
    """Scene of an image that a user names.

    Of a product, its zip or metadata, a granule or a folder of bands it is the true-colour image, or the bands chosen,
    each at its finest resolution.

    Args:
        source: A path, a URL, a STAC Item with or without the key of an asset (``item.json#visual``), or a scene.
        bands: One or three bands: names of bands of a product, or indexes or descriptions of bands of a file. Of a file
            that is a band of a product, they are those of the product. None: of a product the true-colour image, or
            bands 4, 3 and 2 if it has none; of a file those of :func:`s2match.io.bands.used_bands`; of a scene its own.

    Raises:
        UnreadableImageError: It is neither a path nor a URL that is read, or has no image, or several.
        OptionError: The bands are not one or three, or the product does not have them.
    """
    chosen = check_bands(bands)
    if isinstance(source, Scene):
        return _with_bands(source, chosen)
    if isinstance(source, str | os.PathLike) and is_stac_item(os.fspath(source)):
        from s2match.io.stac_items import stac_scene

        return _with_bands(stac_scene(os.fspath(source)), chosen)
    path = local_path(image_path(source))
    tree, folder = _container_of(path)
    if tree is None:
        granule = _granule_of_band(path, chosen)
        return _with_bands(scene_of(path), chosen) if granule is None else granule_scene(granule, chosen)
    granules = granules_in(tree, folder)
    if len(granules) == 1:
        return granule_scene(granules[0], chosen)
    if granules:
        raise UnreadableImageError(several_images_message(path, granules))
    return _with_bands(scene_of(_only_image(path, tree, folder)), chosen)


def is_stac_item(source: str) -> bool:
    """Whether a path or URL is that of a STAC Item, by its name."""
    return _STAC_ITEM.search(source) is not None


def is_stac_asset(source: str) -> bool:
    """Whether a path or URL is that of a STAC Item with the key of an asset."""
    return "#" in source and is_stac_item(source)


def source_path(source: str | ImagePath) -> ImagePath:
    """Path of a file that a user names: a path, a URL, or an asset of a STAC Item with its key.

    Without a key a ``.json`` is the file itself, such as a GeoJSON.

    Raises:
        UnreadableImageError: It is neither a path nor a URL that is read, or the Item does not have the asset.
    """
    if isinstance(source, str | os.PathLike) and is_stac_asset(os.fspath(source)):
        return open_source(source).path
    return local_path(image_path(source))


def open_pair(reference: Source, target: Source, bands: Bands = None) -> tuple[Scene, Scene]:
    """Scenes of two different images that a user names.

    Raises:
        SameImageError: Both are the same image.
        UnreadableImageError: One of them is not an image that is read.
        OptionError: One of them does not have the bands.
    """
    first, second = open_source(reference, bands), open_source(target, bands)
    if file_key(first.path) == file_key(second.path):
        raise SameImageError(f"Both images are {first.path}: choose two different images.")
    return first, second


def granule_scene(granule: Granule, bands: tuple[str, ...] = ()) -> Scene:
    """Scene of a granule: its true-colour image, or bands of it.

    Args:
        granule: The granule.
        bands: Names of one or three bands; empty: the true-colour image, or bands 4, 3 and 2, or its only band.

    Raises:
        OptionError: It does not have the bands.
    """
    files = granule.bands
    names = tuple(map(band_name, bands)) or _default_bands(files)
    missing = [name for name in names if name not in files]
    if missing:
        raise OptionError(
            f"{granule.path} has no band {', '.join(missing)}: choose of {', '.join(in_order(files))} by --bands."
        )
    chosen = [files[name] for name in names]
    finest = min(chosen, key=lambda file: file.pixel_m)
    scene = scene_of(granule.tree.path(finest.name))
    if scene.sensed is None:
        scene = replace(scene, sensed=sensing_time(granule))
    if names == (TRUE_COLOUR,):
        return scene
    notes = () if bands or names != RED_GREEN_BLUE else ("bands 4, 3 and 2, as the product has no true-colour image",)
    return replace(scene, bands=names, band_files=tuple(granule.tree.path(file.name) for file in chosen), notes=notes)


def _granule_of_band(path: ImagePath, bands: tuple[str, ...]) -> Granule | None:
    """The granule of a file of a band, where other bands are chosen; None if they are indexes of bands of the file."""
    if not bands or band_of(path) is None or (band_of(path) == TRUE_COLOUR and all(map(str.isdecimal, bands))):
        return None
    granule = granule_of(path)
    return None if granule is None or len(granule.files) == 1 else granule


def _default_bands(files: Mapping[str, BandFile]) -> tuple[str, ...]:
    if TRUE_COLOUR in files:
        return (TRUE_COLOUR,)
    return tuple(files) if len(files) == 1 else RED_GREEN_BLUE


def _with_bands(scene: Scene, bands: tuple[str, ...]) -> Scene:
    """A scene with other bands of its file.

    Raises:
        OptionError: Its bands are files of a product.
    """
    if not bands or scene.bands == bands or scene.bands == tuple(map(band_name, bands)):
        return scene
    if scene.band_files:
        raise OptionError(f"{scene.path} is a band of a product: give the product to choose other bands.")
    return replace(scene, bands=bands)


def _container_of(path: ImagePath) -> tuple[FileTree | None, str]:
    """The files in which an image is searched, and the folder of them; None if the path is the image itself.

    Raises:
        UnreadableImageError: A zip cannot be read, or a folder has several products.
    """
    if is_metadata(path):
        path = _parent(path)
    if isinstance(path, VirtualFile):
        place = product_tree(path)
        if place is None or place[1] in place[0].names:
            return None, ""
        return place
    if path.is_dir():
        # archives of products unpack to a folder of the product's name, in which the product lies
        inside = () if is_product(path) else products_in(path)
        place = product_tree(inside[0] if len(inside) == 1 else path)
        if len(inside) > 1 and place is not None and not granules_in(*place):
            raise UnreadableImageError(several_products_message(path, inside))
    elif path.suffix.lower() == ZIP_SUFFIX and path.is_file():
        place = product_tree(path)
    else:
        return None, ""
    assert place is not None, "only remote files have no tree"
    return place


def _parent(path: ImagePath) -> ImagePath:
    if not isinstance(path, VirtualFile):
        return path.parent
    if path.in_zip is None:
        return path
    archive, member = path.in_zip
    folder = str(PurePosixPath(member).parent)
    return zip_member(archive, "" if folder == "." else folder)


def _only_image(path: ImagePath, tree: FileTree, folder: str) -> ImagePath:
    """The only image of a zip that holds no product.

    Raises:
        UnreadableImageError: It has none, or several.
    """
    inside = [name for name in tree.names if not folder or name.startswith(f"{folder}/")]
    images = [name for name in inside if PurePosixPath(name).suffix.lower() in _IMAGE_SUFFIXES]
    if not tree.zipped or not images:
        raise UnreadableImageError(no_image_message(path))
    if len(images) > 1:
        raise UnreadableImageError(
            f"{path} holds {len(images)} images: give one of them, such as {tree.path(images[0])}."
        )
    return tree.path(images[0])
