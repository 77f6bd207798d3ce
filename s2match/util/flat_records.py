"""Dataclasses of numbers and text, from JSON that may have been edited or damaged."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_type_hints

_Record = TypeVar("_Record")


def flat_record(kind: type[_Record], values: Mapping[str, Any]) -> _Record:
    """A dataclass whose attributes are numbers, text or None.

    Args:
        kind: The dataclass.
        values: Its attributes by name; those with a default may be missing.

    Raises:
        ValueError: An attribute is unknown, is missing, or has a value of another type.
    """
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints or not _fits(value, hints[name]):
            raise ValueError(f"{name} is not what a {kind.__name__} has")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"a {kind.__name__} is not complete") from error


def _fits(value: object, hint: Any) -> bool:
    kinds = get_args(hint) or (hint,)
    # True is an instance of int, and is no number here
    return type(value) in kinds or (type(value) is int and float in kinds)
