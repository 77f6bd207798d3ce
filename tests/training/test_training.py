import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
import torch
from conftest import REAL, Writer, texture
from kornia.feature import LoFTR

from s2match.errors import DatasetError
from s2match.io import open_file
from s2match.loftr.checkpoints import load_network, save_weights
from s2match.loftr.config import MatchingConfig
from s2match.loftr.engine import Engine
from s2match.loftr.heatmaps import expectation_px
from training import losses, train
from training.calibrate import calibrate, logistic
from training.loading import Recipe, _reverse_offsets, batches, make_batch
from training.pairs import Pair, apply, cut, sample_pair, translation, truth_of
from training.progress import Row, read_rows
from training.scenes import Stack, list_images, load_stacks, matches_any
from training.validate import HELD_OUT, SAME_PLACE, checks_of, measure

SIZE = (96, 96)
RECIPE = Recipe(seed=3, fine=200, size=SIZE)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small work is done sooner by one thread where others work as well."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stacks() -> list[Stack]:
    images = np.stack([texture(256, 240, seed=1), 255 - texture(256, 240, seed=1)])[:, None]
    here = np.ones((2, 240, 256), bool)
    other = texture(256, 256, seed=2)[None, None]
    return [
        Stack(("a", "b"), images, here, here),
        Stack(("c",), other, np.ones_like(other[0], bool), np.ones_like(other[0], bool)),
    ]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened, by the reader of this project, by rasterio or by OpenCV."""
    names: list[str] = []
    for module, function in ((open_file, "open_image"), (rasterio, "open"), (cv2, "imread")):
        real = getattr(module, function)

        def watched(path: Any, *args: Any, real: Any = real, **kwargs: Any) -> Any:
            names.append(Path(path).name)
            return real(path, *args, **kwargs)

        monkeypatch.setattr(module, function, watched)
    return names


def small_state(plan: train.Plan) -> train.State:
    torch.manual_seed(0)
    return train.start("sentinel2", plan, CPU)


def test_files_of_the_split_are_never_opened(tmp_path: Path, write_image: Writer, opened: list[str]) -> None:
    names = ["T36UXA_20180820T083601_TCI.tif", "T36UXA_20190606T083601_TCI.tif", "T36UXA_20190611T083601_TCI.tif"]
    for k, name in enumerate(names):
        write_image(name, np.stack([texture(192, 192, seed=k)] * 3))
    (tmp_path / "split.json").write_text(json.dumps({"test": ["T36UXA_20190606T083601"]}))
    opened.clear()
    (stack,) = load_stacks(list_images([tmp_path]))
    assert stack.names == (names[0], names[2])
    assert set(opened) == {names[0], names[2]}


@pytest.mark.real
def test_test_dates_of_the_real_split_are_never_opened(opened: list[str]) -> None:
    test = tuple(json.loads((REAL / "ukraine" / "split.json").read_text())["test"])
    paths = list_images([REAL])
    assert len([path for path in paths if path.parent.name == "ukraine"]) == 50 - len(test)
    load_stacks([path for path in paths if path.parent.name == "ukraine"])
    assert len(set(opened)) == 50 - len(test)
    assert not [name for name in opened if name.startswith(test)]


@pytest.mark.real
def test_validation_and_training_share_no_image() -> None:
    paths = [path.name for path in list_images([REAL / "ukraine", REAL / "native10m"])]
    held = [name for name in paths if matches_any(name, HELD_OUT)]
    assert len(held) == len(HELD_OUT)
    test = tuple(json.loads((REAL / "ukraine" / "split.json").read_text())["test"])
    assert not [name for name in held if name.startswith(test)]


def test_dates_are_found_by_their_grid(dataset: Path) -> None:
    assert [len(stack.names) for stack in load_stacks(list_images([dataset]))] == [1, 1, 1]


def test_same_place_pattern_groups_files_without_georeference(tmp_path: Path) -> None:
    for k, name in enumerate(["a_1.png", "a_2.png", "b_1.png"]):
        cv2.imwrite(str(tmp_path / name), texture(200, 200, seed=k))
    stacks = load_stacks(list_images([tmp_path]), ["a_*"])
    assert sorted(stack.names for stack in stacks) == [("a_1.png", "a_2.png"), ("b_1.png",)]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no image"):
        list_images([tmp_path])
    with pytest.raises(DatasetError, match="not there"):
        list_images([tmp_path / "missing"])


def test_cut_is_exact_with_pixel_centres_at_integers() -> None:
    ramp = np.add.outer(np.arange(100) * 0.5, np.arange(120)).astype(np.uint8)
    view = translation(10.25, 20) @ np.diag([0.5, 0.5, 1])
    crop = cut(ramp, view, (64, 48), cv2.INTER_LINEAR)
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    expected = apply(view, np.stack([x.ravel(), y.ravel()], 1).astype(float)) @ [1, 0.5]
    # a step of rows alternates between 0.5 and 0 because the ramp is rounded
    assert np.abs(crop.ravel() - expected).max() <= 0.51
    assert crop[0, 0] == pytest.approx(ramp[20, 10] * 0.75 + ramp[20, 11] * 0.25)


def test_truth_points_at_the_same_ground(stacks: list[Stack]) -> None:
    """Two images whose values are the coordinates of the ground, cut as pairs are, agree at the true positions."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(240, dtype=np.uint8))
    everywhere = np.ones((2, *SIZE[::-1]), bool)
    for _ in range(5):
        pair = sample_pair(rng, stacks, SIZE)
        if pair.warp is None:
            continue
        view = translation(70, 60)
        there = view @ np.linalg.inv(pair.warp)
        truth = truth_of(replace(pair, clear=everywhere, hidden=~everywhere))
        cells = truth.cells
        xy0 = np.stack([cells[:, 0] % 12, cells[:, 0] // 12], 1) * 8.0
        xy1 = np.stack([cells[:, 1] % 12, cells[:, 1] // 12], 1) * 8.0 + truth.offsets
        assert np.allclose(apply(pair.warp, xy0), xy1, atol=1e-3)
        assert np.abs(truth.offsets).max(initial=0) <= 4
        second = np.stack([cut(axis, there, SIZE, cv2.INTER_LINEAR) for axis in (x, y)], -1)
        inner = (xy1 > 1).all(1) & (xy1 < 94).all(1)
        reached = apply(there, xy1)
        inner &= (reached > 1).all(1) & (reached < [254, 238]).all(1)
        read = [cv2.remap(second, *np.float32(xy1[inner]).T[..., None], cv2.INTER_LINEAR)[:, 0]] if inner.any() else []
        for values in read:
            assert np.abs(values - (xy0[inner] + [70, 60])).max() < 0.1


def test_whole_pixel_shift_gives_exact_cells_and_offsets() -> None:
    clear = np.ones((2, 96, 96), bool)
    pair = Pair(np.zeros((2, 96, 96), np.float32), translation(-3, 11), clear, ~clear)
    truth = truth_of(pair)
    assert (truth.offsets == [-3, 3]).all()
    assert (truth.cells[:, 1] - truth.cells[:, 0] == 12).all()
    assert len(truth.cells) == 12 * 11
    half = truth_of(replace(pair, warp=translation(4, 0)))
    # the truth lies between two cells: one is the match, the other no mistake
    assert len(half.cells) + len(half.undecided) == 12 * 11 + 12 * 12


def test_hidden_ground_does_not_match(stacks: list[Stack]) -> None:
    clear = np.ones((2, 96, 96), bool)
    clear[1, :, 48:] = False
    pair = Pair(np.zeros((2, 96, 96), np.float32), np.eye(3), clear, ~clear)
    truth = truth_of(pair)
    assert set(truth.cells[:, 0] % 12) == set(range(6))
    assert not len(truth.undecided)
    # hidden in an image by a cloud that was there: perhaps a match, perhaps not
    assert len(truth_of(replace(pair, hidden=np.zeros_like(clear))).undecided) == 72
    assert not len(truth_of(replace(pair, warp=None)).cells)


def test_bilinear_target_expects_the_truth_exactly() -> None:
    offsets = torch.rand(500, 2, dtype=torch.float64) * 8 - 4
    target = losses.bilinear_target(offsets)
    assert torch.allclose(target.sum(1), torch.ones(500, dtype=torch.float64))
    assert ((target > 0).sum(1) <= 4).all()
    assert torch.allclose(expectation_px(target.float()), offsets.float(), atol=1e-5)


def cut_windows(
    fine: torch.Tensor, at: torch.Tensor, columns: int, shifts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    half = len(fine) // 2
    points = [torch.stack([cell % columns, cell // columns], 1) * 8.0 for cell in at[:, 1:].unbind(1)]
    first = losses.fine_windows(fine[:half], at[:, 0], points[0])
    return first, losses.fine_windows(fine[half:], at[:, 0], points[1] + shifts)


def test_fine_stage_is_run_as_kornia_runs_it(stacks: list[Stack]) -> None:
    net = load_network("sentinel2").net
    batch = make_batch(stacks, RECIPE, 0)
    at = batch.matches
    with torch.no_grad():
        coarse, fine = net.backbone(batch.images)
        tokens = coarse.flatten(2).transpose(1, 2)
        sides = (fine[:2], fine[2:]), (tokens[:2], tokens[2:])
        context = tokens[:2][at[:, 0], at[:, 1]], tokens[2:][at[:, 0], at[:, 2]]
        cut = cut_windows(fine, at, coarse.shape[3], torch.zeros(len(at), 2))
        found = expectation_px(losses.fine_logits(net, cut, context)[0].softmax(1))
        data = dict(zip(("b_ids", "i_ids", "j_ids"), at.unbind(1), strict=True)) | {"stride_c": 8, "stride_f": 2}
        data |= {"mkpts0_c": torch.zeros(len(at), 2), "mkpts1_c": torch.zeros(len(at), 2), "mconf": torch.ones(len(at))}
        net.fine_matching(*net.loftr_fine(*net.fine_preprocess(*sides[0], *sides[1], data)), data)
    assert torch.allclose(found, data["mkpts1_f"], atol=1e-4)


def test_fine_windows_are_shifted() -> None:
    ramp = torch.arange(40.0)[None, None, None, :].expand(1, 1, 40, 40)
    point, shift = torch.tensor([[16.0, 24.0]]), torch.tensor([[6.5, -1.0]])
    pair = torch.zeros(1, dtype=torch.int64)
    assert losses.fine_windows(ramp, pair, point)[0, 12, 0] == 8
    assert losses.fine_windows(ramp, pair, point + shift)[0, :, 0].tolist() == [9.25, 10.25, 11.25, 12.25, 13.25] * 5
    assert losses.fine_windows(ramp, pair, torch.zeros(1, 2))[0, 0, 0] == 0


def test_fine_windows_are_at_the_cell_or_near_the_truth(stacks: list[Stack]) -> None:
    batch = make_batch(stacks, RECIPE, 0)
    left = batch.offsets[batch.fine] - batch.window_shifts
    shifted = (batch.window_shifts != 0).any(1)
    assert 0.3 < float(shifted.float().mean()) < 0.7
    assert float(left[shifted].abs().median()) < 0.6 and float(left[shifted].abs().max()) < 6


def test_reverse_offsets_are_those_of_the_inverse_warp() -> None:
    """With a whole-pixel shift, the reverse offset of a window centre is minus the remaining offset."""
    images = np.random.default_rng(0).random((2, 96, 96), np.float32)
    everywhere = np.ones((2, 96, 96), bool)
    pair = Pair(images, translation(11, -3), everywhere, ~everywhere)
    cells, offsets = truth_of(pair).cells, truth_of(pair).offsets
    shifts = np.random.default_rng(1).uniform(-4, 4, offsets.shape)
    numbered = np.concatenate([np.zeros((len(cells), 1), int), cells], 1)
    reverse = _reverse_offsets([pair], numbered, shifts)
    assert np.allclose(reverse, shifts - offsets, atol=1e-5)


def test_restarted_fine_stage_compares_the_features_of_the_backbone(stacks: list[Stack]) -> None:
    net = load_network("sentinel2").net
    batch = make_batch(stacks, RECIPE, 0)
    train.restart_fine(net, batch.images)
    at = batch.matches[:200]
    with torch.no_grad():
        coarse, fine = net.backbone(batch.images)
        tokens = coarse.flatten(2).transpose(1, 2)
        cut = cut_windows(fine, at, coarse.shape[3], torch.zeros(len(at), 2))
        context = tokens[:2][at[:, 0], at[:, 1]], tokens[2:][at[:, 0], at[:, 2]]
        full = losses.fine_logits(net, cut, context)[0]
        plain = losses.plain_fine_logits(cut)
    assert np.corrcoef(full.flatten(), plain.flatten())[0, 1] > 0.8


def test_encoding_starts_at_its_origin() -> None:
    net = load_network("sentinel2").net
    features = torch.zeros(2, 128, 5, 7)
    encoded = losses.encode_positions(net, features, torch.tensor([[0, 0], [300, 4]]))
    assert torch.equal(encoded[0], net.pos_encoding(features)[0])
    assert torch.equal(encoded[1], net.pos_encoding.pe[0, :, 300:305, 4:11])


def dual_softmax_of(score: torch.Tensor) -> losses.DualSoftmax:
    return losses.DualSoftmax(torch.log_softmax(score, 2), torch.log_softmax(score, 1))


def test_undecided_pairs_are_no_mistakes() -> None:
    softmax = dual_softmax_of(torch.randn(1, 16, 16))
    none, far = torch.zeros((0, 3), dtype=torch.int64), torch.tensor([[0, 4, 5]])
    whole, less = losses.coarse_loss(softmax, none, none), losses.coarse_loss(softmax, none, far)
    confidence = (softmax.row + softmax.column)[0, 4, 5].exp()
    assert float(whole - less) == pytest.approx(float(-torch.log1p(-confidence) / 2), rel=0.02)
    assert torch.isfinite(whole)


def test_confidence_between_cells_is_that_of_the_cells_together() -> None:
    """Half a cell off the grid each cell has two equal partners: each pair has 1/4, both together are sure."""
    score = torch.full((1, 4, 4), -30.0)
    for row in range(4):
        score[0, row, row] = 10
        score[0, row, (row + 1) % 4] = 10
    matches = torch.tensor([[0, row, row] for row in range(4)])
    undecided = torch.tensor([[0, row, (row + 1) % 4] for row in range(4)])
    softmax = dual_softmax_of(score)
    assert torch.allclose((softmax.row + softmax.column)[matches.unbind(1)].exp(), torch.full((4,), 0.25))
    near = losses.near_log_confidence(softmax, matches, undecided)
    assert torch.allclose(near.exp(), torch.ones(4), atol=1e-5)
    assert float(losses.coarse_loss(softmax, matches, undecided)) == pytest.approx(0.25 * np.log(4), abs=1e-3)


def test_batches_come_in_order_and_by_seed_alone(stacks: list[Stack]) -> None:
    with batches(stacks, RECIPE, 5, workers=2) as source:
        made = [next(source) for _ in range(3)]
    for step, batch in enumerate(made, 5):
        alone = make_batch(stacks, RECIPE, step)
        assert torch.equal(batch.images, alone.images)
        assert torch.equal(batch.matches, alone.matches)
    assert not torch.equal(made[0].images, made[1].images)


@pytest.mark.parametrize(("restart", "stop"), [(None, 2), (0.5, 2), (0.25, 3)])
def test_resumed_training_is_the_same_and_loads_into_kornia(
    stacks: list[Stack], tmp_path: Path, restart: float | None, stop: int
) -> None:
    """Also when it is interrupted before or after the fine stage is restarted."""
    plan = train.Plan(steps=4, warmup=1, log_steps=1, restart=restart, workers=0)
    whole = train.train(small_state(plan), stacks, RECIPE, plan, tmp_path / "whole.pt")
    part = replace(plan, stop=stop)
    train.train(small_state(part), stacks, RECIPE, part, tmp_path / "part.pt")
    left_off = train.resume(tmp_path / "part.pt", plan, CPU), stacks, RECIPE, plan, tmp_path / "part.pt"
    resumed = train.train(*left_off)
    assert resumed.step == whole.step == 4 and resumed.restarted == (restart is not None)
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, resumed.net.state_dict()[name]), name
        assert torch.equal(whole.average.state_dict()[name], resumed.average.state_dict()[name]), name
    network = load_network(str(tmp_path / "part.safetensors"))
    assert network.pixel_centre == train.PIXEL_CENTRE and network.config == train.CONFIG
    stock = LoFTR(None, whole.net.config).eval()
    stock.load_state_dict(network.net.state_dict())
    tables = [read_rows(tmp_path / f"{name}.csv") for name in ("whole", "part")]
    assert [row.step for row in tables[0]] == [row.step for row in tables[1]] == [1, 2, 3, 4]
    assert str([row.figures for row in tables[0]]) == str([row.figures for row in tables[1]])
    assert cv2.imread(str(tmp_path / "part.png")).std() > 1


def test_learning_curves_end_at_the_resumed_checkpoint(stacks: list[Stack], tmp_path: Path) -> None:
    """A run that was killed after its last checkpoint has rows of steps that are repeated."""
    plan = train.Plan(steps=4, stop=3, warmup=1, log_steps=1, workers=0)
    state = small_state(plan)
    state.step, state.rows = 2, [Row(step, 1.0, (float(step),) * 7) for step in (1, 2, 3)]
    train.train(state, stacks, RECIPE, plan, tmp_path / "state.pt")
    rows = read_rows(tmp_path / "state.csv")
    assert [row.step for row in rows] == [1, 2, 3] and rows[0].figures == (1,) * 7 and rows[2].figures != (3,) * 7


def test_training_lowers_the_loss(stacks: list[Stack]) -> None:
    plan = train.Plan(lr=3e-4, fine_lr=1e-3, warmup=1)
    state, batch = small_state(plan), make_batch(stacks, RECIPE, 1)
    steps = [train.advance(state, batch, plan, 0.0, k) for k in range(8)]
    assert float(steps[-1].coarse + steps[-1].fine) < 0.9 * float(steps[0].coarse + steps[0].fine)


def test_fine_only_leaves_the_coarse_stage_alone(stacks: list[Stack]) -> None:
    plan = train.Plan(fine_only=True, warmup=1)
    state = small_state(plan)
    before = {name: value.clone() for name, value in state.net.state_dict().items()}
    train.advance(state, make_batch(stacks, RECIPE, 1), plan, 0.0, 0)
    changed = {name for name, value in state.net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(train.FINE_LAYERS) for name in changed)


@pytest.mark.parametrize("fine_only", [False, True])
def test_pairs_of_different_places_alone_are_no_error(stacks: list[Stack], fine_only: bool) -> None:
    plan = train.Plan(fine_only=fine_only, warmup=1)
    batch = make_batch(stacks, RECIPE, 1)
    none = torch.zeros((0, 3), dtype=torch.int64)
    empty = replace(
        batch, matches=none, undecided=none, offsets=torch.zeros(0, 2), fine=none[:, 0], window_shifts=torch.zeros(0, 2)
    )
    step = train.advance(small_state(plan), empty, plan, 0.0, 0)
    assert torch.isfinite(step.coarse) and float(step.fine) == 0


def test_weights_in_another_frame_are_refused(tmp_path: Path) -> None:
    save_weights(load_network("sentinel2").net, 0.5, tmp_path / "half.safetensors")
    with pytest.raises(ValueError, match="pixel centres"):
        train.start(str(tmp_path / "half.safetensors"), train.Plan(), CPU)


def test_validation_pairs_are_true(stacks: list[Stack]) -> None:
    checks = checks_of(stacks)
    assert sum(check.warp is None for check in checks) == 1
    for check in checks[:2]:
        assert check.warp is not None
        moved = cv2.warpPerspective(check.images[0], check.warp, check.images[1].shape[::-1], flags=cv2.INTER_LINEAR)
        inner = (slice(40, -40),) * 2
        assert abs(np.corrcoef(moved[inner].ravel(), check.images[1][inner].ravel())[0, 1]) > 0.6
    figures = measure(Engine(load_network("sentinel2").net, CPU), checks[0])
    assert 0 <= figures.right <= figures.matches
    assert SAME_PLACE


def test_logistic_regression_finds_the_factors() -> None:
    rng = np.random.default_rng(0)
    known = torch.from_numpy(rng.normal(0, 1, (20_000, 2)))
    likely = torch.sigmoid(-0.5 + known @ torch.tensor([2.0, -1.0], dtype=torch.float64))
    right = (torch.from_numpy(rng.random(20_000)) < likely).double()
    assert logistic(known, right, torch.ones(20_000)) == pytest.approx((-0.5, 2.0, -1.0), abs=0.1)


def test_calibrated_weights_say_how_likely_a_match_is_right(stacks: list[Stack], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(load_network("sentinel2").net, 0.0, path, MatchingConfig(neighbourhood=True, fine_iterations=3))
    checks = checks_of(stacks, different=None)
    found = calibrate(path, checks)
    network = load_network(str(path))
    assert found is not None and network.config == MatchingConfig(
        neighbourhood=True, fine_iterations=3, calibration=found
    )
    assert found[1] > 0 and found[2] > 0
    matches = [measure(Engine(network.net, CPU, config=network.config), check) for check in checks]
    sure, right = sum(m.sure for m in matches), sum(m.sure_right for m in matches)
    assert sure > 100 and right / sure > 0.9
