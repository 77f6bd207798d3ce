"""Warning filters and umask of the process stay unchanged, also with several threads."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import Writer, texture
from rasterio.errors import NotGeoreferencedWarning

from s2match.core.mask import Mask
from s2match.core.window import Window
from s2match.io.masks import read_mask
from s2match.io.reader import read_grid, read_raster
from s2match.util.atomic_write import atomic_write


@pytest.fixture
def filters(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Changes of the process's warning filters; there must be none."""
    done: list[str] = []

    class Watched(warnings.catch_warnings):  # type: ignore[type-arg]
        def __enter__(self) -> object:
            done.append("caught")
            return super().__enter__()

    for name in ("simplefilter", "filterwarnings"):
        monkeypatch.setattr(warnings, name, lambda *given, **named: done.append("filtered"))
    monkeypatch.setattr(warnings, "catch_warnings", Watched)
    return done


def test_a_missing_georeference_is_no_warning(write_image: Writer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = write_image("a.tif", texture(96, 80), transform=None)
        mask = write_image("mask.tif", np.ones((80, 96), np.uint8), transform=None)
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        read_raster(path)
        assert read_mask(Mask(mask), read_grid(path), Window(0, 0, 96, 80)).all()
    assert [str(warning.message) for warning in met if warning.category is NotGeoreferencedWarning] == []


def test_filters_of_warnings_are_left_alone(write_image: Writer, filters: list[str]) -> None:
    path = write_image("a.tif", texture(96, 80), transform=None)
    mask = write_image("mask.tif", np.ones((80, 96), np.uint8), transform=None)
    read_raster(path)
    read_mask(Mask(mask), read_grid(path), Window(0, 0, 96, 80))
    assert filters == []


def test_the_umask_of_the_process_is_never_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, changed = os.umask, []
    monkeypatch.setattr(os, "umask", lambda mask: changed.append(mask) or kept(mask))
    before = kept(0o027)
    try:
        with atomic_write(tmp_path / "a.txt") as partial:
            partial.write_text("a")
    finally:
        kept(before)
    assert changed == []
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_files_written_at_once_do_not_meet(tmp_path: Path) -> None:
    def write(number: int) -> None:
        with atomic_write(tmp_path / "a.txt") as partial:
            partial.write_text(str(number))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(40)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() in map(str, range(40))
