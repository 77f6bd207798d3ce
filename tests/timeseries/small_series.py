"""A small series on disk: images of one texture that are georeferenced wrongly by known shifts."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from conftest import Writer, texture

from s2match.settings import Settings
from s2match.timeseries.images import SeriesImage, series_image
from s2match.timeseries.observations import PairObservation
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.tasks import PairTask, task_of

SIDE = 160

# Columns and rows by which each image shows the ground too far left and up.
OFFSETS_PX = ((0, 0), (2, 1), (5, 0), (1, 4))

OPTIONS = SeriesOptions(settings=Settings(image_size=None, confidence=0.2, device="cpu"))


def write_series(write_image: Writer) -> list[SeriesImage]:
    """Four dates of 160 px."""
    ground = texture(SIDE + 8, SIDE + 8, seed=3)
    return [
        series_image(
            index, write_image(f"T36UXA_2018080{index + 1}T083601_TCI.tif", ground[y : y + SIDE, x : x + SIDE])
        )
        for index, (x, y) in enumerate(OFFSETS_PX)
    ]


def tasks_of(images: list[SeriesImage], options: SeriesOptions = OPTIONS) -> list[PairTask]:
    """All pairs."""
    return [task_of(first, second, options) for first, second in itertools.combinations(images, 2)]


def results(observations: list[PairObservation]) -> list[tuple[object, ...]]:
    """What must not depend on where and in which order pairs were matched: all but times and features."""
    ordered = sorted(observations, key=lambda one: (one.reference, one.target))
    return [
        (one.reference, one.target, one.status, one.reason, one.shift, one.covariance, one.matches, one.inliers)
        for one in ordered
    ]


def assert_right(observations: list[PairObservation]) -> None:
    """Check the shift of each pair, metres east and north, to a tenth of a pixel."""
    for one in observations:
        assert one.measured, one.reason
        x, y = np.subtract(OFFSETS_PX[one.target], OFFSETS_PX[one.reference]) * 10.0
        assert one.shift == pytest.approx((-x, y), abs=1.0)


def image_path(images: list[SeriesImage], index: int) -> Path:
    return images[index].scene.path
