"""Markdown table of six measurements for the README: what s2match leaves, and what the best other method leaves."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.losses import largest_loss
from benchmarks.markdown import row
from benchmarks.native import Native
from benchmarks.registration import Outcome
from benchmarks.scoring import Score
from benchmarks.tables import scores_of

# The offset of the target in the rows on the test pairs.
_OFFSET_PX = [3.0, 5.0]
_CLOUDY = "T36UYA_20190805"
_CLOSE_PX = 0.1


def highlights(accuracy: dict[str, Any], outcomes: Sequence[Outcome], tiles: Sequence[Native]) -> str:
    """Markdown table of four gains and two losses.

    Args:
        accuracy: The JSON of :mod:`benchmarks.accuracy`.
        outcomes: Those of :mod:`benchmarks.registration`.
        tiles: Those of :mod:`benchmarks.native`.
    """
    refined, phase, sift = (
        _scores(accuracy, name) for name in ("LoFTR sentinel2, refined", "phase correlation", "OpenCV SIFT")
    )
    known = [outcome for outcome in outcomes if outcome.exact]
    cases = sum(outcome.method == "LoFTR, refined" for outcome in known)
    tile = max((tile for tile in tiles if tile.preset == "thorough"), key=lambda tile: tile.size_px)
    rows = [
        ["measured", "s2match", "other methods"],
        [
            f"{len(refined)} real pairs, moved by 3 and 5 px: model within 1 px at every corner",
            f"{_registered(refined)} of {len(refined)}",
            f"phase correlation {_registered(phase)}, SIFT {_registered(sift)}",
        ],
        ["their points: median error", _px(_median(refined)), f"SIFT {_px(_median(sift))}"],
        [
            f"{cases} known deformations of real and synthetic pairs: at most {_CLOSE_PX} px RMSE left",
            f"{_close(known, 'LoFTR, refined')} of {cases}",
            f"phase correlation {_close(known, 'phase correlation')}, AROSICS {_close(known, 'AROSICS local')}",
        ],
        [
            f"synthetic tiles of {tile.size_px} px, bent by up to 2 px, `--preset thorough`: RMSE",
            f"{tile.rmse_px:.3f} px",
            "not measured",
        ],
        [
            "**loss:** one of these pairs, nearly all cloud: error at the worst corner",
            _corner(_cloudy(refined)),
            f"phase correlation {_corner(_cloudy(phase))}",
        ],
    ]
    lost = largest_loss(outcomes)
    if lost is not None:
        mine, other = lost
        title = f"**loss**, the largest of the {cases} deformations: {mine.pair}, {mine.deformation}: RMSE left"
        rows.append([title, _px(_rmse(mine)), f"{other.method} {_px(_rmse(other))}"])
    head, *body = [row(cells) for cells in rows]
    return "\n".join([head, "|---|---|---|", *body])


def _scores(accuracy: dict[str, Any], method: str) -> list[Score]:
    (run,) = [run for run in accuracy["runs"] if run["matcher"] == method and run["offset_px"] == _OFFSET_PX]
    return scores_of(run)


def _registered(scores: Sequence[Score]) -> int:
    return sum(score.registered for score in scores)


def _median(scores: Sequence[Score]) -> float:
    return float(np.median([score.median_px for score in scores if score.median_px is not None]))


def _close(outcomes: Sequence[Outcome], method: str) -> int:
    found = [outcome.rmse_px for outcome in outcomes if outcome.method == method]
    return sum(rmse_px is not None and rmse_px <= _CLOSE_PX for rmse_px in found)


def _cloudy(scores: Sequence[Score]) -> Score:
    (score,) = [score for score in scores if score.reference.startswith(_CLOUDY)]
    return score


def _corner(score: Score) -> str:
    return _px(score.corner_px) if score.registered and score.corner_px is not None else "no model"


def _rmse(outcome: Outcome) -> float:
    if outcome.rmse_px is None:
        raise ValueError(f"{outcome.method} has no model of {outcome.pair}")
    return outcome.rmse_px


def _px(length_px: float) -> str:
    return f"{length_px:.2f} px"
