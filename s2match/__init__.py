"""Match and register Sentinel-2 images with LoFTR, in pixels and in metres.

What most scripts need is here, and imported when it is first asked for; ``import s2match`` alone imports nothing large.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from s2match.dataarrays import match_arrays
    from s2match.errors import S2MatchError
    from s2match.job import fit_tie_points, match_files
    from s2match.plotting import plot_matches, save_figure
    from s2match.results import PairResult, facts, summary, write_json
    from s2match.settings import Settings
    from s2match.tiepoint_files import read_tie_points, write_tie_points
    from s2match.tiepoints import TiePoints, tie_points_of

_HOMES = {
    "match_arrays": "dataarrays",
    "S2MatchError": "errors",
    "fit_tie_points": "job",
    "match_files": "job",
    "plot_matches": "plotting",
    "save_figure": "plotting",
    "PairResult": "results",
    "facts": "results",
    "summary": "results",
    "write_json": "results",
    "Settings": "settings",
    "read_tie_points": "tiepoint_files",
    "write_tie_points": "tiepoint_files",
    "TiePoints": "tiepoints",
    "tie_points_of": "tiepoints",
}

__all__ = [
    "PairResult",
    "S2MatchError",
    "Settings",
    "TiePoints",
    "facts",
    "fit_tie_points",
    "match_arrays",
    "match_files",
    "plot_matches",
    "read_tie_points",
    "save_figure",
    "summary",
    "tie_points_of",
    "write_json",
    "write_tie_points",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
