"""Redraw what the README shows: its picture and summary, by running the command, and its tables, from the JSON.

python -m benchmarks.readme
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.accuracy import DEFAULT_JSON, comparison
from s2match.files import written_whole

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "result.jpg"


def replace_block(text: str, name: str, content: str) -> str:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
    replaced, count = pattern.subn(lambda found: found[1] + content + found[2], text)
    if count != 1:
        raise ValueError(f"the README has {count} blocks named {name}")
    return replaced


def accuracy_tables() -> str:
    """The tables of the last measurement."""
    return comparison(json.loads(DEFAULT_JSON.read_text()))


def sample_summary(picture: Path) -> str:
    """What the command prints for the sample, as a Markdown block; the picture is drawn on the way."""
    done = subprocess.run(
        [sys.executable, "model_inference.py", "--no-show", "--output", str(picture)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [f"    {line}".rstrip() for line in done.stdout.splitlines()]
    return "\n".join(line for line in lines if not line.startswith("    written"))


def main() -> None:
    """Redraw everything."""
    text = README.read_text(encoding="utf-8")
    text = replace_block(text, "accuracy", accuracy_tables())
    text = replace_block(text, "summary", sample_summary(PICTURE))
    with written_whole(README) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
