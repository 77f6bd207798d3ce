"""Mutations of JSON: other types, numbers at the limits, deep nesting, lone surrogates, keys that are lost."""

import hashlib
import json
from collections.abc import Callable
from random import Random
from typing import Any

from benchmarks.fuzz.byte_mutations import mutate_bytes, mutate_text, nasty_word

# Text that stands for what json.dumps does not write; it is replaced in the end.
_DEEP, _LONG = "@deep@", "@long@"

_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        0.5,
        float("nan"),
        float("inf"),
        float("-inf"),
        1e308,
        -1e308,
        5e-324,
        10**30,
        10**400,
    ),
    *(
        "",
        "\ud800",
        "x",
        "\x00",
        "nan",
        "1",
        [],
        [[]],
        {},
        {"a": 1},
        [None],
        ["1"],
        [0] * 7,
        [[0, 0, 0]] * 3,
        _DEEP,
        _LONG,
    ),
    *([[1, 2], [3]], [1e308] * 6, "EPSG:0", "EPSG:4326", "../x"),
)
_DEPTHS = (50, 1000, 100_000)

Node = dict[str, Any] | list[Any]


def mutate_json(rng: Random, data: bytes) -> bytes:
    """JSON with one to three changed values; sometimes its text is changed instead."""
    if rng.random() < 0.25:
        return mutate_text(rng, data)
    document = json.loads(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        document = change_value(rng, document)
    return dumped(rng, document)


def change_value(rng: Random, document: Any) -> Any:
    """A document with a value that is changed, removed or added; it may be a new one."""
    nodes = list(_nodes(document))
    if not nodes or rng.random() < 0.02:
        return rng.choice(_VALUES)
    # long lists of numbers must not hide the few values that decide
    node = rng.choice(rng.choice([[one for one in nodes if isinstance(one, kind)] or nodes for kind in (dict, list)]))
    _change(rng, node)
    return document


def dumped(rng: Random, document: Any) -> bytes:
    """The bytes of a document of :func:`change_value`."""
    text = json.dumps(document)
    if f'"{_DEEP}"' in text:
        depth = rng.choice(_DEPTHS)
        begin, end = rng.choice((("[", "]"), ('{"a":', "}")))
        inner = "1" if begin != "[" else ""
        text = text.replace(f'"{_DEEP}"', begin * depth + inner + end * depth, 1)
    return text.replace(f'"{_LONG}"', "9" * 5000).encode()


def mutate_json_lines(rng: Random, data: bytes) -> bytes:
    """Records behind checksums, with a changed record and its right checksum, or with changed bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, data)
    lines = data.decode().splitlines()
    number = rng.randrange(len(lines))
    record = mutate_json(rng, lines[number].partition(" ")[2].encode())
    text = record.decode("utf-8", errors="replace").replace("\n", " ")
    checksum = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    lines[number] = f"{checksum} {text}"
    return ("\n".join(lines) + "\n").encode()


def _nodes(document: Any) -> "list[Node]":
    """All objects and lists of a document."""
    found: list[Node] = []
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            found.append(one)
            waiting += one.values() if isinstance(one, dict) else one
    return [node for node in found if node]


def _change(rng: Random, node: Node) -> None:
    key: Any = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
    rng.choice(_CHANGES)(rng, node, key)


def _replace(rng: Random, node: Any, key: Any) -> None:
    old = node[key]
    node[key] = -old if isinstance(old, int | float) and rng.random() < 0.2 else rng.choice(_VALUES)


def _wrap(rng: Random, node: Any, key: Any) -> None:
    node[key] = rng.choice(([node[key]], {"a": node[key]}, str(node[key])))


def _remove(rng: Random, node: Any, key: Any) -> None:
    del node[key]


def _add(rng: Random, node: Any, key: Any) -> None:
    if isinstance(node, dict):
        node[nasty_word(rng) if rng.random() < 0.5 else f"{key}x"] = node[key]
    else:
        node.insert(key, node[key])


def _shorten(rng: Random, node: Any, key: Any) -> None:
    old = node[key]
    if isinstance(old, list | str):
        node[key] = old[: len(old) // 2] if rng.random() < 0.5 else old * rng.choice((2, 300))
    else:
        _replace(rng, node, key)


_CHANGES: tuple[Callable[[Random, Any, Any], None], ...] = (
    _replace,
    _replace,
    _replace,
    _wrap,
    _remove,
    _add,
    _shorten,
)
