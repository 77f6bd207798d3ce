"""The benchmark of untrusted inputs measures what it says."""

from pathlib import Path

import pytest

from benchmarks.untrusted_inputs import Left, hardly_answering, measure_preparation, table
from s2match.errors import UnreadableImageError
from s2match.io.http_text import read_url
from s2match.io.request_limits import Limits


def test_preparation(tmp_path: Path) -> None:
    (prepared,) = measure_preparation([3], tmp_path)
    assert prepared.images == len(list((tmp_path / "3").iterdir())) == 3
    lines = table([Left("image", "silent", 15.2, "")], [prepared]).splitlines()
    assert lines[2] == "| image | silent | 15 s |" and lines[-1].startswith("| 3 |")


@pytest.mark.parametrize(("trickles", "said"), [(False, "has sent nothing"), (True, r"has sent only \d+ bytes")])
def test_servers(trickles: bool, said: str) -> None:
    limits = Limits(window_s=0.2, patience_s=0.4)
    with hardly_answering(trickles) as url, pytest.raises(UnreadableImageError, match=said):
        read_url(f"{url}/a.json", limits=limits)
