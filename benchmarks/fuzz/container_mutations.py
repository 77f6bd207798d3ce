"""Mutations of files that hold values behind a structure: XML, GeoPackage, Parquet, safetensors, checkpoints."""

import io
import json
import sqlite3
import struct
from collections.abc import Mapping
from pathlib import PurePosixPath
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.fuzz.byte_mutations import mutate_bytes, mutate_text
from benchmarks.fuzz.cases import Seed
from benchmarks.fuzz.image_mutations import mutate_jp2, mutate_tiff
from benchmarks.fuzz.json_mutations import change_value, dumped, mutate_json, mutate_json_lines

_ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
_SQL_VALUES = (None, 0, -1, 2**62, 1.5, float("inf"), "", "x", "\ud7ff", b"", b"GP", b"\x00" * 40, "EPSG", "a" * 300)
_TENSORS: tuple[Any, ...] = (
    *(torch.zeros(0), torch.ones(3), torch.tensor(1.0), torch.tensor([True]), torch.ones(2, 2, dtype=torch.complex64)),
    *(torch.ones(4, dtype=torch.int64), torch.full((8, 1, 7, 7), float("nan")), torch.eye(3).to_sparse()),
    *(None, [1, 2], "x", 5, {"a": 1}, {}),
)
_COLUMNS: tuple[Any, ...] = (
    *("x", None, float("nan"), float("inf"), [1, 2], {"a": 1}, True, b"x", 2**62),
    pd.Timestamp("2020-01-01"),
)


def mutate_file(rng: Random, seed: Seed) -> Mapping[str, bytes]:
    """The files of a case: one or two files of a seed are mutated by their suffix, or one is lost."""
    files = dict(seed.files)
    for name in rng.sample(seed.mutable, min(len(seed.mutable), rng.choice((1, 1, 1, 2)))):
        if name != seed.entry and rng.random() < 0.03:
            del files[name]
        else:
            files[name] = mutate_named(rng, name, files[name])
    return files


def mutate_named(rng: Random, name: str, data: bytes) -> bytes:
    """The content of a file, mutated as its suffix says."""
    return _BY_SUFFIX.get(PurePosixPath(name).suffix, mutate_bytes)(rng, data)


def mutate_toml(rng: Random, data: bytes) -> bytes:
    """TOML with changed text, or with arrays, tables or keys nested deeply."""
    if rng.random() < 0.9:
        return mutate_text(rng, data)
    depth = rng.choice((100, 10_000))
    nested = (b"[" * depth + b"]" * depth, b"{a=" * depth + b"1" + b"}" * depth)
    return data + rng.choice((*(b"bands = " + value for value in nested), b"[" + b"a." * depth + b"a]\nb = 1")) + b"\n"


def mutate_xml(rng: Random, data: bytes) -> bytes:
    """XML with changed text, elements nested deeply, entities that grow, or an unknown encoding."""
    change = rng.random()
    if change < 0.8:
        return mutate_text(rng, data)
    head, _, body = data.partition(b"?>")
    if change < 0.87:
        depth = rng.choice((100, 10_000))
        return head + b"?>" + b"<a>" * depth + body + b"</a>" * depth
    if change < 0.94:
        return head + b"?>" + _ENTITIES.encode() + b"]>" + body.replace(b"</", b"&i;</", 1)
    encoding = rng.choice((b"utf-16", b"x", b"utf-7", b"idna", b"rot13", b"ascii", b""))
    return head.replace(b"UTF-8", encoding) + b"?>" + body


def mutate_geopackage(rng: Random, data: bytes) -> bytes:
    """A GeoPackage with changed values of its tables, or with changed bytes."""
    if rng.random() < 0.4:
        return mutate_bytes(rng, data)
    base = sqlite3.connect(":memory:")
    try:
        base.deserialize(data)
        base.text_factory = bytes
        for (trigger,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            base.execute(f'DROP TRIGGER "{trigger.decode()}"')
        tables = [name.decode() for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = rng.choice([name for name in tables if not name.startswith(("rtree_", "sqlite_"))])
        columns = [row[1].decode() for row in base.execute(f'PRAGMA table_info("{table}")')]
        column = rng.choice(columns)
        values = base.execute(f'SELECT rowid, "{column}" FROM "{table}"').fetchall()
        if values:
            row, old = rng.choice(values)
            new = mutate_bytes(rng, old) if isinstance(old, bytes) and rng.random() < 0.7 else rng.choice(_SQL_VALUES)
            base.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (new, row))
        base.commit()
        return base.serialize()
    except sqlite3.Error:
        # the constraints of a table do not allow it
        return mutate_bytes(rng, data)
    finally:
        base.close()


def mutate_parquet(rng: Random, data: bytes) -> bytes:
    """A table with a column of another type, without a column or without rows, or with changed bytes."""
    if rng.random() < 0.5:
        return mutate_bytes(rng, data)
    frame = pd.read_parquet(io.BytesIO(data))
    name = rng.choice(list(frame.columns))
    change = rng.randrange(4)
    if change == 0:
        frame = frame.drop(columns=name)
    elif change == 1:
        frame = frame.iloc[: rng.randrange(5)]
    elif change == 2:
        frame[name] = [rng.choice(_COLUMNS)] * len(frame)
    else:
        frame[name] = np.where(
            np.arange(len(frame)) == rng.randrange(len(frame)), rng.choice((1e308, np.nan, -1.0)), 1.0
        )
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def mutate_safetensors(rng: Random, data: bytes) -> bytes:
    """Weights with a changed header, changed metadata or numbers that are not finite, or with changed bytes."""
    change = rng.random()
    if change < 0.25:
        return mutate_bytes(rng, data)
    (length,) = struct.unpack_from("<Q", data)
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    if change < 0.4:
        # float16: NaN, infinity, zero
        block = rng.choice((b"\x00\x7e", b"\x00\x7c", b"\x00\x00")) * (len(body) // 2)
        begin = rng.choice((0, rng.randrange(len(body)) // 2 * 2))
        return data[: 8 + length] + body[:begin] + block[begin:]
    if change < 0.85:
        metadata = header["__metadata__"]
        key = rng.choice(list(metadata))
        value = change_value(rng, json.loads(metadata[key]))
        metadata[key] = dumped(rng, value).decode()
        text = json.dumps(header).encode()
    else:
        text = mutate_json(rng, data[8 : 8 + length])
    return struct.pack("<Q", len(text)) + text + body


def mutate_checkpoint(rng: Random, data: bytes) -> bytes:
    """A checkpoint with a value of another kind in place of a tensor, or with changed bytes."""
    if rng.random() < 0.4:
        return mutate_bytes(rng, data)
    loaded = torch.load(io.BytesIO(data), weights_only=True)
    state = loaded["state_dict"]
    key = rng.choice(list(state))
    change = rng.randrange(5)
    if change == 0:
        del state[key]
    elif change == 1:
        state = {}
    elif change == 2:
        state[rng.choice(("x", 5, f"matcher.{key}"))] = rng.choice(_TENSORS)
    elif change == 3:
        loaded = rng.choice(([1], {"state_dict": [1]}, {"state_dict": 5}, torch.ones(3), 5, {}))
    else:
        state[key] = rng.choice(_TENSORS) if rng.random() < 0.6 else state[key] * float("nan")
    if isinstance(loaded, dict) and "state_dict" in loaded and change != 3:
        loaded["state_dict"] = state
    stream = io.BytesIO()
    torch.save(loaded, stream)
    return stream.getvalue()


_BY_SUFFIX = {
    **dict.fromkeys((".tif", ".tiff"), mutate_tiff),
    ".jp2": mutate_jp2,
    **dict.fromkeys((".json", ".geojson"), mutate_json),
    ".jsonl": mutate_json_lines,
    **dict.fromkeys((".csv", ".points", ".prj"), mutate_text),
    ".toml": mutate_toml,
    **dict.fromkeys((".xml", ".gml"), mutate_xml),
    ".gpkg": mutate_geopackage,
    ".parquet": mutate_parquet,
    ".safetensors": mutate_safetensors,
    ".ckpt": mutate_checkpoint,
}
