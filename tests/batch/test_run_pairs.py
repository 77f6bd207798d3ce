"""Many pairs: right shifts, errors that end no other pair, and runs that go on where they were."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Writer, texture

import s2match
from s2match import pipeline
from s2match.batch import correct_and_write, run
from s2match.batch.journal import JOURNAL_NAME
from s2match.batch.rows import COLUMNS, PairRow
from s2match.batch.run import TABLE_NAME, Batch, run_pairs
from s2match.batch.sources import ListedPair
from s2match.core.grid import Grid
from s2match.errors import OutputError
from s2match.io.reader import read_whole
from s2match.outputs.targets import Outputs
from s2match.settings import Settings

pytestmark = pytest.mark.usefixtures("coarse_figures")

SIDE = 160
SETTINGS = Settings(image_size=(SIDE, SIDE), confidence=0.2, device="cpu")

# Right and down, by which a target shows the ground away from the reference.
SHIFTS_PX = {"b": (3, 1), "c": (-2, 4)}


@pytest.fixture
def pairs(tmp_path: Path, write_image: Writer) -> list[ListedPair]:
    """Two targets of one reference, and one that is missing between them."""
    ground = texture(SIDE + 20, SIDE + 20, seed=3)
    for name, (right, down) in {"a": (0, 0), **SHIFTS_PX}.items():
        write_image(f"{name}.tif", ground[10 - down : 10 - down + SIDE, 10 - right : 10 - right + SIDE])
    return [ListedPair(name, str(tmp_path / "a.tif"), str(tmp_path / f"{name}.tif")) for name in ("b", "missing", "c")]


def batch_of(*more: str) -> Batch:
    """JSON of each pair, and more tie points."""
    return Batch(
        SETTINGS,
        lambda pair, folder: Outputs(None, folder / "r.json", tuple(folder / name for name in more)),
    )


class Run:
    """A run into a folder, with the names of the pairs that were matched."""

    def __init__(
        self, pairs: list[ListedPair], folder: Path, batch: Batch | None = None, overwrite: bool = False
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.matched: list[str] = []
        self.rows = run_pairs(pairs, batch or batch_of(), folder, self._done, overwrite=overwrite)

    def _done(self, index: int, row: PairRow) -> None:
        self.matched.append(row.name)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / TABLE_NAME).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_pair_has_its_row_and_its_files(
    pairs: list[ListedPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shifts are right, and a missing file fails alone. Weights are loaded once, and each image is read once."""
    loaded = []

    def create(settings: Settings) -> object:
        matcher = pipeline.create_matcher(settings)
        loaded.append(matcher)
        encode = matcher.encode
        encoded.clear()
        monkeypatch.setattr(matcher, "encode", lambda image: (encoded.append(image), encode(image))[1], raising=False)
        return matcher

    encoded: list[object] = []
    monkeypatch.setattr(run, "create_matcher", create)
    read: list[Grid] = []
    monkeypatch.setattr(run, "read_whole", lambda grid: (read.append(grid), read_whole(grid))[1])
    out = tmp_path / "out"
    done = Run(pairs, out)
    assert len(loaded) == 1 and len(encoded) == len(read) == 3
    assert done.matched == ["b", "missing", "c"]
    rows = table(out)
    assert list(rows[0]) == list(COLUMNS)
    assert [row["status"] for row in rows] == ["matched", "failed", "matched"]
    assert "There is no file" in rows[1]["message"] and "missing.tif" in rows[1]["message"]
    for row in rows[::2]:
        right, down = SHIFTS_PX[row["name"]]
        assert (float(row["dx_m"]), float(row["dy_m"])) == pytest.approx((right * 10, -down * 10), abs=3)
        assert row["decision"] == "register" and row["unit"] == "m" and float(row["pixel_m"]) == 10
        assert row["message"].startswith("register with this")
        assert [path.name for path in (out / row["name"]).iterdir()] == ["r.json"]
        assert row["corrected"] == ""
    assert not (out / "missing").exists()


def test_what_has_not_changed_is_not_matched_again(pairs: list[ListedPair], tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = Run(pairs, out)
    content = table(out)
    again = Run(pairs, out)
    # what failed is tried again
    assert again.matched == ["missing"] and [again.rows[k] == first.rows[k] for k in (0, 2)] == [True, True]
    assert [row["dx_m"] for row in table(out)] == [row["dx_m"] for row in content]
    # an output that is gone
    (out / "c" / "r.json").unlink()
    assert Run(pairs, out).matched == ["missing", "c"]
    # one more output
    assert Run(pairs[2:], out, batch_of("points.csv")).matched == ["c"]
    assert (out / "c" / "points.csv").exists()
    # the folder may be moved
    moved = out.rename(tmp_path / "moved")
    assert Run(pairs[::2], moved).matched == []


@pytest.mark.parametrize("change", ["settings", "input", "mask", "output"])
def test_other_results_are_replaced_only_if_asked(
    change: str, pairs: list[ListedPair], tmp_path: Path, write_image: Writer
) -> None:
    out, pairs, batch = tmp_path / "out", pairs[:1], batch_of()
    Run(pairs, out)
    json = out / "b" / "r.json"
    if change == "settings":
        batch = replace(batch, settings=SETTINGS.but(seed=1))
    elif change == "input":
        os.utime(pairs[0].target, (1, 1))
    elif change == "mask":
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[:40] = 1
        pairs = [replace(pairs[0], masks=(str(write_image("mask.tif", mask)),))]
    else:
        json.write_text("{}")
    before = json.read_bytes(), (out / TABLE_NAME).read_bytes()
    with pytest.raises(OutputError, match=r"r\.json.*--overwrite replaces"):
        Run(pairs, out, batch)
    assert (json.read_bytes(), (out / TABLE_NAME).read_bytes()) == before
    assert Run(pairs, out, batch, overwrite=True).matched == ["b"]
    assert Run(pairs, out, batch).matched == []


def test_files_of_the_user_stay(pairs: list[ListedPair], tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "b").mkdir(parents=True)
    for path in (out / "b" / "r.json", out / TABLE_NAME):
        path.write_text("mine")
        with pytest.raises(OutputError, match=path.name):
            Run(pairs, out)
        assert path.read_text() == "mine"
        path.unlink()


def test_a_run_that_was_killed_goes_on(
    pairs: list[ListedPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-written files of the pair that was being written are its own, and the finished pair is kept."""
    out, write = tmp_path / "out", correct_and_write.write_outputs

    class KilledError(BaseException):
        pass

    def killed(*arguments: object, **options: object) -> str:
        text = write(*arguments, **options)  # type: ignore[arg-type]
        if (out / "c" / "r.json").exists():
            raise KilledError
        return text

    monkeypatch.setattr(correct_and_write, "write_outputs", killed)
    with pytest.raises(KilledError):
        Run(pairs[::2], out)
    assert [row["name"] for row in table(out)] == ["b"] and (out / "c" / "r.json").exists()
    # a signal that cannot be caught leaves no table, and may cut off the last line of the journal
    (out / TABLE_NAME).unlink()
    with (out / JOURNAL_NAME).open("a") as file:
        file.write('0123456789abcdef {"name": "c"')
    monkeypatch.setattr(correct_and_write, "write_outputs", write)
    done = Run(pairs[::2], out)
    assert done.matched == ["c"] and [row["status"] for row in table(out)] == ["matched", "matched"]


def test_pairs_in_python(pairs: list[ListedPair], tmp_path: Path) -> None:
    """Paths and arrays, one after the other; an error is that of its pair; options are checked at once."""
    listed = [(pair.reference, pair.target) for pair in pairs]
    outcomes = list(s2match.match_pairs(listed, SETTINGS))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "missing.tif" in str(outcomes[1].error) and outcomes[1].result is None
    for outcome, name in zip(outcomes[::2], "bc", strict=True):
        assert outcome.result is not None and outcome.result.matrix is not None
        assert (outcome.result.matrix @ (80, 80, 1))[:2] == pytest.approx(np.add(SHIFTS_PX[name], 80), abs=0.3)
        assert outcome.target == str(tmp_path / f"{name}.tif")
    source = tmp_path / "pairs.csv"
    source.write_text("reference,target\na.tif,b.tif\n")
    (from_csv,) = s2match.match_pairs(source, SETTINGS)
    assert from_csv.result is not None and outcomes[0].result is not None
    assert np.array_equal(from_csv.result.matches.xy1, outcomes[0].result.matches.xy1)
    with pytest.raises(s2match.S2MatchError, match="out of range"):
        s2match.match_pairs(listed, confidence=2.0)
