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
    exact = [o for o in outcomes if o.exact]
    refined = {(o.pair, o.deformation): o.rmse_px for o in exact if o.method == REFINED}
    others = [o for o in exact if o.method != REFINED]
    lost = [o for o in others if _is_less(o.rmse_px, refined[o.pair, o.deformation])]
    cases = {(o.pair, o.deformation) for o in lost}
    lines = [
        f"In {len(cases)} of {len(refined)} cases another method is more exact by {_LEAST_PX:g} px or more:\n",
        row(["pair", "deformation", "method", "its error", "refined matches"]),
        "|---|---|---|---:|---:|",
    ]
    for o in lost:
        lines.append(row([o.pair, o.deformation, o.method, _text(o.rmse_px), _text(refined[o.pair, o.deformation])]))
    return "\n".join(lines)


def _is_less(error_px: float | None, other_px: float | None) -> bool:
    """Whether an error is smaller than another one; None is larger than any."""
    return error_px is not None and (other_px is None or error_px <= other_px - _LEAST_PX)


def _text(error_px: float | None) -> str:
    return "–" if error_px is None else f"{error_px:.3f} px"
