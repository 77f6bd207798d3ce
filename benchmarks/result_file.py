"""Results of benchmarks as JSON files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s2match.util.atomic_write import atomic_write


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result; a file of that name is replaced once the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
