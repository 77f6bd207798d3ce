"""The pair that was chosen is found again, and is a list of pairs."""

import shutil
from pathlib import Path

import pytest

from s2match.batch.sources import list_pairs
from s2match.dataset.catalog import open_dataset
from s2match.dataset.chosen_pair import choose_pair, chosen_pair
from s2match.errors import DatasetError


def test_the_pair_moves_with_its_folder(dataset: Path) -> None:
    _, scenes = open_dataset(dataset)
    assert chosen_pair(dataset) is None
    choose_pair(dataset, scenes[1], scenes[0])
    moved = Path(shutil.move(dataset, dataset.with_name("moved")))
    found = chosen_pair(moved)
    assert found is not None and [scene.path for scene in found] == [moved / scenes[k].path.name for k in (1, 0)]
    (pair,) = list_pairs([str(moved / "pair.csv")])
    assert (pair.reference, pair.target) == tuple(str(scene.path) for scene in found)


def test_an_image_outside_of_the_folder_keeps_its_place(dataset: Path, tmp_path: Path) -> None:
    _, scenes = open_dataset(dataset)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    choose_pair(elsewhere, scenes[0], scenes[1])
    found = chosen_pair(elsewhere)
    assert found is not None and found[0].path == scenes[0].path.resolve()


def test_an_image_that_is_gone_is_named(dataset: Path) -> None:
    _, scenes = open_dataset(dataset)
    choose_pair(dataset, scenes[1], scenes[0])
    assert isinstance(scenes[0].path, Path)
    scenes[0].path.unlink()
    with pytest.raises(DatasetError, match=r"pair.csv, line 2: there is no file .*" + scenes[0].path.name):
        chosen_pair(dataset)
