"""``match --pairs``: the pairs of a list to a folder of results each, and a table."""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2match.cli.arguments import refuse, shows_progress
from s2match.cli.exit_codes import ABOVE_LIMIT, NO_REGISTRATION, NOT_CORRECTED
from s2match.cli.limits import METRES
from s2match.cli.pair import settings_of
from s2match.cli.pair_outputs import outputs_of
from s2match.core.image_path import image_path, local_files
from s2match.core.product_names import PRODUCT
from s2match.core.scene import scene_of
from s2match.errors import OptionError, PairsFailedError
from s2match.util.atomic_write import check_outputs_apart, create_folder
from s2match.util.progress import Stage, progress_bar

if TYPE_CHECKING:
    from s2match.batch.rows import PairRow
    from s2match.batch.sources import ListedPair
    from s2match.outputs.targets import Outputs

# Options of one pair.
_ONE_PAIR = frozenset({"dataset_path", "from_tie_points", "list", "show"})

# Options that are names of files or folders in the folder of a pair, and written only if they are given.
OPTIONAL_NAMES = ("report", "blink", "coregister", "displacement", "gcps")

# Name of the JSON of a pair.
_JSON = Path("result.json")


def run_pairs_command(arguments: argparse.Namespace) -> int:
    """Match the pairs of a list, print a line for each, and write their results.

    Returns:
        The exit code: 0, or the first that is true of a pair: :data:`NO_REGISTRATION`, :data:`ABOVE_LIMIT`,
        :data:`NOT_CORRECTED`.

    Raises:
        PairsFailedError: Pairs failed; the others are matched.
        S2MatchError: Anything else that a user can cause or meet; see :mod:`s2match.errors`.
    """
    # nothing is shown of many pairs, so --no-show is true of them
    names = _ONE_PAIR if arguments.show else _ONE_PAIR - {"show"}
    refuse(arguments, names, "is about one pair, and --pairs names many: leave one of them out.")
    if arguments.out is None:
        raise OptionError("--pairs needs a folder for its results: give --out DIR, too.")
    _check_names(arguments)
    from s2match.batch.run import TABLE_NAME, Batch, run_pairs
    from s2match.batch.sources import list_pairs

    pairs = list_pairs(arguments.pairs, arguments.reference)
    if arguments.coregister is None and any(pair.siblings for pair in pairs):
        raise OptionError("The column apply_to has no effect without a correction: give --coregister NAME.tif, too.")
    batch = Batch(
        settings_of(arguments),
        lambda pair, folder: _outputs_of(arguments, pair, folder),
        tuple(map(str, arguments.mask)),
        None if arguments.mask_values is None else tuple(arguments.mask_values),
        arguments.mask_clouds,
    )

    matched = 0

    def done(index: int, row: "PairRow") -> None:
        nonlocal matched
        matched += 1
        _print_row(f"{index + 1:>{len(str(len(pairs)))}}/{len(pairs)}", row, arguments)

    table = arguments.out / TABLE_NAME
    check_outputs_apart([table], local_files(map(image_path, arguments.pairs)))
    create_folder(arguments.out)
    with progress_bar([Stage.PAIRS], shows_progress(arguments)) as progress:
        rows = run_pairs(pairs, batch, arguments.out, done, overwrite=arguments.overwrite, progress=progress)
    if not arguments.quiet:
        print(_summary(rows, matched, table))
    return _exit_code(rows, table, arguments)


def _check_names(arguments: argparse.Namespace) -> None:
    """Refuse paths where names are expected.

    Raises:
        OptionError: The name of a file of each pair is a path, or an option is about one target.
    """
    paths = [getattr(arguments, name) for name in ("output", "json", *OPTIONAL_NAMES)]
    for path in [*filter(None, paths), *arguments.tie_points]:
        if path.name != str(path):
            raise OptionError(f"With --pairs, {path} must be a name: each pair has a folder of its own in --out.")
    files = [path for path in arguments.apply_to if path != PRODUCT]
    if files:
        raise OptionError(f"--apply_to {files[0]} belongs to one target: the CSV of pairs has a column apply_to.")


def _outputs_of(arguments: argparse.Namespace, pair: "ListedPair", folder: Path) -> "Outputs":
    """The files of a pair: those of the options of one pair, by their names in a folder."""
    own = argparse.Namespace(**vars(arguments))
    # the JSON records the options that repeat this pair
    own.images, own.pairs, own.reference = [pair.reference, pair.target], None, None
    own.out = None
    own.mask, own.apply_to = [*arguments.mask, *pair.masks], [*arguments.apply_to, *pair.siblings]
    # a figure of every pair takes time, and few are looked at
    own.figure = "output" in arguments.given
    own.output, own.json = folder / arguments.output, folder / (arguments.json or _JSON)
    own.tie_points = [folder / path for path in arguments.tie_points]
    for name in OPTIONAL_NAMES:
        path = getattr(arguments, name)
        setattr(own, name, None if path is None else folder / path)
    return outputs_of(own, scene_of(pair.reference), scene_of(pair.target))


def _print_row(number: str, row: "PairRow", arguments: argparse.Namespace) -> None:
    """Print the line of a pair; with ``--quiet`` only that of an error."""
    from tqdm import tqdm

    from s2match.batch.rows import Status

    kind = {Status.FAILED: "error: ", Status.NO_REGISTRATION: "no registration: "}.get(Status(row.status), "")
    line = f"{number}  {row.name}  {kind}{row.message}"
    if not arguments.quiet:
        # above the progress bar
        with tqdm.external_write_mode():
            print(line, flush=True)
    elif row.status == Status.FAILED:
        print(line, file=sys.stderr)


def _summary(rows: Sequence["PairRow"], matched: int, table: Path) -> str:
    """How many pairs have which status, and the table.

    Args:
        rows: The rows of all pairs.
        matched: Number of pairs that were matched in this run.
        table: The table.
    """
    counts = Counter(row.status for row in rows)
    text = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in sorted(counts.items()))
    before = len(rows) - matched
    if before:
        text += f"; {before} of them {'is' if before == 1 else 'are'} unchanged since an earlier run"
    return f"{'pairs':<14}{len(rows)}: {text}\n{'table':<14}{table}"


def _exit_code(rows: Sequence["PairRow"], table: Path, arguments: argparse.Namespace) -> int:
    """The exit code of all pairs.

    Raises:
        PairsFailedError: Pairs failed.
    """
    from s2match.batch.rows import Status

    statuses = [Status(row.status) for row in rows]
    if Status.FAILED in statuses:
        raise PairsFailedError(f"{statuses.count(Status.FAILED)} of {len(rows)} pairs failed: see {table}.")
    if Status.NO_REGISTRATION in statuses:
        return NO_REGISTRATION
    if any(_is_above(row, arguments) for row in rows):
        return ABOVE_LIMIT
    return NOT_CORRECTED if any(row.corrected is False for row in rows) else 0


def _is_above(row: "PairRow", arguments: argparse.Namespace) -> bool:
    """Whether the displacement of a pair exceeds ``--fail_above``."""
    if arguments.fail_above is None:
        return False
    if row.largest_m is None or row.pixel_m is None:
        return arguments.fail_above.finding(math.nan, METRES, 1.0) is not None
    return arguments.fail_above.finding(row.largest_m, row.unit, row.pixel_m) is not None
