"""Rows of a CSV that lists images or pairs."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from s2match.core.image_path import ImagePath, VirtualFile, image_path
from s2match.core.scene import Scene
from s2match.errors import DatasetError, S2MatchError, UnreadableImageError
from s2match.io.file_tree import local_path
from s2match.io.missing_paths import no_image_message
from s2match.io.sources import Bands, is_stac_asset, is_stac_item, open_source

# The columns of a list of pairs, for messages.
PAIR_NEEDS = "a list of pairs needs 'reference' and 'target'"

# Between the files of a cell.
_SEPARATOR = ";"


@dataclass(frozen=True)
class CsvRow:
    """A row of a CSV: its columns, and the place that error messages name.

    Attributes:
        cells: Text by column, without surrounding blanks.
        folder: Folder that paths are relative to.
        place: Such as "series.csv, line 3".
    """

    cells: Mapping[str, str]
    folder: Path
    place: str

    def text(self, column: str) -> str | None:
        """Text of a column; None if it is empty or missing."""
        return self.cells.get(column) or None

    def texts(self, column: str) -> list[str]:
        """Texts of a column that are separated by semicolons."""
        texts = [text.strip() for text in (self.text(column) or "").split(_SEPARATOR)]
        return [text for text in texts if text]

    def required(self, column: str, needed: str) -> str:
        """Text of a column.

        Args:
            column: Its name.
            needed: The columns that a list needs, as part of a sentence.

        Raises:
            DatasetError: The column is missing or empty.
        """
        if column not in self.cells:
            raise DatasetError(
                f"{self.place.partition(',')[0]} has no column {column!r}: {needed}. Its columns are "
                f"{', '.join(self.cells)}."
            )
        text = self.text(column)
        if text is None:
            raise DatasetError(f"{self.place}: the column {column!r} is empty.")
        return text

    def path(self, text: str) -> ImagePath:
        """A path, relative to the folder of the CSV, or a URL; whether it exists is not checked.

        Raises:
            DatasetError: It is a URL whose scheme is not read.
        """
        try:
            path = image_path(text)
        except UnreadableImageError as error:
            raise DatasetError(f"{self.place}: {error}") from error
        return path if isinstance(path, VirtualFile) else self.folder / path

    def source(self, text: str) -> str:
        """A path, relative to the folder of the CSV, or a URL, as text that names an image.

        Raises:
            DatasetError: It is a URL whose scheme is not read.
        """
        path = self.path(text)
        return text if isinstance(path, VirtualFile) else str(path)

    def file(self, text: str) -> ImagePath:
        """A path or URL, as :meth:`path`.

        Raises:
            DatasetError: There is no such file, or a URL whose scheme is not read.
        """
        if is_stac_asset(text):
            return self.image(text).path
        path = local_path(self.path(text))
        if isinstance(path, Path) and not path.is_file():
            raise DatasetError(f"{self.place}: there is no file {path}.")
        return path

    def image(self, text: str, bands: Bands = None) -> Scene:
        """The image of a path or URL, such as a product; see :func:`s2match.io.sources.open_source`.

        Raises:
            DatasetError: There is no such file or folder, or no image in it, or it does not have the bands.
        """
        path = local_path(self.path(text))
        if isinstance(path, Path) and not path.exists() and not is_stac_asset(text):
            raise DatasetError(f"{self.place}: there is no file {path}.")
        try:
            return open_source(self.source(text) if is_stac_item(text) else path, bands)
        except S2MatchError as error:
            raise DatasetError(f"{self.place}: {error}") from error


def read_rows(path: Path) -> list[CsvRow]:
    """The rows of a CSV, empty lines left out; column names in lower case.

    Raises:
        DatasetError: The file cannot be read, or has no row.
    """
    remote = image_path(path)
    if isinstance(remote, VirtualFile) and remote.in_zip is None:
        raise DatasetError(f"{remote} is a URL: a list is a file of this computer. The files in it may be URLs.")
    if not path.is_file():
        raise DatasetError(no_image_message(path))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows_of(path, file))
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"Cannot read {path}: {error}.") from error
    if not rows:
        raise DatasetError(f"{path} lists no image.")
    return rows


def _rows_of(path: Path, lines: Iterator[str]) -> Iterator[CsvRow]:
    reader = csv.reader(lines)
    header = [name.strip().lower() for name in next(reader, [])]
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells):
            columns = dict.fromkeys(header, "") | dict(zip(header, cells, strict=False))
            yield CsvRow(columns, path.parent, f"{path.name}, line {reader.line_num}")
