"""Paths of images: what a user names, GDAL's name, and the text of messages."""

from pathlib import Path

import pytest

from s2match.core.image_path import VirtualFile, file_key, gdal_name, image_path
from s2match.core.scene import scene_of
from s2match.errors import UnreadableImageError

TCI = "T36UXA_20180820T083601_TCI.tif"

CASES = {
    f"https://example.com/a/{TCI}": (f"/vsicurl/https://example.com/a/{TCI}", f"https://example.com/a/{TCI}"),
    f"HTTP://example.com//a/{TCI}": (f"/vsicurl/http://example.com//a/{TCI}", f"http://example.com//a/{TCI}"),
    f"https://me:secret@example.com/{TCI}?sig=a//b%2F": (
        f"/vsicurl/https://me:secret@example.com/{TCI}?sig=a//b%2F",
        f"https://example.com/{TCI}",
    ),
    f"s3://bucket/a b/{TCI}": (f"/vsis3/bucket/a b/{TCI}", f"s3://bucket/a b/{TCI}"),
    f"gs://bucket/{TCI}": (f"/vsigs/bucket/{TCI}", f"gs://bucket/{TCI}"),
    f"az://bucket/{TCI}": (f"/vsiaz/bucket/{TCI}", f"az://bucket/{TCI}"),
    f"/vsizip/{{/data/ä b.zip}}/x/{TCI}": (f"/vsizip/{{/data/ä b.zip}}/x/{TCI}", f"/data/ä b.zip/x/{TCI}"),
}


@pytest.mark.parametrize("source", CASES)
def test_a_remote_file_has_gdal_s_name_and_its_own(source: str) -> None:
    """GDAL gets every character; messages and keys get neither user nor signature; the name gives tile and date."""
    dataset, text = CASES[source]
    path = image_path(source)
    assert isinstance(path, VirtualFile)
    assert (gdal_name(path), str(path), path.name, path.suffix) == (dataset, text, TCI, ".tif")
    assert image_path(dataset) == path and file_key(path) == (text if "/vsizip/" not in dataset else dataset)
    scene = scene_of(source)
    assert (scene.path, scene.tile, scene.date) == (path, "T36UXA", "2018-08-20")


def test_a_path_is_a_file_of_the_file_system(tmp_path: Path) -> None:
    """Links, relative paths and file URLs are the same file; a drive of Windows is no scheme."""
    file, link = tmp_path / "ä b.tif", tmp_path / "link.tif"
    file.touch()
    link.symlink_to(file)
    assert image_path(file.as_uri()) == file
    assert file_key(image_path(str(link))) == file_key(file)
    assert image_path("C:/a.tif") == Path("C:/a.tif")


@pytest.mark.parametrize(("source", "message"), [("ftp://me:secret@a/b.tif", "ftp://a/b.tif"), (3, "type int")])
def test_what_is_no_path_is_refused(source: object, message: str) -> None:
    """Schemes that GDAL's file systems do not have, and what is neither text nor a path."""
    with pytest.raises(UnreadableImageError, match=message) as caught:
        image_path(source)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
