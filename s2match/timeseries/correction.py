"""Corrected images of a series: each resampled once from its file onto one grid, or with a moved georeference.

An image whose shift is not significant is not moved.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath, file_key, image_path
from s2match.core.product_names import PRODUCT
from s2match.core.scene import Scene
from s2match.correction.pixel_map import require_same_footprint
from s2match.correction.request import (
    CUBIC,
    corrected_name,
    product_files,
    write_corrected,
)
from s2match.errors import CorrectionError, OutputError, UnreadableImageError
from s2match.io.reader import band_grids, read_grid, with_radiometry
from s2match.resampling.kernels import check_resampling
from s2match.timeseries.date_models import common_grids, corrected_shift, file_of, model_of, one_grid
from s2match.timeseries.images import SeriesImage, series_image
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateStatus
from s2match.util.atomic_write import create_folder
from s2match.util.progress import Progress, Stage
from s2match.util.threads import limit_threads

_LOG = logging.getLogger(__name__)

# Seconds of the correction of an image of 1098 x 1098 px, as those of the stages of a pair.
_IMAGE_SECONDS = 0.85


@dataclass(frozen=True)
class SeriesCorrection:
    """The corrected files of a series, and how they are made.

    Attributes:
        folder: Folder of the corrected files, ``NAME_coregistered.tif`` each.
        resampling: One of :data:`s2match.resampling.kernels.RESAMPLINGS`; None keeps the pixels of each file and moves
            its georeference.
        siblings: Other files (bands, masks) that are corrected with the image of their tile and date; ``product`` for
            the bands and masks of the product of each image.
        overwrite: Whether existing files may be replaced.
    """

    folder: Path
    resampling: str | None = CUBIC
    siblings: tuple[ImagePath, ...] = ()
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Accept paths and URLs as text, and refuse an unknown resampling.

        Raises:
            OptionError: The resampling is unknown.
            UnreadableImageError: A sibling is a URL whose scheme is not read.
        """
        object.__setattr__(self, "siblings", tuple(map(image_path, self.siblings)))
        if self.resampling is not None:
            check_resampling(self.resampling)


def check_correction(images: tuple[SeriesImage, ...], correction: SeriesCorrection) -> None:
    """Refuse a correction that cannot be made, before the images are matched.

    Images that cannot be read are not checked: they are not placed.

    Args:
        images: The images of the series.
        correction: The files to write.

    Raises:
        CorrectionError: A sibling belongs to no image, or does not have the footprint of its image; or the georeference
            of an image without one would be moved.
        OutputError: A file exists and must not be replaced, or the folder cannot be created.
        UnreadableImageError: A sibling cannot be read.
    """
    siblings = _siblings(images, correction.siblings)
    _check_outputs(_outputs(images, siblings, correction), correction)
    for image in images:
        if _lies_in(image.scene.path, correction.folder):
            raise OutputError(
                f"{correction.folder} is the folder of {image.scene.path.name}, where a later series would take the "
                "corrected files for images: choose another folder."
            )
    for image in images:
        try:
            file = read_grid(image.scene)
        except UnreadableImageError:
            continue
        if correction.resampling is None and not file.georeferenced:
            raise CorrectionError(f"{image.scene.path.name} has no georeference to correct: --coregister resamples it.")
        for path in siblings.get(image.index, []):
            require_same_footprint(read_grid(path), file)


@limit_threads()
def correct_series(
    result: SeriesResult, correction: SeriesCorrection, progress: Progress | None = None
) -> tuple[Path, ...]:
    """Write the placed images of a series corrected, each resampled once from its file.

    Images of one reference system, size and pixel size whose footprints overlap by half are written on one grid, see
    :func:`s2match.timeseries.date_models.common_grids`. So all dates of a tile have the same pixels. An image whose
    verdict is not *register* is not moved. If it has the pixels of that grid, they are copied.

    Args:
        result: The series.
        correction: The files to write.
        progress: Is told the stage; None for nobody.

    Returns:
        The corrected files, in the order of the images, each followed by its siblings.

    Raises:
        CorrectionError: A sibling belongs to no image, or does not have the footprint of its image.
        OutputError: A file exists and must not be replaced, or cannot be written.
        UnreadableImageError: A file cannot be read.
    """
    siblings = _siblings(result.images, correction.siblings)
    placed = [image for image, row in zip(result.images, result.dates, strict=True) if row.status is DateStatus.PLACED]
    outputs = _outputs(placed, siblings, correction)
    _check_outputs(outputs, correction)
    grids = common_grids(result)
    progress = progress or Progress()
    progress.expect(Stage.CORRECT, _IMAGE_SECONDS * len(placed))
    progress.begin(Stage.CORRECT)
    for number, image in enumerate(placed):
        progress.advance(number / len(placed), f"{number + 1} of {len(placed)}")
        own = {source: outputs[source] for source in (image.scene, *siblings.get(image.index, []))}
        _correct_image(result, image.index, grids[image.index], own, correction.resampling)
    for path in outputs.values():
        _LOG.info("wrote %s", path)
    return tuple(outputs.values())


def _correct_image(
    result: SeriesResult,
    index: int,
    grid: int,
    outputs: dict[Scene | ImagePath, Path],
    resampling: str | None,
) -> None:
    """Write an image and its siblings, the keys of ``outputs``; resampled ones on the pixels of another image."""
    file = file_of(result, index)
    onto = file if resampling is None else file_of(result, grid)
    shift = corrected_shift(result, index)
    stays = file.georeferenced and not shift.any() and one_grid(onto, file)
    model = model_of(shift, onto, file)
    for path, out in outputs.items():
        source = file if isinstance(path, Scene) else _sibling(result, path, file)
        # bands of several files can be copied into one file if their pixels are equal
        copied = stays and all(band.size == source.size for band in band_grids(source))
        write_corrected(model, source, out, None if copied else resampling)


def _sibling(result: SeriesResult, path: ImagePath, file: Grid) -> Grid:
    """Every pixel of a sibling.

    Raises:
        CorrectionError: It does not have the footprint of its image.
    """
    grid = read_grid(path)
    require_same_footprint(grid, file)
    return with_radiometry(grid, result.options.settings.read_options)


def _siblings(images: tuple[SeriesImage, ...], paths: tuple[ImagePath, ...]) -> dict[int, list[ImagePath]]:
    """Siblings by the index of the image with their tile and sensing time.

    Raises:
        CorrectionError: There is no such image, or there are several.
    """
    siblings: dict[int, list[ImagePath]] = {}
    if Path(PRODUCT) in paths:
        siblings = {image.index: list(product_files(image.scene)) for image in images}
        paths = tuple(path for path in paths if path != Path(PRODUCT))
    for path in paths:
        named = series_image(0, path)
        owners = [
            image.index
            for image in images
            if named.sensed is not None and image.sensed == named.sensed and named.tile in (None, image.tile)
        ]
        if len(owners) != 1:
            reason = "no image of the series has" if not owners else f"{len(owners)} images of the series have"
            raise CorrectionError(f"{path.name}: {reason} its tile and sensing time.")
        siblings.setdefault(owners[0], []).append(path)
    return siblings


def _outputs(
    images: Iterable[SeriesImage], siblings: dict[int, list[ImagePath]], correction: SeriesCorrection
) -> dict[Scene | ImagePath, Path]:
    """The corrected file of each image and of its siblings, by its source."""
    outputs: dict[Scene | ImagePath, Path] = {}
    for image in images:
        outputs[image.scene] = correction.folder / f"{image.scene.stem}_coregistered.tif"
        for path in siblings.get(image.index, []):
            outputs[path] = correction.folder / corrected_name(path)
    return outputs


def _lies_in(path: ImagePath, folder: Path) -> bool:
    return isinstance(path, Path) and path.resolve().parent == folder.resolve()


def _check_outputs(outputs: dict[Scene | ImagePath, Path], correction: SeriesCorrection) -> None:
    """Refuse outputs that exist, that have one name, or that are inputs.

    Raises:
        OutputError: There is one, or the folder cannot be created.
    """
    create_folder(correction.folder)
    names = [path.name for path in outputs.values()]
    for source, out in outputs.items():
        if names.count(out.name) > 1:
            raise OutputError(f"Two files of the series would be written as {out.name}.")
        if file_key(out) == file_key(source.path if isinstance(source, Scene) else source):
            raise OutputError(f"{out} is a file of the series itself: choose another folder.")
        if out.exists() and not correction.overwrite:
            raise OutputError(f"{out} exists: --overwrite replaces it.")
