"""The package is as usable as the command: light to import, typed, and the README's example works."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from conftest import ROOT

import s2match

SAMPLE = ROOT / "dataset" / "sample"


def test_importing_it_imports_nothing_large() -> None:
    code = (
        "import sys, s2match\n"
        "large = {'torch', 'kornia', 'matplotlib', 'numpy', 'rasterio', 'cv2', 'xarray'}\n"
        "assert not large & set(sys.modules)\n"
        "from s2match import Settings, fit_tie_points, match_arrays, match_files, tie_points_of, write_tie_points\n"
        "assert not {'torch', 'kornia', 'matplotlib', 'xarray'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_every_name_is_there() -> None:
    for name in s2match.__all__:
        assert getattr(s2match, name).__module__.startswith("s2match.")
        assert name in dir(s2match)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = s2match.nothing


def test_it_is_typed() -> None:
    """By the marker of PEP 561; names that are imported late are declared for who checks types."""
    assert (ROOT / "s2match" / "py.typed").is_file()
    source = (ROOT / "s2match" / "__init__.py").read_text(encoding="utf-8")
    declared = [node for block in ast.parse(source).body if isinstance(block, ast.If) for node in block.body]
    imports = [
        (alias.name, node.module) for node in declared if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    assert sorted(name for name, _ in imports) == sorted(s2match.__all__)
    for name, module in imports:
        assert getattr(s2match, name) is getattr(import_module(str(module)), name)


def test_the_readme_s_ten_lines_do_the_whole_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    (block,) = (block for block in blocks if "import s2match" in block)
    assert len([line for line in block.splitlines() if line]) <= 10
    names = ("SYNTHETIC-B_20240510T103621_TCI.jp2", "SYNTHETIC-B_20220829T103641_TCI.jp2")
    for short, name in zip("ab", names, strict=True):
        (tmp_path / f"{short}_TCI.jp2").symlink_to(SAMPLE / name)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    assert "registration  translation" in capsys.readouterr().out
    written = {path.name for path in tmp_path.iterdir()} - {"a_TCI.jp2", "b_TCI.jp2"}
    assert written == {"result.png", "result.json", "tie_points.gpkg"}
