"""Finished pairs survive the end of a run, and are never mixed with those of another one."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, Writer
from small_series import OPTIONS, assert_right, image_path, tasks_of, write_series

from s2match.core.mask import Mask, Masking
from s2match.errors import OptionError, OutputError
from s2match.timeseries import manifest as manifest_module
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.manifest import PAIRS_NAME, Manifest, fingerprint_of
from s2match.timeseries.observations import PairObservation, PairStatus
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.tasks import matcher_loader, run_task

MEASURED = PairObservation(
    0,
    2,
    PairStatus.MEASURED,
    shift=(0.1 + 0.2, -1 / 3),
    covariance=((1e-3, float("nan")), (2.5, 1e300)),
    decision="register",
    model="affine",
    matches=100,
    inliers=70,
    seconds=1.5,
    encoded=2,
)
HIDDEN = PairObservation(1, 2, PairStatus.NO_EVIDENCE, "ńot enough évidence")


def opened(
    folder: Path, images: list[SeriesImage], options: SeriesOptions = OPTIONS, restart: bool = False
) -> Manifest:
    return Manifest(folder, fingerprint_of(images, options), restart)


def test_observations_come_back_as_they_were(tmp_path: Path, write_image: Writer) -> None:
    images = write_series(write_image)
    manifest = opened(tmp_path / "m", images)
    assert manifest.load() == {}
    manifest.add(MEASURED)
    manifest.add(HIDDEN)
    kept = opened(tmp_path / "m", images).load()
    paths = [str(image_path(images, index)) for index in range(3)]
    # compared as text: NaN is not equal to itself
    assert {key: repr(value) for key, value in kept.items()} == {
        (paths[0], paths[2]): repr(MEASURED),
        (paths[1], paths[2]): repr(HIDDEN),
    }


def test_failed_pairs_are_tried_again(tmp_path: Path, write_image: Writer) -> None:
    images = write_series(write_image)
    manifest = opened(tmp_path / "m", images)
    manifest.add(PairObservation(0, 1, PairStatus.FAILED, "The disk was full."))
    assert manifest.load() == {}


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_line_that_was_cut_off_is_matched_again(cut: int, tmp_path: Path, write_image: Writer) -> None:
    images = write_series(write_image)
    manifest = opened(tmp_path / "m", images)
    manifest.add(HIDDEN)
    manifest.add(MEASURED)
    file = tmp_path / "m" / PAIRS_NAME
    # a cut of one byte takes the end of the line alone: the observation is complete
    os.truncate(file, file.stat().st_size - cut)
    again = opened(tmp_path / "m", images)
    assert len(again.load()) == (2 if cut == 1 else 1)
    again.add(MEASURED)
    assert len(opened(tmp_path / "m", images).load()) == 2


def test_a_damaged_line_is_matched_again(tmp_path: Path, write_image: Writer) -> None:
    images = write_series(write_image)
    manifest = opened(tmp_path / "m", images)
    manifest.add(MEASURED)
    manifest.add(HIDDEN)
    file = tmp_path / "m" / PAIRS_NAME
    file.write_text(file.read_text(encoding="utf-8").replace('"inliers": 70', '"inliers": 71'), encoding="utf-8")
    assert [one.status for one in opened(tmp_path / "m", images).load().values()] == [PairStatus.NO_EVIDENCE]


def test_images_may_be_added_to_a_series(tmp_path: Path, write_image: Writer) -> None:
    """Their indexes change; pairs are known by their files."""
    images = write_series(write_image)
    opened(tmp_path / "m", images[1:]).add(replace(MEASURED, reference=0, target=1))
    (observation,) = opened(tmp_path / "m", images).load().values()
    assert (observation.reference, observation.target) == (1, 2)


@pytest.mark.parametrize("change", ["settings", "version", "masks", "image", "own mask"])
def test_another_run_is_refused(
    change: str, tmp_path: Path, write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, options = write_series(write_image), OPTIONS
    opened(tmp_path / "m", images).add(MEASURED)
    named = f"the {change} differ"
    if change == "settings":
        options = replace(options, settings=options.settings.but(seed=1))
    elif change == "version":
        monkeypatch.setattr(manifest_module, "__version__", "99.0.0")
    elif change == "masks":
        options = replace(options, masking=Masking((Mask(image_path(images, 0)),)))
    elif change == "image":
        os.utime(image_path(images, 2), (1, 1))
        named = f"{image_path(images, 2).name} or its masks have changed"
    else:
        images[2] = replace(images[2], masks=(image_path(images, 0),))
        named = f"{image_path(images, 2).name} or its masks have changed"
    with pytest.raises(OptionError, match=named) as caught:
        opened(tmp_path / "m", images, options)
    assert "--restart" in str(caught.value)
    assert opened(tmp_path / "m", images, options, restart=True).load() == {}
    # the new run's fingerprint replaced the old one
    opened(tmp_path / "m", images, options)


def test_the_plan_and_the_datum_change_no_observation(tmp_path: Path, write_image: Writer) -> None:
    images = write_series(write_image)
    opened(tmp_path / "m", images).add(MEASURED)
    assert len(opened(tmp_path / "m", images, replace(OPTIONS, partners=2, reference=1)).load()) == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, write_image: Writer) -> None:
    with pytest.raises(OutputError, match=r"Cannot write to .*missing"):
        opened(tmp_path / "missing" / "m", write_series(write_image))


SCRIPT = """
import sys
from s2match.timeseries.executor import Execution, run_tasks
from s2match.timeseries.images import series_image
from s2match.timeseries.manifest import Manifest, fingerprint_of
from small_series import OPTIONS, tasks_of

if __name__ == "__main__":
    images = [series_image(index, path) for index, path in enumerate(sys.argv[3:])]
    manifest = Manifest(sys.argv[1], fingerprint_of(images, OPTIONS))

    def done(observation):
        manifest.add(observation)
        print(observation.reference, observation.target, flush=True)

    run_tasks(tasks_of(images), Execution(workers=int(sys.argv[2])), done)
"""


def start(folder: Path, workers: int, images: list[SeriesImage]) -> "subprocess.Popen[str]":
    """A run of the series in a process, and a process group, of its own."""
    script = folder.with_suffix(".py")
    script.write_text(SCRIPT, encoding="utf-8")
    paths = [str(image.scene.path) for image in images]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))}
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), str(workers), *paths],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
        # children of tests that run in the background ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def group_is_empty(group: int, seconds: float) -> bool:
    """Whether all processes of a group end within a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return False


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path: Path, write_image: Writer) -> None:
    images = write_series(write_image)
    process = start(tmp_path / "m", 2, images)
    assert process.stdout is not None
    first = tuple(map(int, process.stdout.readline().split()))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert group_is_empty(process.pid, 30), "workers outlived the run"
    manifest = opened(tmp_path / "m", images)
    finished = manifest.load()
    assert first in {(one.reference, one.target) for one in finished.values()} and len(finished) < 6
    load = matcher_loader(4 << 30)
    missing = [task for task in tasks_of(images) if tuple(str(scene.path) for scene in task.scenes) not in finished]
    for task in missing:
        manifest.add(run_task(task, load))
    assert len(missing) == 6 - len(finished)
    assert_right(list(opened(tmp_path / "m", images).load().values()))


@pytest.mark.slow
def test_an_interrupt_leaves_no_process_and_no_noise(tmp_path: Path, write_image: Writer) -> None:
    process = start(tmp_path / "m", 2, write_series(write_image))
    assert process.stdout is not None
    assert process.stdout.readline().strip()
    # as Ctrl-C in a terminal: all processes get it
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert group_is_empty(process.pid, 30), "workers outlived the run"
    assert errors.count("Traceback") == 1 and errors.strip().endswith("KeyboardInterrupt"), errors
