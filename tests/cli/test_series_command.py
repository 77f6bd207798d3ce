"""The series command: its files, its exit codes, and a run that was killed and goes on."""

import csv
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import GRID, ROOT
from PIL import Image
from shifted_series import SHIFTS_PX, date_name, expected_shifts, write_dates, write_file

import match_series
from s2match import errors
from s2match.cli.exit_codes import ABOVE_LIMIT, NO_REGISTRATION
from s2match.cli.main import main
from s2match.outputs.series.charts import SERIES_FIGURES
from s2match.outputs.series.columns import DATE_COLUMNS, PAIR_COLUMNS
from s2match.util.progress import Progress, Stage

pytestmark = pytest.mark.usefixtures("coarse_figures")

Capture = pytest.CaptureFixture[str]

SIZE, COUNT = 128, 4

OPTIONS = ("--image_size", SIZE, SIZE, "--device", "cpu")


def series(images: Path, out: Path, *options: object) -> int:
    """Run ``match_series.py`` in this process."""
    return match_series.main([str(word) for word in (images, "--out", out, *OPTIONS, *options)])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def texts(folder: Path) -> Iterator[str]:
    for name in ("dates.csv", "pairs.csv", "series.json"):
        yield (folder / name).read_text(encoding="utf-8")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Four dates, one that is all cloud and one that is damaged."""
    write_dates(tmp_path / "images", SHIFTS_PX[:COUNT], SIZE)
    write_file(tmp_path / "images" / f"{date_name(COUNT)}.tif", np.full((SIZE, SIZE), 255, np.uint8))
    (tmp_path / "images" / f"{date_name(COUNT + 1)}.tif").write_bytes(b"damaged")
    return tmp_path / "images"


def test_all_results_are_written(images: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert series(images, out) == 0
    printed = capsys.readouterr()
    # where no bar can be shown, a line for every few per cent says how far the run is
    progress = printed.err.splitlines()
    assert all(re.fullmatch(r" *\d+%  .+  \(\d\d:\d\d passed(, \d\d:\d\d left)?\)", line) for line in progress)
    assert 3 <= len(progress) <= 21 and any("  Matching pairs " in line for line in progress)
    lines = printed.out.splitlines()
    # the longest name is that of the group of the dates on one day of the repeat cycle
    width = len("T36UXA cycle day 5  ")
    assert any(line.startswith("T36UXA cycle day ") for line in lines)
    assert [line for line in lines if not line[width - 2 : width] == "  " != line[width : width + 2]] == []
    assert lines[-1] == f"{'results':<{width}}{out / 'index.html'}"
    assert {path.name for path in out.iterdir()} == {
        "dates.csv",
        "pairs.csv",
        "series.json",
        "index.html",
        "blink.gif",
        "pairs",
        *(f"{name}.png" for name in SERIES_FIGURES),
    }
    dates, pairs = table(out / "dates.csv"), table(out / "pairs.csv")
    assert list(dates[0]) == list(DATE_COLUMNS) and list(pairs[0]) == list(PAIR_COLUMNS)
    assert [row["status"] for row in dates] == ["placed"] * COUNT + ["not_seen", "unreadable"]
    shifts = np.array([[float(row["dx_px"]), float(row["dy_px"])] for row in dates[:COUNT]])
    assert shifts == pytest.approx(expected_shifts(SHIFTS_PX[:COUNT]), abs=0.03)
    assert all(row["reason"] and not row["dx_m"] for row in dates[COUNT:])
    assert sum(row["status"] == "kept" for row in pairs) == COUNT * (COUNT - 1) / 2
    assert not any("nan" in text.lower() for text in texts(out))
    assert json.loads((out / "series.json").read_text(encoding="utf-8"))
    with Image.open(out / "blink.gif") as blink:
        assert getattr(blink, "n_frames", 1) >= COUNT
    page = html.unescape(re.sub('base64,[^"]*', "", (out / "index.html").read_text(encoding="utf-8")))
    assert [row for row in dates if row["date"] not in page or row["reason"] not in page] == []
    assert not re.search(r"\bnan\b", page, re.IGNORECASE)


def test_tables_as_geoparquet_and_stac_items(images: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    geopandas = pytest.importorskip("geopandas")
    out = tmp_path / "out"
    assert series(images, out, "--parquet", "--stac") == 0
    dates = geopandas.read_parquet(out / "dates.parquet")
    assert list(dates["status"]) == ["placed"] * COUNT + ["not_seen", "unreadable"]
    assert not (out / "dates.csv").exists() and len(geopandas.read_parquet(out / "pairs.parquet")) >= COUNT
    items = [json.loads(path.read_text(encoding="utf-8")) for path in (out / "stac").rglob("*.json")]
    assert sum(item.get("type") == "Feature" for item in items) == COUNT


def test_no_image_that_is_placed_is_an_exit_code(tmp_path: Path, capsys: Capture) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for index in range(3):
        write_file(images / f"{date_name(index)}.tif", np.full((SIZE, SIZE), 255, np.uint8))
    assert series(images, tmp_path / "out", "--coregister", tmp_path / "corrected") == NO_REGISTRATION
    assert "0 of 3 images are placed" in capsys.readouterr().out
    assert [row["status"] for row in table(tmp_path / "out" / "dates.csv")] == ["not_seen"] * 3
    assert (tmp_path / "out" / "index.html").exists() and not list((tmp_path / "corrected").iterdir())


def test_corrected_files_and_their_refusals(
    images: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrected, moved = tmp_path / "corrected", tmp_path / "new folder" / "moved"
    assert series(images, tmp_path / "out", "--coregister", corrected, "--resampling", "bilinear") == 0
    assert capsys.readouterr().out.splitlines()[-1].split(maxsplit=1) == [
        "corrected",
        f"{COUNT} files in {corrected}; {COUNT} of {COUNT} images are moved",
    ]
    names = [f"{date_name(index)}_coregistered.tif" for index in range(COUNT)]
    assert sorted(path.name for path in corrected.iterdir()) == names
    assert series(images, tmp_path / "out", "--geolocation", moved) == 0
    row = table(tmp_path / "out" / "dates.csv")[3]
    with rasterio.open(moved / names[3]) as file:
        assert (file.transform.c, file.transform.f) == pytest.approx(
            (GRID.c - float(row["dx_m"]), GRID.f - float(row["dy_m"])), abs=1e-3
        )
    capsys.readouterr()
    # with matching switched off, the refusals below come before it
    monkeypatch.setattr("s2match.timeseries.run.run_series", None)
    for options, code, message in (
        (("--coregister", corrected), errors.OutputError, "exists: --overwrite replaces it."),
        (("--coregister", tmp_path, "--apply_to", ROOT / "README.md"), errors.CorrectionError, "README.md: no image"),
        (("--coregister", tmp_path, "--resampling", "best"), errors.OptionError, "Unknown resampling 'best'"),
        (("--geolocation", tmp_path, "--resampling", "cubic"), errors.OptionError, "--coregister"),
        (("--coregister", images), errors.OutputError, f"{images} is the folder of {date_name(0)}.tif"),
    ):
        assert series(images, tmp_path / "new", *options) == code.exit_code
        printed = capsys.readouterr()
        assert message in printed.err and len(printed.err.splitlines()) == 1 and not printed.out


def test_a_series_is_repeated_by_its_json_and_fails_above_a_shift(tmp_path: Path, capsys: Capture) -> None:
    """It replaces its own results, and no others."""
    images, out = tmp_path / "images", tmp_path / "out"
    write_dates(images, SHIFTS_PX[:3], SIZE)
    largest = np.hypot(*expected_shifts(SHIFTS_PX[:3]).T).max()
    assert series(images, out, "--pairs", "consecutive", "--fail_above", f"{largest - 0.1:.2f}px") == ABOVE_LIMIT
    assert f"a displacement of {largest:.1f}" in capsys.readouterr().out.splitlines()[-1]
    assert series(images, out, "--pairs", "consecutive", "--fail_above", f"{largest + 0.1:.2f}px") == 0
    again = tmp_path / "again"
    assert match_series.main(["--config", str(out / "series.json"), "--out", str(again), "--quiet"]) == 0
    assert (again / "series.json").read_bytes() == (out / "series.json").read_bytes()
    assert (again / "dates.csv").read_bytes() == (out / "dates.csv").read_bytes()
    shutil.rmtree(again / "pairs")
    (again / "index.html").write_text("of another program")
    assert series(images, again) == errors.OutputError.exit_code
    assert f"{again / 'dates.csv'}, {again / 'pairs.csv'}, {again / 'series.json'} and " in capsys.readouterr().err
    assert (again / "index.html").read_text() == "of another program"


def test_every_stage_of_a_series_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[tuple[str, float]] = []

    @contextmanager
    def bar(stages: Iterable[Stage], show: bool, lines: bool) -> Iterator[Progress]:
        progress = Progress(stages, lambda text, fraction: reports.append((text, fraction)))
        yield progress
        progress.end()

    monkeypatch.setattr("s2match.cli.series.progress_bar", bar)
    write_dates(tmp_path / "images", SHIFTS_PX[:3], SIZE)
    assert series(tmp_path / "images", tmp_path / "out", "--coregister", tmp_path / "corrected") == 0
    texts, fractions = zip(*reports, strict=True)
    stages = [Stage.QUICK_LOOKS, Stage.PAIRS, Stage.ADJUST, Stage.CORRECT, Stage.TABLES, Stage.CHARTS, Stage.REPORT]
    assert list(dict.fromkeys(stage for text in texts for stage in stages if text.startswith(stage))) == stages
    assert {"Matching pairs 0 of 3", "Matching pairs 3 of 3", "Correcting 3 of 3"} <= set(texts)
    assert fractions[0] == 0 and list(fractions) == sorted(fractions) and fractions[-1] == 1


def test_other_options_need_another_folder_or_a_restart(tmp_path: Path, capsys: Capture) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    write_dates(images, SHIFTS_PX[:3], SIZE)
    assert series(images, out, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    lines = (out / "pairs" / "pairs.jsonl").read_bytes()
    assert series(images, out, "--confidence", 0.5) == errors.OptionError.exit_code
    assert "--restart" in capsys.readouterr().err
    assert (out / "pairs" / "pairs.jsonl").read_bytes() == lines
    assert series(images, out, "--confidence", 0.5, "--restart") == 0
    assert len((out / "pairs" / "pairs.jsonl").read_bytes().splitlines()) == len(lines.splitlines())


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path, capsys: Capture) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    write_dates(images, SHIFTS_PX[:6], SIZE)
    pairs = out / "pairs" / "pairs.jsonl"
    words = map(str, (ROOT / "match_series.py", images, "--out", out, *OPTIONS, "--quiet"))
    process = subprocess.Popen([sys.executable, *words], cwd=tmp_path)
    try:
        finished = wait_for_lines(pairs, 3, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    kept = pairs.read_bytes()
    number = kept.count(b"\n")
    assert not (out / "dates.csv").exists() and number >= finished
    assert series(images, out, "--verbose") == 0
    total = len(table(out / "pairs.csv"))
    assert f"6 images, {total} pairs, of which {number} are finished" in capsys.readouterr().err
    assert pairs.read_bytes().startswith(kept) and pairs.read_bytes().count(b"\n") == total > number
    assert series(images, tmp_path / "whole") == 0
    for name in ("dates.csv", "pairs.csv"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def wait_for_lines(path: Path, count: int, process: subprocess.Popen[bytes]) -> int:
    """Number of lines of a file, as soon as there are enough of them."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        lines = path.read_bytes().count(b"\n") if path.exists() else 0
        if lines >= count:
            return lines
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    raise TimeoutError(f"{path} does not have {count} lines")


def test_the_script_and_the_sub_command_explain_themselves(capsys: Capture) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "match_series.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.stdout.startswith("usage: match_series.py") and not done.stderr
    assert all(option in done.stdout for option in ("SOURCE", "--workers", "--coregister", "--restart"))
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "  series" in capsys.readouterr().out
