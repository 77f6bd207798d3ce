"""The engine returns stock kornia's matches: same pairs, keypoints within 0.01 px, confidence within 1e-4."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import REAL, ROOT, texture
from kornia.feature import LoFTR

from s2match.io.reader import read_raster
from s2match.loftr import backbone as backbone_module
from s2match.loftr import coarse_matching as coarse_module
from s2match.loftr import linear_attention as attention_module
from s2match.loftr.checkpoints import load_network
from s2match.loftr.coarse_matching import (
    MIN_THRESHOLD,
    blocks_in_bands,
    dual_softmax_matches,
    neighbourhood_matches,
)
from s2match.loftr.config import MatchingConfig
from s2match.loftr.engine import Engine, EngineMatches
from s2match.loftr.fine_matching import FineMatching
from s2match.loftr.tokens import Tokens
from s2match.matching.greyscale import prepare
from s2match.util.devices import best_precision

CPU = torch.device("cpu")
SCENE = torch.from_numpy(texture(700, 700, seed=3, detail_px=2.0).astype(np.float32) / 255)
Masks = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def net() -> LoFTR:
    return load_network("sentinel2").net


def cut(y: int, x: int, height: int, width: int) -> torch.Tensor:
    return SCENE[y : y + height, x : x + width].contiguous()


def stock(net: LoFTR, image0: torch.Tensor, image1: torch.Tensor, threshold: float) -> EngineMatches:
    net.coarse_matching.thr = threshold
    with torch.inference_mode():
        found = net({"image0": image0[None, None], "image1": image1[None, None]})
    return matches_of(found["keypoints0"], found["keypoints1"], found["confidence"])


def matches_of(keypoints0: torch.Tensor, keypoints1: torch.Tensor, confidence: torch.Tensor) -> EngineMatches:
    return EngineMatches.without_local_fit(keypoints0, keypoints1, confidence)


def fast(engine: Engine, image0: torch.Tensor, image1: torch.Tensor, threshold: float) -> EngineMatches:
    return engine.match(engine.extract(image0), engine.extract(image1), threshold)


def by_pair(matches: EngineMatches) -> dict[tuple[int, ...], tuple[np.ndarray, float]]:
    """Matches by the coarse cell of image 0."""
    rows = zip(matches.keypoints0.int().tolist(), matches.keypoints1.numpy(), matches.confidence.tolist(), strict=True)
    return {tuple(xy0): (xy1, confidence) for xy0, xy1, confidence in rows}


def assert_same(
    found: EngineMatches, wanted: EngineMatches, threshold: float, at_least: int, sharper: float = 1.0
) -> None:
    """Equal but for matches with a confidence on the threshold; scores ``sharper`` than usual round as much worse."""
    tolerance = 1e-4 * sharper
    ours, theirs = by_pair(found), by_pair(wanted)
    assert len(theirs) >= at_least
    for key in ours.keys() ^ theirs.keys():
        assert abs((ours.get(key) or theirs[key])[1] - threshold) < tolerance
    for key in ours.keys() & theirs.keys():
        assert np.abs(ours[key][0] - theirs[key][0]).max() < 0.01
        assert abs(ours[key][1] - theirs[key][1]) < tolerance


@pytest.mark.parametrize(
    ("size0", "size1"), [((256, 256), (256, 256)), ((250, 243), (301, 190)), ((200, 391), (131, 260))]
)
@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.8])
def test_same_matches_at_any_size(
    net: LoFTR, size0: tuple[int, int], size1: tuple[int, int], threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # several blocks, the last one not full
    monkeypatch.setattr(attention_module, "_BLOCK_TOKENS", 300)
    images = cut(40, 40, *size0), cut(43, 45, *size1)
    assert_same(fast(Engine(net, CPU), *images, threshold), stock(net, *images, threshold), threshold, 5)


@pytest.mark.parametrize("windowed", [True, False])
def test_fine_windows_equal_the_fine_map(net: LoFTR, windowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_module, "_WINDOW_COST", 0.0 if windowed else 1e9)
    images = cut(40, 40, 264, 248), cut(43, 45, 264, 248)
    assert_same(fast(Engine(net, CPU), *images, 0.2), stock(net, *images, 0.2), 0.2, 300)


def test_the_pretrained_configuration() -> None:
    """Random tensors of kornia's own sizes; a random network is sure of nothing, so the scores are sharpened."""
    torch.manual_seed(1)
    net = LoFTR(None).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    net.coarse_matching.temperature = net.config["match_coarse"]["dsmax_temperature"] = 0.01
    image = cut(40, 40, 200, 232)
    images = image, image + 0.003 * torch.randn_like(image)
    assert_same(fast(Engine(net, CPU), *images, 0.1), stock(net, *images, 0.1), 0.1, 10, sharper=10)


def test_fine_stages_of_other_shapes_and_those_that_are_refused() -> None:
    """Windows that attend to themselves again after they have seen each other."""
    torch.manual_seed(2)
    config: dict[str, Any] = copy.deepcopy(load_network("sentinel2").net.config)
    config["fine"]["layer_names"] = ["self", "cross"] * 2
    net = LoFTR(None, config).eval()
    known = load_network("sentinel2").net.state_dict()
    net.load_state_dict({name: known.get(name, value) for name, value in net.state_dict().items()})
    images = cut(40, 40, 200, 232), cut(43, 45, 200, 232)
    assert_same(fast(Engine(net, CPU), *images, 0.2), stock(net, *images, 0.2), 0.2, 100)
    for stage in ("fine", "coarse"):
        refused = copy.deepcopy(config)
        refused[stage]["attention"] = "full"
        with pytest.raises(ValueError, match="linear attention"):
            Engine(LoFTR(None, refused).eval(), CPU)


def test_half_precision_finds_the_same_points(net: LoFTR) -> None:
    images = cut(40, 40, 400, 400), cut(43, 45, 400, 400)
    full, half = (by_pair(fast(Engine(net, CPU, kind), *images, 0.2)) for kind in (torch.float32, torch.bfloat16))
    assert len(full.keys() & half.keys()) > 0.97 * len(full) > 500
    away = [np.abs(full[key][0] - half[key][0]).max() for key in full.keys() & half.keys()]
    assert np.median(away) < 0.05 and np.percentile(away, 95) < 0.3


def test_zero_matches(net: LoFTR) -> None:
    torch.manual_seed(0)
    noise = torch.rand(200, 200), torch.rand(232, 200)
    found = fast(Engine(net, CPU), *noise, 0.9)
    assert len(stock(net, *noise, 0.9).confidence) == 0
    assert found.keypoints0.shape == found.keypoints1.shape == (0, 2) and found.confidence.shape == (0,)


def test_features_serve_any_number_of_pairs(net: LoFTR) -> None:
    """Three images, three pairs, three backbone passes; the same as matching each pair by itself."""
    engine = Engine(net, CPU)
    images = [cut(40, 40, 200, 200), cut(43, 45, 200, 200), cut(38, 41, 216, 200)]
    features = [engine.extract(image) for image in images]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        found = engine.match(features[first], features[second], 0.2)
        assert_same(found, stock(net, images[first], images[second], 0.2), 0.2, 100)


def test_masks_keep_what_kornia_keeps(net: LoFTR) -> None:
    """Kornia leaves its border rule to the masks; inside of it the matches are the same."""
    images = cut(40, 40, 256, 256), cut(43, 45, 256, 256)
    valid0, valid1 = torch.ones(256, 256, dtype=torch.bool), torch.ones(256, 256, dtype=torch.bool)
    valid0[:, :100], valid1[:50] = False, False
    engine = Engine(net, CPU)
    found = engine.match(engine.extract(images[0], valid0), engine.extract(images[1], valid1), 0.1)
    net.coarse_matching.thr = 0.1
    data = {"image0": images[0][None, None], "image1": images[1][None, None]}
    with torch.inference_mode():
        out = net({**data, "mask0": valid0[None], "mask1": valid1[None]})
    inside, border = torch.ones(len(out["confidence"]), dtype=torch.bool), net.config["match_coarse"]["border_rm"]
    for side in (0, 1):
        cells = (out[f"keypoints{side}"] / 8).round()
        inside &= ((cells >= border) & (cells < 32 - border)).all(1)
    wanted = matches_of(out["keypoints0"][inside], out["keypoints1"][inside], out["confidence"][inside])
    assert_same(found, wanted, 0.1, 100)
    assert found.keypoints0[:, 0].min() >= 100 and found.keypoints1[:, 1].min() >= 46


def test_nothing_valid(net: LoFTR) -> None:
    engine = Engine(net, CPU)
    nothing = engine.extract(cut(0, 0, 128, 128), torch.zeros(128, 128, dtype=torch.bool))
    assert len(engine.match(nothing, engine.extract(cut(0, 0, 128, 128)), 0.2).confidence) == 0


def plain_matches(tokens0: torch.Tensor, tokens1: torch.Tensor, scale: float, threshold: float) -> set[tuple[int, int]]:
    score = (tokens0.double() @ tokens1.double().T) * scale
    confidence = score.softmax(0) * score.softmax(1)
    best = (
        (confidence == confidence.amax(1, keepdim=True)) & (confidence == confidence.amax(0)) & (confidence > threshold)
    )
    return {(int(row), int(column)) for row, column in best.nonzero()}


@pytest.mark.parametrize("spread", [1.0, 5.0, 40.0])
@pytest.mark.parametrize("block", [50, 1000, 10**9])
def test_streamed_softmax_is_exact_for_any_scores(spread: float, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mild, sharp, and so sharp that whole columns underflow and are summed again."""
    monkeypatch.setattr(coarse_module, "_BLOCK_SCORES", block)
    generator = torch.Generator().manual_seed(0)
    tokens0 = torch.randn(150, 16, generator=generator)
    tokens1 = tokens0[torch.randperm(150, generator=generator)[:120]] + 0.3 * torch.randn(120, 16, generator=generator)
    found = dual_softmax_matches(tokens0, tokens1, spread / 16, 0.1)
    row, column, confidence = found.rows, found.columns, found.confidence
    assert torch.isfinite(confidence).all() and (confidence <= 1 + 1e-4).all()
    wanted = plain_matches(tokens0, tokens1, spread / 16, 0.1)
    assert set(zip(row.tolist(), column.tolist(), strict=True)) == wanted
    assert row.tolist() == sorted(row.tolist())
    assert len(wanted) > 40 or spread == 1.0


def test_thresholds_near_zero_are_finite_work() -> None:
    tokens = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    assert len(dual_softmax_matches(tokens, tokens, 0.01, 0.0).rows) == 0
    sure = dual_softmax_matches(tokens, tokens, 5.0, 0.0)
    assert sure.confidence.min() > MIN_THRESHOLD


def plain_neighbourhood(image0: Tokens, image1: Tokens, scale: float, threshold: float) -> dict[int, tuple[int, float]]:
    """Row to column and confidence, from the whole score matrix."""
    score = (image0.values.double() @ image1.values.double().T) * scale
    row_share, column_share, best = score.softmax(1), score.softmax(0), score.argmax(1)

    def near(image: Tokens, token: int) -> list[int]:
        there = torch.stack([image.cells // image.grid[1], image.cells % image.grid[1]], 1)
        return [int(k) for k in ((there - there[token]).abs().amax(1) <= 1).nonzero()[:, 0]]

    found = {}
    for row, column in enumerate(best.tolist()):
        confidence = float(row_share[row, near(image1, column)].sum() * column_share[near(image0, row), column].sum())
        rivals = (best == column).nonzero()[:, 0]
        leader = int(rivals[column_share[rivals, column].argmax()])
        if confidence > threshold and row in near(image0, leader):
            found[row] = (column, confidence)
    return found


@pytest.mark.parametrize("block", [50, 10**9])
def test_streamed_neighbourhoods_are_exact(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On two grids of different size, some of whose cells are not valid; half of the tokens have a partner."""
    monkeypatch.setattr(coarse_module, "_BLOCK_SCORES", block)
    generator = torch.Generator().manual_seed(0)
    cells0 = torch.randperm(12 * 13, generator=generator)[:130].sort()[0]
    cells1 = torch.randperm(10 * 15, generator=generator)[:120].sort()[0]
    values0 = torch.randn(130, 16, generator=generator)
    values1 = torch.randn(120, 16, generator=generator)
    # neighbours look alike, as they do where the truth lies between them
    values1[:60] = (values0[:60] + values0[1:61]) / 2 + 0.2 * values1[:60]
    image0, image1 = Tokens(values0, cells0, (12, 13)), Tokens(values1, cells1, (10, 15))
    found = neighbourhood_matches(image0, image1, 0.7, 0.2)
    wanted = plain_neighbourhood(image0, image1, 0.7, 0.2)
    assert found.rows.tolist() == sorted(wanted) and len(wanted) > 30
    assert found.columns.tolist() == [wanted[row][0] for row in sorted(wanted)]
    assert np.allclose(found.confidence, [wanted[row][1] for row in sorted(wanted)], atol=1e-4)


_SCORES_OF_16_000_CELLS = """
import re
from pathlib import Path
import torch
from s2match.loftr.coarse_matching import dual_softmax_matches, neighbourhood_matches
from s2match.loftr.tokens import Tokens
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
count = 16_000
values0, values1 = torch.randn(2, count, 64, generator=torch.Generator().manual_seed(0))
values1[:300] = 3 * values0[:300]
before = peak()
with torch.inference_mode():
    found = dual_softmax_matches(values0, values1, 1 / 8, 0.2)
    image0, image1 = (Tokens(values, torch.arange(count), (100, 160)) for values in (values0, values1))
    neighbourhood_matches(image0, image1, 1 / 8, 0.2)
print(len(found.rows), peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the most memory that was used is told on Linux alone")
def test_scores_take_the_memory_of_a_block() -> None:
    """All of them would take 1 GB."""
    done = subprocess.run([sys.executable, "-c", _SCORES_OF_16_000_CELLS], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found, more_kb = map(int, done.stdout.split())
    assert found == 300 and more_kb < 250_000


@pytest.mark.parametrize("block", [50, 10**9])
def test_what_lies_outside_its_band_is_no_rival(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upper half of image 1 looks like its lower half: only where ground is sought tells which it is."""
    monkeypatch.setattr(coarse_module, "_BLOCK_SCORES", block)
    half = 6 * torch.nn.functional.normalize(torch.randn(60, 16, generator=torch.Generator().manual_seed(0)))
    image0 = Tokens(half, torch.arange(60), (6, 10))
    # of the first row some cells are not valid
    cells1 = torch.arange(3, 120)
    image1 = Tokens(torch.cat([half, half])[3:], cells1, (12, 10))
    below = torch.tensor([[row + 6, row + 7] for row in range(6)])

    def found(bands: torch.Tensor | None) -> list[torch.Tensor]:
        def compared() -> Any:
            return None if bands is None else blocks_in_bands(image0, image1, bands)

        alone = dual_softmax_matches(image0.values, image1.values, 1.0, 0.6, compared())
        together = neighbourhood_matches(image0, image1, 1.0, 0.6, compared())
        return [cells1[matches.columns] - matches.rows for matches in (alone, together)]

    for shift in found(below):
        assert len(shift) == 60 and (shift == 60).all()
    for shift in found(None):
        assert len(shift) <= 3
    for shift in found(torch.zeros(6, 2).long()):
        assert len(shift) == 0


def test_half_a_cell_off_the_grid_a_sure_network_is_sure() -> None:
    """Every cell of image 1 looks like four of image 0: kornia is sure by 1/16, at corners 1/4."""
    values = torch.eye(64).view(8, 8, 64) * 8
    between = (values[:-1, :-1] + values[1:, :-1] + values[:-1, 1:] + values[1:, 1:]).flatten(0, 1)
    image0 = Tokens(values.flatten(0, 1), torch.arange(64), (8, 8))
    image1 = Tokens(between, torch.arange(49), (7, 7))
    assert len(dual_softmax_matches(image0.values, image1.values, 1.0, 0.26).rows) == 0
    found = neighbourhood_matches(image0, image1, 1.0, 0.1)
    assert len(found.rows) >= 36 and found.confidence.min() > 0.99


def test_nothing_is_far_from_nothing() -> None:
    tokens = Tokens(torch.randn(60, 8, generator=torch.Generator().manual_seed(0)), torch.arange(60), (6, 10))
    assert len(neighbourhood_matches(tokens, tokens, 0.01, 0.9).rows) == 0


def moved_scene(net: LoFTR, config: MatchingConfig) -> tuple[EngineMatches, torch.Tensor]:
    """A scene and itself half a fine sample off in both axes, repainted so that it is hard; and the errors."""
    first, second = cut(40, 40, 320, 320), 0.3 + 0.4 * (1 - cut(43, 45, 320, 320)) ** 2
    found = fast(Engine(net, CPU, config=config), first, second, 0.05)
    return found, (found.keypoints1 - found.keypoints0 + torch.tensor([5.0, 3.0])).norm(dim=1)


def test_local_fits_are_nearer_the_truth_than_single_matches(net: LoFTR) -> None:
    _, alone = moved_scene(net, MatchingConfig(neighbourhood=True))
    found, together = moved_scene(net, MatchingConfig(neighbourhood=True, fine_iterations=3))
    assert len(together) > 0.7 * len(alone) > 200
    assert together.mean() < 0.5 * alone.mean()
    assert found.raw_residual_px.max() < 3 and found.precision.min() > 2


def counted_windows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of windows of the calls of the fine network, as they come."""
    counts = []
    plain = FineMatching.predict

    def counting(fine: FineMatching, centres: torch.Tensor, indices: torch.Tensor | None = None) -> Any:
        counts.append(len(centres))
        return plain(fine, centres, indices)

    monkeypatch.setattr(FineMatching, "predict", counting)
    return counts


def test_only_windows_that_moved_are_evaluated_again(net: LoFTR, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most windows of an image matched with itself do not move after the first iteration."""
    counts = counted_windows(monkeypatch)
    scene = cut(40, 40, 320, 320)
    fast(Engine(net, CPU, config=MatchingConfig(neighbourhood=True, fine_iterations=3)), scene, scene, 0.05)
    assert len(counts) == 3 and counts[0] > 1000 and counts[2] <= counts[1] < 0.1 * counts[0]


def test_matches_to_refine_compare_a_quarter_of_the_windows(net: LoFTR, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many matches as with all windows, hardly less exact."""
    counts = counted_windows(monkeypatch)
    first, second = cut(40, 40, 320, 320), 0.3 + 0.4 * (1 - cut(43, 45, 320, 320)) ** 2
    engine = Engine(net, CPU, config=MatchingConfig(neighbourhood=True, fine_iterations=3))
    features = engine.extract(first), engine.extract(second)
    every, quarter = (engine.match(*features, 0.05, to_refine=to_refine) for to_refine in (False, True))
    assert counts[3] < 0.3 * counts[0]
    assert len(quarter.confidence) > 0.95 * len(every.confidence)
    error, error_quarter = (
        (found.keypoints1 - found.keypoints0 + torch.tensor([5.0, 3.0])).norm(dim=1).median()
        for found in (every, quarter)
    )
    assert error_quarter < error + 0.15
    assert len(torch.unique(quarter.keypoints0, dim=0)) == len(quarter.keypoints0)


def test_calibrated_confidence_is_what_the_threshold_is_for(net: LoFTR) -> None:
    config = MatchingConfig(neighbourhood=True, fine_iterations=3, calibration=(-2.0, 1.0, -1.0))
    images = cut(40, 40, 320, 320), cut(43, 45, 320, 320)
    engine = Engine(net, CPU, config=config)
    every, some = fast(engine, *images, 0.0), fast(engine, *images, 0.8)
    assert torch.allclose(
        every.confidence, torch.sigmoid(-2 + every.precision.log() - every.inlier_fraction.log()), atol=1e-5
    )
    assert 0 < len(some.confidence) < len(every.confidence) and some.confidence.min() > 0.8
    assert torch.equal(every.keypoints1[every.confidence > 0.8], some.keypoints1)


@pytest.mark.real
@pytest.mark.slow
def test_real_images_in_float32(net: LoFTR) -> None:
    first, second = (prepare(read_raster(path, (512, 512))) for path in real_pair(2))
    images = torch.from_numpy(first.grey), torch.from_numpy(second.grey)
    assert_same(fast(Engine(net, CPU), *images, 0.2), stock(net, *images, 0.2), 0.2, 1000)


def real_pair(number: int) -> list[Path]:
    pairs = json.loads((REAL / "ukraine" / "split.json").read_text())["pairs"]
    return [next((REAL / "ukraine").glob(f"{name}*")) for name in pairs[number]]


def test_precision_is_one_the_device_has(net: LoFTR) -> None:
    precision = best_precision(CPU)
    assert precision in (torch.bfloat16, torch.float32)
    images = cut(40, 40, 256, 256), cut(43, 45, 256, 256)
    found = fast(Engine(net, CPU, precision), *images, 0.2)
    ours, theirs = by_pair(found), by_pair(stock(net, *images, 0.2))
    sure = [key for key, (_, confidence) in theirs.items() if confidence > 0.3]
    assert np.mean([key in ours for key in sure]) > 0.97
