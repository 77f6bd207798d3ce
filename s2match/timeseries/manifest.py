"""Observations on disk, so that a run that was ended goes on where it was."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from s2match.core.image_path import file_key
from s2match.core.mask import Mask
from s2match.errors import OptionError, OutputError
from s2match.io.file_stamp import file_stamp
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.observations import PairObservation, PairStatus
from s2match.timeseries.options import SeriesOptions
from s2match.util.atomic_write import write_text
from s2match.util.flat_records import flat_record
from s2match.util.json_lines import JsonLines
from s2match.version import __version__

_LOG = logging.getLogger(__name__)

# Names of the files in the folder.
FINGERPRINT_NAME, PAIRS_NAME = "fingerprint.json", "pairs.jsonl"


@dataclass(frozen=True)
class Fingerprint:
    """What the observations of a series depend on.

    Attributes:
        options: Text of what all pairs depend on, by its name.
        images: Absolute paths of the images, in the order of the series, with the text of what changes with their
            pixels and masks.
    """

    options: Mapping[str, str]
    images: Mapping[str, str]


def fingerprint_of(images: Sequence[SeriesImage], options: SeriesOptions) -> Fingerprint:
    """The fingerprint of a series: version, settings, and the size and time of change of all files.

    Which pairs are matched, and the datum, change no observation.
    """
    settings = options.settings
    common = {
        "version": __version__,
        "settings": repr(settings),
        "weights": file_stamp(Path(settings.weights)) if Path(settings.weights).is_file() else settings.weights,
        "area of interest": file_stamp(Path(settings.aoi)) if isinstance(settings.aoi, str) else "",
        "masks": f"{_stamps(options.masking.masks)} {options.masking.clouds}",
    }
    return Fingerprint(common, {_key(image): _image_text(image) for image in images})


class Manifest:
    """The finished pairs of a series in a folder.

    Each pair is a line of JSON behind its checksum, written as soon as it is done. A line that was cut off or damaged
    is ignored, and its pair matched again. Pairs are known by their files: images may be added to the series, and the
    plan of its pairs may change.
    """

    def __init__(self, folder: str | Path, fingerprint: Fingerprint, restart: bool = False) -> None:
        """Open the folder, which is created if it does not exist; its parent must exist.

        Args:
            folder: The folder.
            fingerprint: What the observations depend on.
            restart: Discard finished pairs.

        Raises:
            OptionError: The finished pairs depend on something else.
            OutputError: The folder cannot be written to.
        """
        self._folder, self._fingerprint = Path(folder), fingerprint
        self._paths = list(fingerprint.images)
        try:
            self._folder.mkdir(exist_ok=True)
            if restart:
                (self._folder / PAIRS_NAME).unlink(missing_ok=True)
            self._check()
            self._write_fingerprint()
        except OSError as error:
            raise OutputError(f"Cannot write to {self._folder}: {error.strerror or error}.") from error
        self._lines = JsonLines(self._folder / PAIRS_NAME)

    def load(self) -> dict[tuple[str, str], PairObservation]:
        """Finished pairs of the series' images by the keys of their files, with the indexes of this series.

        Pairs that failed are left out: they are tried again.
        """
        indexes = {path: index for index, path in enumerate(self._paths)}
        finished = {}
        for line in self._lines:
            try:
                files, observation = _files(line), _observation(line)
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
                _LOG.info("a record of %s is damaged, and is ignored: %s", self._folder, error)
                continue
            if observation.status is PairStatus.FAILED or not indexes.keys() >= set(files):
                continue
            reference, target = (indexes[file] for file in files)
            finished[files] = replace(observation, reference=reference, target=target)
        return finished

    def add(self, observation: PairObservation) -> None:
        """Write the observation of a pair, so that it is kept even if the machine fails.

        Raises:
            OutputError: It cannot be written.
        """
        files = {"reference": self._paths[observation.reference], "target": self._paths[observation.target]}
        self._lines.append({**files, "observation": asdict(observation)})

    def _check(self) -> None:
        """Check that the finished pairs depend on what those of this series depend on."""
        path = self._folder / FINGERPRINT_NAME
        if not (self._folder / PAIRS_NAME).exists() or not path.exists():
            return
        before = _read_fingerprint(path)
        if before is None:
            raise self._refusal("its fingerprint is damaged")
        for name, text in self._fingerprint.options.items():
            if before.options.get(name) != text:
                raise self._refusal(f"the {name} differ{'' if name.endswith('s') else 's'}")
        for image, text in self._fingerprint.images.items():
            if before.images.get(image, text) != text:
                raise self._refusal(f"{Path(image).name} or its masks have changed")

    def _refusal(self, difference: str) -> OptionError:
        return OptionError(
            f"{self._folder} has finished pairs of another run ({difference}): choose another folder, or discard them "
            "with --restart (restart=True in Python)."
        )

    def _write_fingerprint(self) -> None:
        """Write the fingerprint; images of former runs stay in it."""
        path = self._folder / FINGERPRINT_NAME
        images = dict(self._fingerprint.images)
        before = _read_fingerprint(path) if (self._folder / PAIRS_NAME).exists() and path.exists() else None
        if before is not None:
            images = {**before.images, **images}
        write_text(path, json.dumps(asdict(replace(self._fingerprint, images=images)), indent=1))


def _read_fingerprint(path: Path) -> Fingerprint | None:
    """The fingerprint in a file; None if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = [content["options"], content["images"]]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    if len(content) > len(parts) or not all(isinstance(part, dict) for part in parts):
        return None
    if not all(isinstance(text, str) for part in parts for text in part.values()):
        return None
    return Fingerprint(*parts)


def _files(record: Mapping[str, Any]) -> tuple[str, str]:
    """The files of a record.

    Raises:
        KeyError: One is missing.
    """
    return str(record["reference"]), str(record["target"])


def _observation(record: Mapping[str, Any]) -> PairObservation:
    """The observation of a record.

    Raises:
        AttributeError, KeyError, OverflowError, TypeError, ValueError: It is not one.
    """
    fields = dict(record["observation"])
    shift = _pair(fields.pop("shift"))
    first, second = fields.pop("covariance")
    fields["status"] = PairStatus(fields["status"])
    return replace(flat_record(PairObservation, fields), shift=shift, covariance=(_pair(first), _pair(second)))


def _pair(numbers: Sequence[Any]) -> tuple[float, float]:
    first, second = numbers
    return float(first), float(second)


def _key(image: SeriesImage) -> str:
    return file_key(image.scene.path)


def _image_text(image: SeriesImage) -> str:
    return f"{file_stamp(image.scene.path)} {_stamps(image.own_masks)}".strip()


def _stamps(masks: Iterable[Mask]) -> str:
    return " ".join(f"{file_key(mask.path)} {mask.values} {file_stamp(mask.path)}" for mask in masks)
