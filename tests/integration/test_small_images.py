"""Small images register at their own size, to a fraction of a pixel."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import GRID, ROOT, UTM, Writer, texture
from numpy.typing import NDArray

import model_inference
from s2match import fit_tie_points, match_files, tie_points_of, write_tie_points
from s2match.io.reader import read_raster
from s2match.registration.uncertainty import REFINED_SYSTEMATIC_PX
from s2match.registration.verdict import CHI2_95

pytestmark = pytest.mark.usefixtures("coarse_figures")

SHIFT = (0.4, -0.6)
DATES = ("SYNTHETIC-B_20240510T103621_TCI.jp2", "SYNTHETIC-B_20220829T103641_TCI.jp2")


def chips(
    write_image: Writer, side: int, corner: tuple[int, int] = (500, 420), dates: tuple[str, str] = DATES
) -> tuple[Path, Path]:
    """A chip of two dates of the sample; the second shows the ground :data:`SHIFT` px further right and down."""
    first, second = (read_raster(ROOT / "dataset" / "sample" / name).image for name in dates)
    moved = cv2.warpAffine(
        second, np.array([[1, 0, SHIFT[0]], [0, 1, SHIFT[1]]]), second.shape[1::-1], flags=cv2.INTER_LANCZOS4
    )
    cut = np.s_[corner[1] : corner[1] + side, corner[0] : corner[0] + side]
    paths = [
        write_image(f"{role}_{corner[0]}.tif", image[cut].transpose(2, 0, 1))
        for role, image in (("reference", first), ("target", moved))
    ]
    return paths[0], paths[1]


def centre_shift(facts: dict[str, Any], side: int) -> NDArray[np.float64]:
    matrix = np.array(facts["registration"]["matrix_reference_file_px_to_target_file_px"])
    return np.asarray((matrix @ [side / 2, side / 2, 1])[:2] - side / 2)


@pytest.mark.parametrize(
    ("side", "dates", "within_px"),
    [*((side, (DATES[0],) * 2, 0.1) for side in (64, 88, 96, 120, 176)), (64, DATES, 0.25), (120, DATES, 0.15)],
)
def test_a_chip_registers_at_its_own_pixels(
    write_image: Writer, tmp_path: Path, side: int, dates: tuple[str, str], within_px: float
) -> None:
    written = tmp_path / "r.json"
    images = [str(path) for path in chips(write_image, side, dates=dates)]
    arguments = ["--images", *images, "--output", str(tmp_path / "r.png"), "--json", str(written), "--no-show"]
    assert model_inference.main(arguments) == 0
    facts = json.loads(written.read_text())
    assert all(facts[role][name] == side for role in ("reference", "target") for name in ("width_px", "height_px"))
    assert np.linalg.norm(centre_shift(facts, side) - SHIFT) < within_px
    assert facts["verdict"] == "register"


@pytest.mark.parametrize("side", [64, 80])
@pytest.mark.parametrize("refine", [True, False])
def test_tie_points_of_a_chip_give_its_model_again(
    write_image: Writer, tmp_path: Path, side: int, refine: bool
) -> None:
    images = chips(write_image, side)
    result = match_files(*images, refine=refine)
    assert result.registration is not None
    write_tie_points(tie_points_of(result), tmp_path / "t.csv")
    again = fit_tie_points(tmp_path / "t.csv", *images)
    assert again.registration is not None
    np.testing.assert_allclose(again.registration.matrix, result.registration.matrix, atol=1e-6)


@pytest.mark.parametrize("side", [64, 96])
def test_chips_of_two_places_do_not_register(write_image: Writer, side: int) -> None:
    first, _ = chips(write_image, side)
    for corner in ((100, 700), (800, 120)):
        _, second = chips(write_image, side, corner)
        assert match_files(first, second, confidence=0.2).registration is None


def test_an_enlarged_chip_has_the_noise_of_its_file(write_image: Writer) -> None:
    """Enlarged pixels are smaller, but the images have no more detail."""
    images = [write_image(f"{k}.tif", texture(128, 128, seed=1), GRID, UTM) for k in (1, 2)]
    noise_m = []
    for size, enlarge in ((None, False), ((512, 512), True)):
        result = match_files(*images, image_size=size, enlarge=enlarge)
        assert result.reference.size == ((512, 512) if enlarge else (128, 128))
        displacement = result.verdict.displacement
        assert displacement is not None
        noise_m.append(displacement.noise)
    # the systematic error of 10 m pixels along each axis, 95 %, without the standard errors
    systematic_m = 10 * REFINED_SYSTEMATIC_PX * CHI2_95**0.5
    assert min(noise_m) > 0.999 * systematic_m
