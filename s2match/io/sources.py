"""Scenes from what a user names: a file, a URL, or a name of GDAL's virtual file systems."""

from s2match.core.image_path import ImagePath, file_key
from s2match.core.scene import Scene, scene_of
from s2match.errors import SameImageError


def open_source(source: str | ImagePath | Scene) -> Scene:
    """Scene of an image that a user names.

    Args:
        source: A path, a URL, or a scene, which is returned as it is.

    Raises:
        UnreadableImageError: It is neither a path nor a URL that is read.
    """
    return source if isinstance(source, Scene) else scene_of(source)


def open_pair(reference: str | ImagePath | Scene, target: str | ImagePath | Scene) -> tuple[Scene, Scene]:
    """Scenes of two different images that a user names.

    Raises:
        SameImageError: Both are the same image.
        UnreadableImageError: One of them is neither a path nor a URL that is read.
    """
    first, second = open_source(reference), open_source(target)
    if file_key(first.path) == file_key(second.path):
        raise SameImageError(f"Both images are {first.path}: choose two different images.")
    return first, second
