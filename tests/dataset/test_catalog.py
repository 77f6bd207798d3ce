"""Images are listed by name, picked by index, and named by tile and date."""

from datetime import datetime
from pathlib import Path

import pytest

from s2match.core.scene import scene_of
from s2match.dataset.catalog import open_dataset, pick_pair
from s2match.errors import DatasetError, ImageIndexError, SameImageError, UnreadableImageError
from s2match.io import remote
from s2match.io.masking import masking_of
from s2match.io.reader import read_grid
from s2match.io.scene_files import list_scenes


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_sorted_by_name_and_nothing_else(tmp_path: Path) -> None:
    touch(tmp_path, "T36UYA_20160502T083602_TCI.jp2", "T36UXA_20180820T083601_TCI.jp2", "notes.txt", "a_B04.jp2")
    touch(tmp_path, "._T36UXA_20180820T083601_TCI.jp2")
    touch(tmp_path / "deeper", "T36UXA_20170101T000000_TCI.jp2")
    assert [scene.path.name[:6] for scene in list_scenes(tmp_path)] == ["T36UXA", "T36UYA"]


def test_upper_case_suffixes_are_images_too(tmp_path: Path) -> None:
    touch(tmp_path, "T36UXA_20180820T083601_TCI.JP2")
    assert list_scenes(tmp_path)[0].tile == "T36UXA"


def test_level_2a_names_only_where_there_are_no_others(tmp_path: Path) -> None:
    touch(tmp_path, "T36UXA_20180820T083601_TCI_10m.jp2", "T29UNU_20221005T115411_TCI_60m.jp2")
    assert len(list_scenes(tmp_path)) == 2
    touch(tmp_path, "T36UXA_20190820T083601_TCI.jp2")
    assert [scene.path.name for scene in list_scenes(tmp_path)] == ["T36UXA_20190820T083601_TCI.jp2"]


def test_names_say_tile_and_date() -> None:
    scene = scene_of(Path("T36UXA_20180820T083601_TCI.jp2"))
    assert (scene.tile, scene.sensed) == ("T36UXA", datetime(2018, 8, 20, 8, 36, 1))
    assert scene.title == "T36UXA 2018-08-20"


@pytest.mark.parametrize("name", ["holiday.png", "T36UXA_20189920T083601_TCI.jp2"])
def test_other_names_are_titles_themselves(name: str) -> None:
    assert scene_of(Path(name)).title == name


def test_sample_stands_in_for_an_empty_dataset_only(tmp_path: Path) -> None:
    touch(tmp_path / "sample", "SYNTHETIC-A_20240412T100000_TCI.jp2")
    assert open_dataset(tmp_path)[0] == tmp_path / "sample"
    touch(tmp_path, "T36UXA_20180820T083601_TCI.jp2")
    assert open_dataset(tmp_path)[0] == tmp_path


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"no \*_TCI.jp2"):
        open_dataset(tmp_path)


def test_pick_pair(tmp_path: Path) -> None:
    touch(tmp_path, *(f"T36UXA_2018082{day}T083601_TCI.jp2" for day in range(3)))
    scenes = list_scenes(tmp_path)
    assert pick_pair(scenes, 2, 0) == (scenes[2], scenes[0])
    for index in (3, -1):
        with pytest.raises(ImageIndexError, match="3 images, 0 to 2"):
            pick_pair(scenes, index, 0)
    with pytest.raises(SameImageError):
        pick_pair(scenes, 1, 1)


PRODUCT = "S2A_MSIL1C_20180820T083601_N0206_R064_T36UXA_20180820T105204.SAFE"
INSIDE = "GRANULE/L1C_T36UXA_A016505_20180820T083602/IMG_DATA/T36UXA_20180820T083601_TCI.jp2"


def product(folder: Path) -> Path:
    """A SAFE product with an empty image file."""
    image = folder / PRODUCT / INSIDE
    image.parent.mkdir(parents=True)
    image.touch()
    return folder / PRODUCT


def test_a_folder_of_products_lists_their_images(tmp_path: Path) -> None:
    safe = product(tmp_path)
    for folder in (safe, tmp_path):
        assert [scene.path for scene in open_dataset(folder)[1]] == [safe / INSIDE]
    touch(tmp_path, "T36UXA_20190820T083601_TCI.jp2")
    assert [scene.date for scene in open_dataset(tmp_path)[1]] == ["2019-08-20"]


def test_addresses_keep_their_slashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_DELAYS_S", ())
    url = "http://127.0.0.1:9/a/b.tif"
    with pytest.raises(UnreadableImageError, match=f"^Cannot read {url}: the server cannot be reached"):
        read_grid(Path(url))
    with pytest.raises(DatasetError, match=f"^{url} is not a folder of this computer"):
        open_dataset(Path(url))
    assert str(masking_of([Path(url)]).masks[0].path) == url


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"PK")
    with pytest.raises(UnreadableImageError, match=r"a\.tar is an archive: unpack it"):
        read_grid(tmp_path / "a.tar")
