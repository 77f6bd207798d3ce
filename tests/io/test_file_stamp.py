"""A stamp changes with the file, or with the zip that it lies in."""

import os
from pathlib import Path

from s2match.core.image_path import image_path, zip_member
from s2match.io.file_stamp import file_stamp


def test_stamps(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    assert file_stamp(path) == file_stamp(zip_member(path, "b.jp2")) == "missing"
    path.touch()
    before = file_stamp(zip_member(path, "b.jp2"))
    assert before == file_stamp(path) != "missing"
    os.utime(path, (1, 1))
    assert file_stamp(zip_member(path, "b.jp2")) != before
    assert file_stamp(image_path("https://example.com/a.tif")) == "remote"
