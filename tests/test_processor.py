"""Commands tell the libraries how to use the processor before they load, and the user has the last word."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2match.processor import ENVIRONMENT, share_processor

ROOT = Path(__file__).resolve().parent.parent


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ({"OPENBLAS_NUM_THREADS": "7"}, {"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_NUM_THREADS": "3"}):
        monkeypatch.setattr(os, "environ", dict(given))
        share_processor()
        assert os.environ.items() >= given.items() and len(os.environ) == 2


@pytest.mark.parametrize(
    "begin",
    ["import model_inference as m; main = m.main", "import training; main = list", "import benchmarks; main = list"],
)
def test_it_is_set_before_anything_reads_it(begin: str) -> None:
    """NumPy, PyTorch and OpenCV look once, when they are loaded."""
    code = (
        f"import os, sys; {begin}\n"
        "assert not {'numpy', 'torch', 'cv2'} & set(sys.modules)\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        "print({name: os.environ.get(name) for name in %r})" % (tuple(ENVIRONMENT),)
    )
    plain = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    done = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == str(ENVIRONMENT), done.stderr
