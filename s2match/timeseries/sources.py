"""The images of a series from a folder, a CSV of images or a CSV of pairs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from s2match.core.image_path import file_key
from s2match.core.scene import Scene
from s2match.errors import DatasetError
from s2match.io.csv_rows import CsvRow, read_rows
from s2match.io.missing_paths import no_dataset_message
from s2match.io.products import is_product
from s2match.io.scene_files import product_scenes, true_colour_scenes
from s2match.io.sources import Bands, open_source
from s2match.timeseries.images import SeriesImage, series_image

# Suffixes of the images of a folder without true-colour images of ESA.
_SUFFIXES = (".jp2", ".tif", ".tiff", ".png")

# Columns of a CSV, for messages.
_NEEDED = "a list of images needs 'path', and a list of pairs 'reference' and 'target'"

_RELATIVE_ORBITS = range(1, 144)


@dataclass(frozen=True)
class SeriesSource:
    """The images of a series, and the pairs if the user has chosen them.

    Attributes:
        images: Two images or more, sorted by sensing time and name; images without a time come last.
        pairs: Indexes of the two images of each pair, the lower first, sorted; None if they are to be planned.
    """

    images: tuple[SeriesImage, ...]
    pairs: tuple[tuple[int, int], ...] | None = None


def read_source(source: str | Path, pattern: str | None = None, bands: Bands = None) -> SeriesSource:
    """List the images of a series; no image is opened.

    A folder: its true-colour images (:func:`s2match.io.scene_files.list_scenes`), of each tile and sensing time the
    finest. Without any, all its JP2, TIFF and PNG files. Without these, the images of the products in it, folders and
    zips.

    A CSV of images: a column ``path``, and optional columns ``mask`` (files, separated by semicolons), ``date``
    (ISO 8601), ``platform``, ``relative_orbit`` and ``tile``, which override what the file names say.

    A CSV of pairs: columns ``reference`` and ``target`` with paths. The images are all that occur.

    Paths in a CSV are relative to its folder. The order of the files or rows has no effect.

    Args:
        source: The folder, or the CSV.
        pattern: Pattern of the files of a folder, such as ``"NDVI_*.tif"`` or ``"*/TCI.tif"``; None: as above.
        bands: Bands of each image, see :func:`s2match.io.sources.open_source`.

    Raises:
        DatasetError: The source does not exist or has fewer than two images, or a row of the CSV is not valid.
    """
    source = Path(source)
    if source.suffix.lower() == ".csv" and not source.is_dir():
        rows = read_rows(source)
        columns = rows[0].cells.keys()
        if "path" not in columns and columns & {"reference", "target"}:
            return _source_of_pairs(source, rows, bands)
        return SeriesSource(_sorted_images(source, [_image_of(row, bands) for row in rows]))
    if source.is_file():
        raise DatasetError(f"{source} is neither a folder of images nor a list of images whose name ends in .csv.")
    return SeriesSource(
        _sorted_images(source, [series_image(0, scene) for scene in _scenes_of(source, pattern, bands)])
    )


def _scenes_of(folder: Path, pattern: str | None, bands: Bands) -> list[Scene]:
    """The images of a folder."""
    if pattern is not None:
        return [open_source(path, bands) for path in _matching(folder, pattern)]
    scenes = true_colour_scenes(folder, bands)
    if scenes:
        return _finest(scenes)
    files = [path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and _is_image_file(path)]
    return [open_source(path, bands) for path in files] or list(product_scenes(folder, bands))


def _matching(folder: Path, pattern: str) -> list[Path]:
    """The images of a folder that match a pattern: files and products.

    Raises:
        DatasetError: The folder does not exist, or nothing matches.
    """
    if not folder.is_dir():
        raise DatasetError(no_dataset_message(folder))
    try:
        matches = list(folder.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        raise DatasetError(f"{pattern!r} is not a pattern of files in a folder: {error}.") from error
    images = [path for path in matches if _is_image_file(path) or is_product(path)]
    if not images:
        raise DatasetError(f"No file in {folder} matches {pattern!r}.")
    return images


def _is_image_file(path: Path) -> bool:
    """Whether a path is a file that is not hidden, as macOS's "._" files are."""
    return path.is_file() and not path.name.startswith(".")


def _finest(scenes: Iterable[Scene]) -> list[Scene]:
    """Of true-colour images that differ only in the resolution at the end of the name, that with the finest one."""
    finest: dict[str, Scene] = {}
    for scene in sorted(scenes, key=lambda scene: scene.path.name):
        finest.setdefault(scene.path.stem.rsplit("_TCI", 1)[0], scene)
    return list(finest.values())


def _image_of(row: CsvRow, bands: Bands) -> SeriesImage:
    """The image of a row; its columns override what the names say."""
    scene = row.image(row.required("path", _NEEDED), bands)
    image = series_image(0, scene, tuple(map(row.file, row.texts("mask"))))
    date, orbit = row.text("date"), row.text("relative_orbit")
    return replace(
        image,
        sensed=image.sensed if date is None else _sensing_time(date, row),
        tile=row.text("tile") or image.tile,
        platform=row.text("platform") or image.platform,
        relative_orbit=image.relative_orbit if orbit is None else _relative_orbit(orbit, row),
    )


def _sensing_time(text: str, row: CsvRow) -> datetime:
    """A date or a time in ISO 8601, in UTC.

    Raises:
        DatasetError: It is neither.
    """
    try:
        sensed = datetime.fromisoformat(text)
    except ValueError as error:
        raise DatasetError(f"{row.place}: {text!r} is not a date: write YYYY-MM-DD or YYYY-MM-DDThh:mm:ss.") from error
    return sensed if sensed.tzinfo is None else sensed.astimezone(UTC).replace(tzinfo=None)


def _relative_orbit(text: str, row: CsvRow) -> int:
    """A relative orbit, such as 64 or R064.

    Raises:
        DatasetError: It is not a number from 1 to 143.
    """
    digits = text.upper().removeprefix("R")
    if not digits.isdecimal() or int(digits) not in _RELATIVE_ORBITS:
        raise DatasetError(f"{row.place}: {text!r} is not a relative orbit of Sentinel-2, a number from 1 to 143.")
    return int(digits)


def _sorted_images(source: Path, images: list[SeriesImage]) -> tuple[SeriesImage, ...]:
    """The images sorted by sensing time, name and path, with their indexes.

    Raises:
        DatasetError: There are fewer than two, or one of them twice.
    """
    if not images:
        sample = source / "sample"
        instead = f" Give {sample} for the bundled sample." if sample.is_dir() else ""
        raise DatasetError(f"The folder {source} contains no image.{instead}")
    if len(images) == 1:
        raise DatasetError(f"{source} has only one image, {images[0].scene.path.name}. A series needs two or more.")
    files = [file_key(image.scene.path) for image in images]
    if len(set(files)) < len(files):
        twice = min(file for file in set(files) if files.count(file) > 1)
        raise DatasetError(f"{source} lists {twice} twice.")
    return tuple(replace(image, index=index) for index, image in enumerate(sorted(images, key=_order)))


def _order(image: SeriesImage) -> tuple[bool, datetime, str, str]:
    path = image.scene.path
    return image.sensed is None, image.sensed or datetime.min, path.name, str(path)


def _source_of_pairs(source: Path, rows: list[CsvRow], bands: Bands) -> SeriesSource:
    """The images of a CSV of pairs, and the pairs.

    Raises:
        DatasetError: A row is not valid, has one image twice, or repeats a pair.
    """
    pairs: dict[frozenset[str], str] = {}
    scenes: dict[str, Scene] = {}
    for row in rows:
        ends = [row.image(row.required(column, _NEEDED), bands) for column in ("reference", "target")]
        pair = frozenset(file_key(scene.path) for scene in ends)
        if len(pair) == 1:
            raise DatasetError(f"{row.place}: both images are {ends[0].path}.")
        if pair in pairs:
            raise DatasetError(f"{row.place} repeats the pair of {pairs[pair]}.")
        pairs[pair] = row.place
        for scene in ends:
            scenes.setdefault(file_key(scene.path), scene)
    images = _sorted_images(source, [series_image(0, scene) for scene in scenes.values()])
    indexes = {file_key(image.scene.path): image.index for image in images}
    ordered = sorted(sorted(indexes[file] for file in pair) for pair in pairs)
    return SeriesSource(images, tuple((first, second) for first, second in ordered))
