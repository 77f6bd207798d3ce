"""What a report says of the run that it is about."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class Run:
    """A run of the program.

    Attributes:
        command: The words of its command line.
        files: The files that it wrote, without those of the report.
        time: When it ended, with a time zone.
    """

    command: Sequence[str] = ()
    files: tuple[Path, ...] = ()
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def time_text(self) -> str:
        """The time to the minute, in UTC."""
        return f"{self.time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Link:
    """A link to a file.

    Attributes:
        address: Its address, relative to the page.
        name: Its path as text.
    """

    address: str
    name: str


def link_to(path: Path, directory: Path) -> Link:
    """Link from a page in a folder to a file, relative if both are on one drive."""
    try:
        relative = Path(os.path.relpath(path.absolute(), directory.absolute()))
    except ValueError:
        # another drive of Windows
        return Link(path.absolute().as_uri(), str(path))
    # bytes of names that are no text have addresses, too
    return Link(quote(os.fsencode(relative.as_posix())), str(path))
