"""A pair as a task: picklable, with a reason where it fails, and features that are computed once."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from conftest import GRID, Writer
from small_series import OPTIONS, assert_right, image_path, results, tasks_of, write_series

from s2match.core.mask import Mask, Masking
from s2match.errors import UnknownWeightsError
from s2match.matching.caching_loader import feature_bytes
from s2match.settings import Settings
from s2match.timeseries import tasks
from s2match.timeseries.observations import PairStatus
from s2match.timeseries.tasks import matcher_loader, run_task, task_of

MEMORY = 4 << 30


def test_tasks_survive_pickling_and_encode_each_image_once(write_image: Writer) -> None:
    images = write_series(write_image)
    load = matcher_loader(MEMORY)
    observations = [run_task(pickle.loads(pickle.dumps(task)), load) for task in tasks_of(images)]
    assert_right(observations)
    assert [one.encoded for one in observations] == [2, 1, 1, 0, 0, 0]
    assert all(one.seconds > 0 for one in observations)


def test_results_do_not_depend_on_what_was_matched_before(write_image: Writer) -> None:
    pairs = tasks_of(write_series(write_image))[:3]
    load, without_features = matcher_loader(MEMORY), matcher_loader(1)
    observations = [run_task(task, load) for task in pairs]
    again = [run_task(task, without_features) for task in reversed(pairs)]
    assert [one.encoded for one in again] == [2, 2, 2]
    assert results(again) == results(observations)


def test_a_damaged_image_fails_with_its_reason(write_image: Writer) -> None:
    images = write_series(write_image)
    path = image_path(images, 1)
    path.write_bytes(path.read_bytes()[:300])
    bad, good = run_task(tasks_of(images)[0], load := matcher_loader(MEMORY)), run_task(tasks_of(images)[1], load)
    assert bad.status is PairStatus.FAILED and path.name in bad.reason and bad.reason.endswith(".")
    assert (bad.reference, bad.target) == (0, 1)
    assert good.measured


def test_an_unexpected_error_fails_the_pair_and_names_its_type(
    write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object, **named: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(tasks, "match_scenes", broken)
    observation = run_task(tasks_of(write_series(write_image))[0], matcher_loader(MEMORY))
    assert observation.status is PairStatus.FAILED
    assert observation.reason == "Unexpected ZeroDivisionError: division by zero."


def test_weights_that_cannot_be_loaded_end_the_run(write_image: Writer) -> None:
    options = replace(OPTIONS, settings=OPTIONS.settings.but(weights="none"))
    with pytest.raises(UnknownWeightsError):
        run_task(tasks_of(write_series(write_image), options)[0], matcher_loader(MEMORY))


def test_a_mask_of_one_image_leaves_the_others_as_they_are(write_image: Writer) -> None:
    """So the features of the others serve all their pairs."""
    images = write_series(write_image)
    mask = np.zeros((160, 160), np.uint8)
    mask[:80] = 1
    images[1] = replace(images[1], masks=(write_image("mask.tif", mask),))
    load = matcher_loader(MEMORY)
    observations = [run_task(task, load) for task in tasks_of(images)]
    assert_right(observations)
    assert sum(one.encoded for one in observations) == 4
    matches = {(one.reference, one.target): one.matches for one in observations}
    # half of image 1 is not matched
    assert matches[0, 1] < 0.7 * matches[0, 2] and matches[1, 2] < 0.7 * matches[0, 2]


def test_a_common_mask_may_lie_on_other_images_of_the_series(write_image: Writer) -> None:
    images = write_series(write_image)
    far = write_image("far.tif", np.ones((160, 160), np.uint8), GRID.translation(500_000, 0) @ GRID)
    options = replace(OPTIONS, masking=Masking((Mask(far),)))
    load = matcher_loader(MEMORY)
    assert run_task(task_of(images[0], images[1], options), load).measured
    own = replace(images[1], masks=(far,))
    observation = run_task(task_of(images[0], own, OPTIONS), load)
    assert observation.status is PairStatus.FAILED and "lies on no ground" in observation.reason


def test_the_process_itself_needs_memory_that_features_do_not_get() -> None:
    """By the size of a pass: windows of large images are smaller than the largest image of one pass."""
    for_native, for_1098, for_2048, for_windows = (
        feature_bytes(4 << 30, Settings(image_size=size)) for size in (None, (1098, 1098), (2048, 2048), (4000, 4000))
    )
    assert 0 < for_native == for_2048 < for_1098 == for_windows < 4 << 30
    assert feature_bytes(1 << 20, Settings()) == 0
