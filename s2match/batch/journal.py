"""Finished pairs of a list in a folder, so that a run that was ended goes on where it was."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from s2match.batch.rows import PairRow, Status
from s2match.io.file_stamp import file_stamp
from s2match.util.flat_records import flat_record
from s2match.util.json_lines import JsonLines

JOURNAL_NAME = "pairs.jsonl"


@dataclass(frozen=True)
class PairFiles:
    """What a pair depends on, and what it writes.

    Attributes:
        name: Name of the pair.
        fingerprint: Text that changes with its inputs and options.
        outputs: Every file that it may write.
    """

    name: str
    fingerprint: str
    outputs: tuple[Path, ...]


class Journal:
    """The pairs that a folder has results of.

    Each pair has a record when it begins, with the files that it will write, and one when it ends, with its row and the
    size and time of its files. So files that a killed run left behind are told from files of the user.
    """

    def __init__(self, folder: Path) -> None:
        """Read the records of a folder, which exists.

        Raises:
            OutputError: The folder cannot be written to.
        """
        self._folder, self._lines = folder, JsonLines(folder / JOURNAL_NAME)
        # the last record of a pair counts
        self._records: dict[str, Mapping[str, Any]] = {
            record["name"]: record for record in self._lines if _is_complete(record)
        }

    @property
    def empty(self) -> bool:
        """Whether the folder has no record of any pair."""
        return not self._records

    def finished(self, pair: PairFiles) -> PairRow | None:
        """The row of a pair whose inputs, options and outputs have not changed; None if it has to be matched.

        A pair that failed has to be matched.
        """
        record = self._records.get(pair.name)
        if record is None or record["row"] is None or record["fingerprint"] != pair.fingerprint:
            return None
        try:
            row = flat_record(PairRow, record["row"])
        except ValueError:
            return None
        if row.status == Status.FAILED or any(not self._unchanged(record, path) for path in pair.outputs):
            return None
        return row

    def foreign(self, pair: PairFiles) -> list[Path]:
        """Files in the way of a pair: of the user, changed by the user, or of other inputs or options."""
        record = self._records.get(pair.name, {"fingerprint": None})
        return [path for path in pair.outputs if path.exists() and not self._is_own(record, pair, path)]

    def begin(self, pair: PairFiles) -> None:
        """Record that the files of a pair are about to be written."""
        self._append(pair, dict.fromkeys(map(self._key, pair.outputs)), None)

    def finish(self, pair: PairFiles, row: PairRow) -> None:
        """Record the row of a pair, whose files are written."""
        self._append(pair, {self._key(path): file_stamp(path) for path in pair.outputs}, asdict(row))

    def _append(self, pair: PairFiles, files: Mapping[str, str | None], row: Mapping[str, Any] | None) -> None:
        record = {"name": pair.name, "fingerprint": pair.fingerprint, "files": files, "row": row}
        self._lines.append(record)
        self._records[pair.name] = record

    def _key(self, path: Path) -> str:
        """A path in the folder, whatever its place."""
        return path.relative_to(self._folder).as_posix()

    def _unchanged(self, record: Mapping[str, Any], path: Path) -> bool:
        return bool(record["files"].get(self._key(path)) == file_stamp(path))

    def _is_own(self, record: Mapping[str, Any], pair: PairFiles, path: Path) -> bool:
        """Whether a file is what a run with the same inputs and options wrote, or a killed run began to write."""
        if record["fingerprint"] != pair.fingerprint or self._key(path) not in record["files"]:
            return False
        return record["row"] is None or self._unchanged(record, path)


def _is_complete(record: Mapping[str, Any]) -> bool:
    """Whether a record has what :meth:`Journal.begin` and :meth:`Journal.finish` write; one edited by hand may not."""
    kinds = {"name": str, "fingerprint": str, "files": dict, "row": dict | None}
    return all(name in record and isinstance(record[name], kind) for name, kind in kinds.items())


def text_of(paths: Iterable[Path], most: int = 3) -> str:
    """Names of some files, and the number of the others."""
    names = [str(path) for path in paths]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
