"""Markdown."""


def row(cells: list[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def ratio(before: float | None, now: float) -> str:
    """How many times less a figure is now, in brackets after a blank; empty without one before."""
    return "" if before is None else f" ({before / now:.1f}×)"
