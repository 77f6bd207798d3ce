"""What the project is built from and may reach: pinned libraries with hashes, no pickled code, no network unasked."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT
from no_network import REFUSE_NETWORK

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}


def lines_of(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def test_the_lock_file_has_every_pin_with_hashes() -> None:
    # hashes of each library
    locked: dict[str, int] = {}
    for line in lines_of("requirements.lock"):
        if match := re.match(r"([a-z0-9.-]+==[^ ;\\]+)", line):
            locked[match[1]] = 0
        elif re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line):
            locked[next(reversed(locked))] += 1
        else:
            # a comment on where it comes from
            assert re.match(r"(    )?#|$", line), line
    pins = [line for line in lines_of("requirements.txt") if line and not line.startswith("#")]
    assert len(pins) > 15 and set(pins) <= set(locked)
    assert all(locked.values())


def calls_of(paths: Iterator[Path]) -> list[tuple[str, ast.Call]]:
    """Calls of functions of modules, such as ``torch.load``, with the place of each."""
    found = []
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node))
    return found


def test_no_file_is_loaded_as_code() -> None:
    folders = ("s2match", "training", "benchmarks")
    calls = calls_of(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    loads = 0
    for place, call in calls:
        name = ast.unparse(call.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if name in ("torch.load", "torch.hub.load_state_dict_from_url"):
            loads += 1
            assert options.get("weights_only") == "True", place
        # tasks of a Dask cluster are pickled by the cluster itself
        if not place.startswith("s2match/timeseries/dask_cluster.py"):
            assert name not in ("pickle.load", "pickle.loads"), place
        assert name not in ("marshal.loads", "torch.jit.load", "yaml.load"), place
        assert options.get("allow_pickle") != "True", place
    assert loads >= 2


def test_imports_reach_for_no_network(tmp_path: Path) -> None:
    # every module of the package, and every name that it offers
    code = (
        f"{REFUSE_NETWORK}\nimport importlib, pkgutil, s2match\n"
        "for module in pkgutil.walk_packages(s2match.__path__, 's2match.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        "[getattr(s2match, name) for name in s2match.__all__]\nprint('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr


def test_the_network_is_noticed() -> None:
    code = f"{REFUSE_NETWORK}\nimport urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 1 and "socket." in done.stderr
