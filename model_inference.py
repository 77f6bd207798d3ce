r"""Match two Sentinel-2 images with LoFTR and measure the matches in metres.

python model_inference.py --dataset_path ./dataset --confidence 0.8 --image_size 1098 1098 \
    --indexes_of_images 15 5 --model_pretrained outdoor
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s2match.cli.exit_codes import INTERRUPTED, NO_REGISTRATION, NOT_CORRECTED
from s2match.cli.process import run_and_exit

if TYPE_CHECKING:
    # imported later on: until the command runs, Ctrl-C ends in a traceback
    from argparse import ArgumentParser

    from matplotlib.figure import Figure

    from s2match.core.mask import Masking
    from s2match.core.raster import Raster
    from s2match.core.scene import Scene
    from s2match.result import PairResult
    from s2match.settings import Settings

__all__ = ["INTERRUPTED", "NOT_CORRECTED", "NO_REGISTRATION", "build_parser", "main", "make_prediction", "plot_images"]

_PROGRAM = "model_inference.py"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, and return its exit code: :func:`s2match.cli.main.main`."""
    from s2match.cli.main import main as run

    return run(argv, _PROGRAM)


def build_parser() -> "ArgumentParser":
    """Parser of the options: :func:`s2match.cli.options.parsers.build_parser`."""
    from s2match.cli.options.parsers import build_parser as build

    return build(_PROGRAM)


def plot_images(reference: "Raster", target: "Raster", figure: "Figure | None" = None) -> "Figure":
    """Draw two images side by side."""
    from s2match.outputs.figures.matches import plot_pair

    return plot_pair(reference, target, figure)


def make_prediction(
    reference: "Scene",
    target: "Scene",
    settings: "Settings",
    show_progress: bool = True,
    masking: "Masking | None" = None,
) -> "PairResult":
    """Read, match and register two scenes: :func:`s2match.pipeline.match_scenes`.

    Raises:
        S2MatchError: Anything a user can cause or meet; see :mod:`s2match.errors`.
    """
    from s2match.core.mask import UNMASKED
    from s2match.pipeline import MATCHING_STAGES, match_scenes
    from s2match.util.progress import progress_bar

    with progress_bar(MATCHING_STAGES, show_progress) as progress:
        return match_scenes(reference, target, settings, progress, masking or UNMASKED)


if __name__ == "__main__":
    run_and_exit(main)
