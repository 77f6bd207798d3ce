"""Pairs from a CSV, or from files that are matched with one reference."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from s2match.core.image_path import ImagePath, VirtualFile, file_key, image_path
from s2match.core.mask import AUTO
from s2match.core.product_names import PRODUCT
from s2match.errors import DatasetError, OptionError
from s2match.io.csv_rows import PAIR_NEEDS, CsvRow, read_rows

# Endings of names that are no part of the name of a product or an image.
_ENDINGS = (".safe", ".zip", ".jp2", ".tif", ".tiff", ".png", ".xml", ".json", ".vrt")

# Words in place of files: the mask of each image's product, and the other bands of the target's product.
_WORDS = (AUTO, PRODUCT)

# Between the names of reference and target.
_SEPARATOR = "__"


@dataclass(frozen=True)
class ListedPair:
    """A pair of a list; no file is opened.

    Attributes:
        name: Name of the folder of its results.
        reference: Path or URL of the reference.
        target: Path or URL of the target.
        masks: Masks of this pair alone.
        siblings: Files that are corrected with the target.
    """

    name: str
    reference: str
    target: str
    masks: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()


def list_pairs(sources: Sequence[str], reference: str | None = None) -> tuple[ListedPair, ...]:
    """The pairs that a user names.

    A CSV has the columns ``reference`` and ``target``, and optional columns ``name`` (folder of the results), ``mask``
    and ``apply_to`` (files, separated by semicolons). Its paths are relative to its folder. With a reference, the
    column ``reference`` may be missing or empty.

    Anything else is targets, matched with the reference: files, products, URLs, or patterns such as
    ``"dates/*_TCI.jp2"``. The reference itself is left out.

    Args:
        sources: The CSV alone; or targets and patterns.
        reference: The reference of the targets.

    Returns:
        The pairs in the order of the CSV or of the targets; files of a pattern are sorted.

    Raises:
        DatasetError: There is no pair, a row is not valid, or two pairs have one name.
        OptionError: Targets have no reference, or a CSV is not alone.
    """
    tables = [text for text in sources if text.lower().endswith(".csv")]
    if not tables:
        if reference is None:
            raise OptionError("--pairs takes a CSV of pairs; targets need --reference FILE, too.")
        return _pairs_with(reference, [target for text in sources for target in _targets(text)])
    if len(sources) > 1:
        raise OptionError(f"--pairs takes one CSV alone, or targets: {', '.join(sources)} is neither.")
    rows = read_rows(Path(tables[0]))
    pairs = [_pair_of(row, reference) for row in rows]
    _check_apart(pairs, [row.place for row in rows])
    return tuple(pairs)


def _pair_of(row: CsvRow, reference: str | None) -> ListedPair:
    """The pair of a row.

    Raises:
        DatasetError: The row is not valid.
    """
    own = row.text("reference")
    first = row.source(row.required("reference", PAIR_NEEDS)) if own or reference is None else reference
    second = row.source(row.required("target", PAIR_NEEDS))
    name = row.text("name") or f"{_stem(first)}{_SEPARATOR}{_stem(second)}"
    if name in (".", "..") or Path(name).name != name or "\\" in name:
        raise DatasetError(f"{row.place}: {name!r} is not the name of a folder.")
    masks, siblings = (
        tuple(text if text in _WORDS else row.source(text) for text in row.texts(column))
        for column in ("mask", "apply_to")
    )
    return ListedPair(name, first, second, masks, siblings)


def _check_apart(pairs: Sequence[ListedPair], places: Sequence[str]) -> None:
    """Check that no two pairs would write to one folder.

    Raises:
        DatasetError: Two pairs have one name.
    """
    seen: dict[str, str] = {}
    for pair, place in zip(pairs, places, strict=True):
        # file systems of macOS and Windows ignore the case
        key = pair.name.casefold()
        if key in seen:
            raise DatasetError(f"{place} has the name {pair.name!r} of {seen[key]}: add a column 'name'.")
        seen[key] = place


def _targets(text: str) -> list[str]:
    """The targets of a path, a URL or a pattern.

    Raises:
        DatasetError: Nothing matches the pattern.
    """
    path = image_path(text)
    if isinstance(path, VirtualFile) or not glob.has_magic(text) or os.path.lexists(path):
        return [text]
    # Path.glob knows no absolute patterns
    matches = sorted(match for match in glob.glob(text, recursive=True) if not Path(match).name.startswith("."))  # noqa: PTH207
    if not matches:
        raise DatasetError(f"No file matches {text!r}.")
    return matches


def _pairs_with(reference: str, targets: Sequence[str]) -> tuple[ListedPair, ...]:
    """Pairs of targets with a reference, named after the target.

    Raises:
        DatasetError: No target is left.
    """
    paths = {file_key(path): (target, path) for target in targets for path in [image_path(target)]}
    paths.pop(file_key(image_path(reference)), None)
    if not paths:
        raise DatasetError("There is no target besides the reference.")
    names = [_stem(target) for target, _ in paths.values()]
    if max(Counter(map(str.casefold, names)).values()) > 1:
        names = _long_names([path for _, path in paths.values()])
    return tuple(ListedPair(name, reference, target) for name, (target, _) in zip(names, paths.values(), strict=True))


def _long_names(paths: Sequence[ImagePath]) -> list[str]:
    """Names that contain the folders below the common one."""
    texts = [str(path) if isinstance(path, VirtualFile) else path.absolute().as_posix() for path in paths]
    parts = [_without_ending(text).split("/") for text in texts]
    common = len(list(takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False))))
    return ["_".join(names[common:]) for names in parts]


def _stem(source: str) -> str:
    """Name of a file or product without its ending."""
    # an asset of a STAC Item is named by its key
    name, _, asset = image_path(source).name.partition("#")
    return "_".join(filter(None, (_without_ending(name), asset)))


def _without_ending(name: str) -> str:
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return _without_ending(name[: -len(ending)])
    return name
