"""The images of a dataset folder or its sample, and pairs of them by index."""

from pathlib import Path

from s2match.core.scene import Scene
from s2match.errors import DatasetError, ImageIndexError, SameImageError
from s2match.io.missing_paths import no_dataset_message
from s2match.io.scene_files import list_scenes
from s2match.io.sources import Bands

SAMPLE_FOLDER = "sample"


def open_dataset(folder: str | Path, bands: Bands = None) -> tuple[Path, tuple[Scene, ...]]:
    """List the images of a dataset folder, or those of the sample below it if it contains none.

    Args:
        folder: The dataset folder.
        bands: Bands of each image, see :func:`s2match.io.sources.open_source`.

    Returns:
        The folder of the images (``folder`` or ``folder/sample``), and at least one scene.

    Raises:
        DatasetError: The folder does not exist, or neither it nor its sample holds an image.
        OptionError: An image does not have the bands.
    """
    folder = Path(folder)
    scenes = list_scenes(folder, bands)
    if scenes:
        return folder, scenes
    sample = folder / SAMPLE_FOLDER
    scenes = list_scenes(sample, bands) if sample.is_dir() else ()
    if not scenes:
        raise DatasetError(no_dataset_message(folder))
    return sample, scenes


def pick_pair(scenes: tuple[Scene, ...], first: int, second: int) -> tuple[Scene, Scene]:
    """Pick two different scenes by their indexes.

    Args:
        scenes: The scenes of a dataset.
        first: Index of the reference, from 0.
        second: Index of the target, from 0.

    Returns:
        The reference and the target.

    Raises:
        DatasetError: The dataset has fewer than two images.
        ImageIndexError: An index is negative or too large; the message gives the range.
        SameImageError: Both indexes are equal.
    """
    if len(scenes) < 2:
        raise DatasetError("The dataset has only one image. A pair needs two.")
    for index in (first, second):
        if not 0 <= index < len(scenes):
            raise ImageIndexError(
                f"Image index {index} is out of range: the dataset has {len(scenes)} images, 0 to {len(scenes) - 1}."
            )
    if first == second:
        raise SameImageError(f"Both indexes are {first}: choose two different images.")
    return scenes[first], scenes[second]
