"""Too little memory is a sentence, not a traceback, and leaves the old file."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from s2match.errors import ImageSizeError

resource = pytest.importorskip("resource")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the memory of a process"),
]

# Enough to import the libraries, and to match in none of the runs or in the last.
LIMITS_MB = (650, 800, 1000)


@pytest.mark.parametrize("limit_mb", LIMITS_MB)
def test_a_run_with_too_little_memory(tmp_path: Path, limit_mb: int) -> None:
    figure = tmp_path / "figure.png"
    figure.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, ROOT / "model_inference.py", "--output", figure, "--overwrite", "--no-show"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit_mb << 20, limit_mb << 20)),
        cwd=ROOT,
    )
    assert done.returncode in (0, ImageSizeError.exit_code), done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert "memory" in done.stderr and figure.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == [figure.name]
