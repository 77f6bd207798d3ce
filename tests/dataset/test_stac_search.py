"""A catalogue is searched by tile and dates, and an answer that is none, or none at all, is one sentence."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_server import SILENT, Server, serve

from s2match.dataset.stac_search import images_table, recorded_images, search_stac
from s2match.errors import PreparationError
from s2match.io import request_limits

DATES = ("2018-08-01", "2018-08-31")


def item(name: str, cloud: object) -> dict[str, object]:
    return {
        "id": name,
        "properties": {"datetime": f"2018-08-{name}T08:36:01Z", "eo:cloud_cover": cloud},
        "links": [{"rel": "self", "href": f"https://host/items/{name}"}],
        "assets": {"visual": {"href": f"https://host/{name}.tif"}},
    }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path) as server:
        yield server


def test_images_of_a_tile(server: Server) -> None:
    answer = {"features": [item("20", 3.4), item("10", None), {**item("30", 1), "assets": {}}]}
    server.answers["/v1/search"] = json.dumps(answer).encode()
    images = search_stac(f"{server.url}/v1/", "T36UXA", DATES, 30)
    assert [(image.date, image.cloud_percent) for image in images] == [("2018-08-10", None), ("2018-08-20", 3.4)]
    assert images[0].source == "https://host/items/10#visual"
    asked = json.loads(server.posted[0])
    assert asked["query"] == {"grid:code": {"eq": "MGRS-36UXA"}, "eo:cloud_cover": {"lte": 30}}
    assert images_table(images).splitlines()[2] == "2018-08-20     3%  https://host/items/20#visual"


def test_the_recorded_answer() -> None:
    assert len(images_table(recorded_images()).splitlines()) == len(recorded_images()) + 1 > 1


@pytest.mark.parametrize(
    "answer",
    [
        "<html>",
        "[]",
        "{}",
        '{"features": 3}',
        '{"features": [3]}',
        '{"features": [{"assets": 3}]}',
        '{"features": [{"assets": {"visual": {}}}]}',
        '{"features": [{"assets": {"visual": {"href": "a"}}, "links": 3, "properties": {}}]}',
        '{"features": ' + "[" * 100_000,
    ],
    ids=range(9),
)
def test_answers_that_are_none(server: Server, answer: str) -> None:
    server.answers["/search"] = answer.encode()
    with pytest.raises(PreparationError, match="The answer is not that of a STAC API"):
        search_stac(server.url, "36UXA", DATES)


@pytest.mark.parametrize("cloud", ["12", [], {}, True, "x" * 1000])
def test_cloud_that_is_no_number(server: Server, cloud: object) -> None:
    server.answers["/search"] = json.dumps({"features": [item("10", cloud)]}).encode()
    assert len(images_table(search_stac(server.url, "36UXA", DATES)).splitlines()) == 2


def test_a_silent_catalogue_is_left(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "LIMITS", request_limits.Limits(window_s=0.2, patience_s=0.4))
    server.always["search"] = SILENT
    with pytest.raises(PreparationError, match=r"Cannot read .*/search: the server has sent nothing for"):
        search_stac(server.url, "36UXA", DATES)


def test_a_catalogue_that_is_no_url() -> None:
    with pytest.raises(PreparationError, match="Cannot read nowhere/search"):
        search_stac("nowhere", "36UXA", DATES)
