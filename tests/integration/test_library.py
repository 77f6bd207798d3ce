"""The package is as usable as the command: light to import, typed, and the README's example works."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from conftest import ROOT, write_geotiff
from rasterio.windows import Window

import s2match

pytestmark = pytest.mark.usefixtures("coarse_figures")

SAMPLE = ROOT / "dataset" / "sample"
# Large enough for the pairs to register, and small enough for a test.
MIDDLE = Window(300, 300, 256, 256)
# Names that are imported on first use.
LATE = sorted({*s2match.__all__} - {"__version__"})


def examples(page: str) -> list[str]:
    """Blocks of Python on a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)


def sample_in(folder: Path, east_m: float = 0.0) -> None:
    """Put the middle of two images of the sample, which are registered, into a folder, by the names of the pages.

    The second one then lies so many metres further east on its map.
    """
    names = ("SYNTHETIC-B_20240510T103621_TCI.jp2", "SYNTHETIC-B_20220829T103641_TCI.jp2")
    for short, name, moved_m in zip("ab", names, (0.0, east_m), strict=True):
        with rasterio.open(SAMPLE / name) as file:
            bands, transform = file.read(window=MIDDLE), Affine.translation(moved_m, 0) @ file.window_transform(MIDDLE)
            write_geotiff(folder / f"{short}_TCI.jp2", bands, transform, file.crs)


def test_importing_it_imports_nothing_large() -> None:
    code = (
        "import sys, s2match\n"
        "large = {'torch', 'kornia', 'matplotlib', 'numpy', 'rasterio', 'cv2', 'xarray', 'geopandas'}\n"
        "assert not large & set(sys.modules)\n"
        "from s2match import Settings, fit_tie_points, match_arrays, match_files, tie_points_of, write_tie_points\n"
        "assert not {'torch', 'kornia', 'matplotlib', 'xarray', 'geopandas', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_every_name_is_there() -> None:
    assert "__version__" in s2match.__all__
    for name in LATE:
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
    assert sorted(name for name, _ in imports) == LATE
    for name, module in imports:
        assert getattr(s2match, name) is getattr(import_module(str(module)), name)


def test_the_readme_s_ten_lines_do_the_whole_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = examples("README.md")
    assert len([line for line in block.splitlines() if line]) <= 10
    sample_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    assert "registration  translation" in capsys.readouterr().out
    written = {path.name for path in tmp_path.iterdir()} - {"a_TCI.jp2", "b_TCI.jp2"}
    assert written == {"a_b.png", "a_b.json", "a_b.gpkg"}


@pytest.mark.slow
def test_the_examples_of_the_pages_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample_in(tmp_path, east_m=40)
    for name in ("b_B11_20m.jp2", "b_SCL_20m.jp2"):
        (tmp_path / name).symlink_to(tmp_path / "b_TCI.jp2")
    with rasterio.open(tmp_path / "b_TCI.jp2") as target:
        roads = geopandas.GeoDataFrame({"name": ["a"]}, geometry=[shapely.box(*target.bounds).boundary], crs=target.crs)
    roads.to_file(tmp_path / "roads.gpkg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in examples("docs/python.md") + examples("docs/report.md"):
        # whatever reads at this size would enlarge the images
        own_size = block.replace("(1098, 1098)", "(256, 256)")
        exec(compile(own_size, "docs/python.md", "exec"), names)
    files = {"tie_points.gpkg", "result.json", "result.png", "report", "b_corrected.tif", "b_B11_20m_coregistered.tif"}
    assert files <= {path.name for path in tmp_path.iterdir()}
    moved = {"b_B11_20m_coregistered.tif", "b_SCL_20m_coregistered.tif", "roads_coregistered.gpkg"}
    assert moved <= {path.name for path in (tmp_path / "corrected").iterdir()}


def test_paths_may_be_text_everywhere(tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reads or writes takes ``str`` and ``Path`` alike."""
    from s2match.core.file_pixels import whole_file
    from s2match.correction.request import CorrectionRequest
    from s2match.io.masking import masking_of
    from s2match.io.reader import read_raster
    from s2match.outputs.report.run import Run
    from s2match.outputs.report.writing import write_report
    from s2match.outputs.targets import Outputs
    from s2match.outputs.write import write_outputs
    from s2match.pipeline import correct_and_evaluate

    monkeypatch.chdir(tmp_path)
    images = [str(path) for path in sorted(dataset.iterdir())[:2]]
    with rasterio.open("mask.tif", "w", driver="GTiff", width=256, height=256, count=1, dtype="uint8") as file:
        file.write(np.pad(np.ones((1, 256, 20), np.uint8), ((0, 0), (0, 0), (0, 236))))
    masking = masking_of(["mask.tif"])
    result = s2match.match_files(*images, masking=masking, confidence=0.2, image_size=None, geometry="translation")
    assert result.registration is not None and 0.07 < result.previews[0].masked_share < 0.09
    assert read_raster(images[0], (128, 128)).size == (128, 128)
    points = s2match.tie_points_of(result)
    for suffix in ("gpkg", "geojson", "csv", "points"):
        s2match.write_tie_points(points, f"t.{suffix}")
        grids = whole_file(result.reference), whole_file(result.target)
        assert len(s2match.read_tie_points(f"t.{suffix}", *grids)) == len(points)
        again = s2match.fit_tie_points(f"t.{suffix}", *images, result.settings)
        assert again.registration is not None
    s2match.write_json(result, "r.json")
    s2match.save_figure(s2match.plot_matches(result), "r.png")
    write_report(result, "report", Run(["command"]))
    # the pair is registered already
    order = CorrectionRequest("c.tif", resampling=None, force=True)  # type: ignore[arg-type]
    outcome = correct_and_evaluate(result, order)
    outputs = Outputs("d.png", "d.json", ("d.csv",), order, "e")  # type: ignore[arg-type]
    assert "c.tif" in write_outputs(result, outputs, outcome=outcome)
    assert all(Path(name).exists() for name in ("r.json", "r.png", "report/index.html", "c.tif", "d.csv", "e"))


def test_the_readme_s_install_has_all_that_it_shows() -> None:
    """Drawn masks and GeoPackages, too."""
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for name in ("geopandas", "pyogrio", "shapely", "scipy", "threadpoolctl"):
        assert re.search(rf"^{name}==\d", pinned, re.M)
