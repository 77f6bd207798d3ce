"""Where another method of :mod:`benchmarks.registration` is more exact than refined matches."""

from collections.abc import Sequence

from benchmarks.markdown import row
from benchmarks.registration import REFINED, Outcome

# Smaller differences do not count.
_LEAST_PX = 0.005


def losses(outcomes: Sequence[Outcome]) -> str:
    """Sentence and Markdown table with a row for each loss, over all pairs whose true offset is known.

    Args:
        outcomes: What every method left of every deformation of every pair.
    """
    lost = _lost(outcomes)
    cases = {(o.pair, o.deformation) for _, o in lost}
    count = sum(o.exact and o.method == REFINED for o in outcomes)
    lines = [
        f"In {len(cases)} of {count} cases another method is more exact by {_LEAST_PX:g} px or more:\n",
        row(["pair", "deformation", "method", "its error", "refined matches"]),
        "|---|---|---|---:|---:|",
    ]
    for mine, o in lost:
        lines.append(row([o.pair, o.deformation, o.method, _text(o.rmse_px), _text(mine.rmse_px)]))
    return "\n".join(lines)


def largest_loss(outcomes: Sequence[Outcome]) -> tuple[Outcome, Outcome] | None:
    """The outcome of refined matches that another method beats by most, and that of the method; None without a loss.

    Args:
        outcomes: What every method left of every deformation of every pair; those whose true offset is unknown do not
            count.
    """
    with_models = [(mine, o) for mine, o in _lost(outcomes) if mine.rmse_px is not None]
    return max(with_models, key=lambda lost: (lost[0].rmse_px or 0.0) - (lost[1].rmse_px or 0.0), default=None)


def _lost(outcomes: Sequence[Outcome]) -> list[tuple[Outcome, Outcome]]:
    """The outcomes of refined matches that another method beats, each with that of the method."""
    exact = [o for o in outcomes if o.exact]
    refined = {(o.pair, o.deformation): o for o in exact if o.method == REFINED}
    both = [(refined[o.pair, o.deformation], o) for o in exact if o.method != REFINED]
    return [(mine, o) for mine, o in both if _is_less(o.rmse_px, mine.rmse_px)]


def _is_less(error_px: float | None, other_px: float | None) -> bool:
    """Whether an error is smaller than another one; None is larger than any."""
    return error_px is not None and (other_px is None or error_px <= other_px - _LEAST_PX)


def _text(error_px: float | None) -> str:
    return "–" if error_px is None else f"{error_px:.3f} px"
