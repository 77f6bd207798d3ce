"""The network on a stand-in for a GPU: all tensors reach it and come back, and the matches are those of the CPU.

The code path differs from that of a CPU: number formats, sizes of blocks, products, medians, memory.
"""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Writer, make_raster, match_images, texture
from gpu_stand_in import CPU, FREE_BYTES, gpu_stand_in

from s2match.cli.main import main
from s2match.core.matches import GreyImage, Matches
from s2match.errors import ImageSizeError
from s2match.loftr.checkpoints import Network, load_network
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.greyscale import prepare

SCENE = texture(360, 360, seed=3, detail_px=2.0)

# Shift of the content between the two images, (x, y) in pixels.
SHIFT_PX = (5, 3)


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network("sentinel2")


@pytest.fixture(scope="module")
def images() -> tuple[GreyImage, GreyImage]:
    """Two images of 200 × 192 px; the first is not valid everywhere."""
    valid = np.ones((192, 200), np.bool_)
    valid[:, :40] = False
    right, down = SHIFT_PX
    first = make_raster(SCENE[40:232, 40:240], valid=valid)
    return prepare(first), prepare(make_raster(SCENE[40 + down : 232 + down, 40 + right : 240 + right]))


def assert_equal(found: Matches, expected: Matches, share: float = 1.0) -> None:
    """Check that a share of the matches are the same up to rounding."""
    known = {tuple(point): position for position, point in enumerate(expected.xy0.tolist())}
    both = [(index, known[point]) for index, point in enumerate(map(tuple, found.xy0.tolist())) if point in known]
    assert len(both) >= share * max(len(found), len(expected)) > 100
    index, position = np.array(both).T
    apart_px = np.abs(found.xy1[index] - expected.xy1[position]).max(axis=1)
    assert (apart_px < 0.05).mean() >= share
    assert np.median(np.abs(found.confidence[index] - expected.confidence[position])) < 0.01


@pytest.mark.parametrize(
    ("kind", "precision", "used"),
    [
        ("cuda", None, torch.float16),
        ("cuda", torch.float32, torch.float32),
        ("mps", None, torch.float32),
        ("mps", torch.bfloat16, torch.bfloat16),
    ],
)
def test_matches_are_those_of_the_cpu(
    network: Network,
    images: tuple[GreyImage, GreyImage],
    kind: str,
    precision: torch.dtype | None,
    used: torch.dtype,
) -> None:
    """The network itself stays where it is, so that it may serve another device afterwards."""
    with gpu_stand_in(kind) as gpu:
        found = match_images(LoftrMatcher(network, gpu, precision), images, 0.2)
    assert found.origin.device == kind and found.origin.precision == str(used).removeprefix("torch.")
    assert np.abs(np.median(found.xy1 - found.xy0, axis=0) + SHIFT_PX).max() < 0.2
    assert (found.xy0[:, 0] > 40).all()
    assert_equal(
        found, match_images(LoftrMatcher(network, CPU, used), images, 0.2), 1.0 if used == torch.float32 else 0.97
    )


def test_weights_without_matching_parameters(network: Network, images: tuple[GreyImage, GreyImage]) -> None:
    """The dual softmax and the single fine iteration of kornia."""
    plain = Network(network.net, 0.0, "kornia")
    with gpu_stand_in("cuda") as gpu:
        found = match_images(LoftrMatcher(plain, gpu, torch.float32), images, 0.2)
    assert_equal(found, match_images(LoftrMatcher(plain, CPU, torch.float32), images, 0.2))


def test_a_part_of_the_cells_and_bands_of_rows(network: Network, images: tuple[GreyImage, GreyImage]) -> None:
    """As a second pass over the common ground, and windows of large images, match them."""
    cells = np.ones((24, 25), np.bool_)
    cells[:4] = False
    bands = np.stack([np.arange(24) - 2, np.arange(24) + 3], 1).clip(0, 24)

    def match(matcher: LoftrMatcher) -> Matches:
        first, second = (matcher.encode(image) for image in images)
        return matcher.match_encoded(first.within(cells), second, 0.2, bands)

    with gpu_stand_in("cuda") as gpu:
        matcher = LoftrMatcher(network, gpu, torch.float32)
        found = match(matcher)
        assert matcher.free_bytes == FREE_BYTES
    assert_equal(found, match(LoftrMatcher(network, CPU, torch.float32)))


@pytest.fixture
def words(write_image: Writer) -> list[str]:
    """A command on two images that are 3 and 5 px apart."""
    names = ("T36UXA_20180820T083601_TCI.tif", "T36UXA_20190606T083601_TCI.tif")
    scene = SCENE[:264, :264]
    paths = [
        write_image(name, np.stack([scene[y : y + 256, x : x + 256]] * 3))
        for name, (x, y) in zip(names, ((0, 0), (3, 5)), strict=True)
    ]
    # the refinement runs on the CPU
    return ["match", "--images", *map(str, paths), "--image_size", "native", "--no-figure", "--no-refine"]


def test_the_command_on_a_gpu(words: list[str], tmp_path: Path) -> None:
    told = []
    for device in ("cuda", "cpu"):
        facts = tmp_path / f"{device}.json"
        options = [*words, "--device", device, "--precision", "float32", "--json", str(facts), "--overwrite"]
        with gpu_stand_in("cuda") if device == "cuda" else nullcontext():
            assert main(options) == 0
        told.append(json.loads(facts.read_text(encoding="utf-8")))
    on_gpu, on_cpu = told
    assert (on_gpu["device"], on_cpu["device"]) == ("cuda", "cpu")
    assert on_gpu["matches"] == pytest.approx(on_cpu["matches"], rel=0.01)
    matrices = [one["registration"]["matrix_reference_file_px_to_target_file_px"] for one in told]
    assert np.allclose(*matrices, atol=0.01) and np.abs(np.array(matrices[0])[:2, 2] + (3, 5)).max() < 0.2


def test_memory_of_the_gpu_that_is_too_small(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gpu_stand_in("cuda", most_bytes=1 << 20):
        code = main([*words, "--device", "cuda", "--json", str(tmp_path / "r.json")])
    assert code == ImageSizeError.exit_code
    assert capsys.readouterr().err == "error: The cuda device is out of memory: use a smaller size.\n"
    assert not (tmp_path / "r.json").exists()


def test_the_stand_in_refuses_what_a_gpu_refuses() -> None:
    with gpu_stand_in("cuda") as gpu:
        there, here = torch.ones(3, device=gpu), torch.ones(3)
        assert there.device == gpu and (there + 1).device == gpu and (there.cpu() + here).tolist() == [2, 2, 2]
        for mixed in (lambda: there + here, lambda: torch.cat([here, there]), lambda: there.copy_(there) @ here):
            with pytest.raises(RuntimeError, match="on the same device"):
                mixed()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
    with gpu_stand_in("mps") as gpu, pytest.raises(TypeError, match="float64"):
        torch.ones(3, device=gpu).double()
