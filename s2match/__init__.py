"""Match and register Sentinel-2 images with LoFTR, in pixels and in metres.

The names of ``__all__`` are imported on first use: ``import s2match`` alone imports nothing large.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from s2match.version import __version__

if TYPE_CHECKING:
    from s2match.api import coregister, match, series, show_versions, warp
    from s2match.arrays import match_arrays
    from s2match.batch.iterate import match_pairs
    from s2match.correction.apply import apply_model
    from s2match.correction.model_files import write_displacement, write_gcps
    from s2match.correction.saved_model import SavedModel, read_model
    from s2match.errors import S2MatchError
    from s2match.outputs.facts import facts, write_json
    from s2match.outputs.figures.matches import plot_matches
    from s2match.outputs.figures.saving import save_figure
    from s2match.outputs.summary import summary
    from s2match.pipeline import fit_tie_points, match_files
    from s2match.result import PairResult
    from s2match.settings import Settings
    from s2match.tiepoints.formats import read_tie_points, write_tie_points
    from s2match.tiepoints.points import TiePoints, tie_points_of

_HOMES = {
    "apply_model": "correction.apply",
    "coregister": "api",
    "match": "api",
    "series": "api",
    "show_versions": "api",
    "warp": "api",
    "match_arrays": "arrays",
    "match_pairs": "batch.iterate",
    "S2MatchError": "errors",
    "fit_tie_points": "pipeline",
    "match_files": "pipeline",
    "plot_matches": "outputs.figures.matches",
    "save_figure": "outputs.figures.saving",
    "PairResult": "result",
    "SavedModel": "correction.saved_model",
    "facts": "outputs.facts",
    "summary": "outputs.summary",
    "write_displacement": "correction.model_files",
    "write_gcps": "correction.model_files",
    "write_json": "outputs.facts",
    "Settings": "settings",
    "read_model": "correction.saved_model",
    "read_tie_points": "tiepoints.formats",
    "write_tie_points": "tiepoints.formats",
    "TiePoints": "tiepoints.points",
    "tie_points_of": "tiepoints.points",
}

__all__ = [
    "PairResult",
    "S2MatchError",
    "SavedModel",
    "Settings",
    "TiePoints",
    "__version__",
    "apply_model",
    "coregister",
    "facts",
    "fit_tie_points",
    "match",
    "match_arrays",
    "match_files",
    "match_pairs",
    "plot_matches",
    "read_model",
    "read_tie_points",
    "save_figure",
    "series",
    "show_versions",
    "summary",
    "tie_points_of",
    "warp",
    "write_displacement",
    "write_gcps",
    "write_json",
    "write_tie_points",
]


def __getattr__(name: str) -> Any:
    """Import a name on its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
