"""The page as HTML, rendered from its templates; autoescape keeps every text from being markup."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s2match.correction.decision import CorrectionOutcome
from s2match.correction.evaluation import Improvement
from s2match.outputs.figures.before_after import detail
from s2match.outputs.figures.style import stretched
from s2match.outputs.ground_error_table import no_errors_reason
from s2match.outputs.report import sections
from s2match.outputs.report.embedding import photo
from s2match.outputs.report.environment import environment
from s2match.outputs.report.points import map_data
from s2match.result import PairResult
from s2match.util.versions import versions

_PACKAGE = "s2match.outputs.report"
_SCRIPTS = ("viewer.js", "map.js", "swipe.js", "start.js")

# The page names the versions of these packages.
_PACKAGES = ("torch", "kornia", "numpy", "rasterio", "matplotlib")

# Figures less wide than this times their height share a row with another.
_BROAD = 1.3


@dataclass(frozen=True)
class EmbeddedFigure:
    """A figure in the page.

    Attributes:
        name: Its file name without suffix.
        title: Its title.
        caption: How to read it.
        uri: The image as a data URI.
        size: (width, height) in pixels.
    """

    name: str
    title: str
    caption: str
    uri: str
    size: tuple[int, int]

    @property
    def shape(self) -> str:
        """Class of the figure in the page: ``square`` or ``broad``."""
        return "square" if self.size[0] < _BROAD * self.size[1] else "broad"


def render_page(
    result: PairResult, figures: Sequence[EmbeddedFigure], command: Sequence[str], outcome: CorrectionOutcome | None
) -> str:
    """HTML of the page, which needs no other file.

    Args:
        result: The result.
        figures: Its figures, in their order on the page.
        command: The words of the command line that made the result.
        outcome: The outcome of its correction; None without one.
    """
    improvement = None if outcome is None else outcome.improvement
    points = map_data(result)
    return (
        environment(_PACKAGE)
        .get_template("page.html")
        .render(
            pair=f"{result.reference.scene.title} → {result.target.scene.title}",
            counts=result.headline,
            header=sections.page_header(result, outcome),
            agreement=sections.agreement_table(improvement),
            summary=sections.summary_table(result),
            errors=sections.errors_table(result),
            no_errors_reason=no_errors_reason(result),
            model=sections.model_section(result),
            refusal=result.refusal,
            figures=figures,
            images=sections.images_table(result),
            settings=sections.settings_table(result.settings),
            versions=sections.versions_table(result, versions(_PACKAGES)),
            command=shlex.join(command),
            data={"map": points, "swipe": None if improvement is None else _swipe_data(improvement, points)},
            scripts=_SCRIPTS,
        )
    )


def _swipe_data(improvement: Improvement, points: dict[str, Any]) -> dict[str, Any]:
    """Images of the swipe as JSON types; images that are also in the map are referenced by their name there."""
    on_map = {points[role]["image"]: role for role in ("target", "reference")}
    images = [photo(stretched(raster)) for raster in improvement.previews]
    window = detail(improvement)
    return {
        "size": improvement.previews[0].size,
        "images": [on_map.get(image, image) for image in images],
        "detail": [window.x, window.y, window.width, window.height],
    }
