"""Many pairs in Python: results one after the other, without files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from s2match.api import MatchOptions, as_paths, match_with, settings_with
from s2match.arrays import Image, as_files
from s2match.batch.sources import list_pairs
from s2match.errors import S2MatchError
from s2match.matching.caching_loader import caching_loader, default_memory
from s2match.pipeline import create_matcher
from s2match.result import PairResult
from s2match.settings import Settings


@dataclass(frozen=True)
class PairOutcome:
    """A pair of a list, matched or failed.

    Attributes:
        reference: The reference, as it was given.
        target: The target, as it was given.
        result: The matched pair; None if it failed.
        error: Why it failed; None if it did not.
    """

    reference: Image
    target: Image
    result: PairResult | None = None
    error: S2MatchError | None = None


def match_pairs(
    pairs: str | Path | Iterable[tuple[Image, Image]],
    settings: Settings | None = None,
    **options: Unpack[MatchOptions],
) -> Iterator[PairOutcome]:
    """Match many pairs one after the other, with the weights loaded once.

    Features of an image are kept for its next pairs, within half of the free memory. Nothing is written;
    ``s2match match --pairs`` writes results, and goes on where it was interrupted.

    Args:
        pairs: Pairs of a reference and a target, each as for :func:`s2match.match`; or the path of a CSV with the
            columns ``reference`` and ``target``, and optionally ``mask``.
        settings: Options as one value; None for the defaults.
        **options: Options of :func:`s2match.match`.

    Returns:
        Iterator over the outcome of each pair, as soon as it is matched. An image that cannot be used is no exception,
        but the ``error`` of its pair.

    Raises:
        S2MatchError: The CSV, the weights or an option cannot be used.

    Examples:
        >>> import s2match
        >>> folder = "dataset/sample/SYNTHETIC-B_"
        >>> pairs = [(f"{folder}20240510T103621_TCI.jp2", f"{folder}20220829T103641_TCI.jp2")]
        >>> [str(one.result.verdict.decision) for one in s2match.match_pairs(pairs, image_size=(512, 512))]
        ['register']
    """
    # options are checked before the first pair
    chosen = settings_with(settings, options)
    listed = list(_listed(pairs))
    return _outcomes(listed, chosen, options)


def _outcomes(
    listed: Iterable[tuple[Image, Image, tuple[str, ...]]], settings: Settings, options: MatchOptions
) -> Iterator[PairOutcome]:
    load_matcher = caching_loader(create_matcher, default_memory())
    common = as_paths(options.get("mask", ()))
    rest: MatchOptions = {
        "mask_values": options.get("mask_values"),
        "mask_clouds": options.get("mask_clouds", False),
        "show_progress": options.get("show_progress", False),
    }
    for reference, target, masks in listed:
        # weights that cannot be loaded are an error of all pairs
        load_matcher(settings)
        try:
            with as_files(reference, target) as files:
                result = match_with(files, settings, {**rest, "mask": [*common, *masks]}, load_matcher)
        except S2MatchError as error:
            yield PairOutcome(reference, target, error=error)
        else:
            yield PairOutcome(reference, target, result)


def _listed(pairs: str | Path | Iterable[tuple[Image, Image]]) -> Iterator[tuple[Image, Image, tuple[str, ...]]]:
    """Reference, target and masks of each pair."""
    if isinstance(pairs, str | Path):
        for pair in list_pairs([str(pairs)]):
            yield pair.reference, pair.target, pair.masks
        return
    for reference, target in pairs:
        yield reference, target, ()
