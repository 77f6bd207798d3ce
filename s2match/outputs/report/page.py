"""The page as HTML, rendered from its templates; autoescape keeps every text from being markup."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from s2match.correction.decision import CorrectionOutcome
from s2match.outputs.figures.clearest_place import clearest_place
from s2match.outputs.ground_error_table import no_errors_reason
from s2match.outputs.report import sections
from s2match.outputs.report.cards import pair_cards
from s2match.outputs.report.colouring import ramp
from s2match.outputs.report.embedding import photo
from s2match.outputs.report.environment import environment
from s2match.outputs.report.layers import Layer, map_images
from s2match.outputs.report.points import count_text, map_data
from s2match.outputs.report.run import Link, Run
from s2match.result import PairResult
from s2match.util.versions import versions

_PACKAGE = "s2match.outputs.report"
_STYLES = ("vendor/leaflet.css", "vendor/img-comparison-slider.css")
_SCRIPTS = ("vendor/leaflet.js", "vendor/img-comparison-slider.js", "report.js")
_LICENCES = ("vendor/leaflet.LICENSE", "vendor/img-comparison-slider.LICENSE")

# The page names the versions of these packages.
_PACKAGES = ("torch", "kornia", "numpy", "rasterio", "matplotlib")

# Side of the place in the swipe in pixels of the matched size, and samples along a pixel.
_SWIPE_PX, _SWIPE_SAMPLES = 120, 6

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
        file: Its file; None for none.
    """

    name: str
    title: str
    caption: str
    uri: str
    size: tuple[int, int]
    file: Link | None = None

    @property
    def shape(self) -> str:
        """Class of the figure in the page: ``square`` or ``broad``."""
        return "square" if self.size[0] < _BROAD * self.size[1] else "broad"


@dataclass(frozen=True)
class Swipe:
    """Images of the swipe as data URIs; the reference is left of the line.

    Attributes:
        reference: The reference.
        right: Title and image of each target to choose from.
    """

    reference: str
    right: tuple[tuple[str, str], ...]


def render_page(
    result: PairResult,
    figures: Sequence[EmbeddedFigure],
    outcome: CorrectionOutcome | None,
    run: Run,
    files: Sequence[Link],
) -> str:
    """HTML of the page, which needs no other file.

    Args:
        result: The result.
        figures: Its figures, in their order on the page; the first shows the matches.
        outcome: The outcome of its correction; None without one.
        run: The run that made the result.
        files: Links to the files that the run wrote.
    """
    improvement = None if outcome is None else outcome.improvement
    images = map_images(result, improvement)
    data = map_data(result, images)
    return (
        environment(_PACKAGE)
        .get_template("page.html")
        .render(
            pair=f"{result.reference.scene.title} → {result.target.scene.title}",
            counts=result.headline,
            time=run.time_text,
            header=sections.page_header(result, outcome),
            cards=pair_cards(result, outcome),
            picture=figures[0],
            agreement=sections.agreement_table(improvement),
            summary=sections.summary_table(result),
            errors=sections.errors_table(result),
            no_errors_reason=no_errors_reason(result),
            model=sections.model_section(result),
            refusal=result.refusal,
            figures=list(figures[1:]),
            layers=images.layers,
            points=count_text(data["count"], len(result.matches)),
            outliers=0 if result.registration is None else int((~result.registration.inliers).sum()),
            ramp=ramp(),
            swipe=_swipe(result, images.layers),
            images=sections.images_table(result),
            settings=sections.settings_table(result.settings),
            versions=sections.versions_table(result, versions(_PACKAGES)),
            command=shlex.join(run.command),
            files=files,
            data=data,
            styles=_STYLES,
            scripts=_SCRIPTS,
            licences=_LICENCES,
        )
    )


def _swipe(result: PairResult, layers: Sequence[Layer]) -> Swipe | None:
    """The clearest place of a pair; None without a model."""
    if result.registration is None:
        return None
    place = clearest_place(result, min(_SWIPE_PX, *result.reference.size), _SWIPE_SAMPLES)
    targets = {"target": place.before, "corrected": place.after}
    shown = tuple((layer.title, photo(targets[layer.name])) for layer in layers if layer.name in targets)
    return Swipe(photo(place.reference), shown) if shown else None
