"""Match two Sentinel-2 images with LoFTR and measure the matches in metres.

python model_inference.py --dataset_path ./dataset --confidence 0.8 --image_size 1098 1098 \\
    --indexes_of_images 15 5 --model_pretrained outdoor
"""

import argparse
import io
import os
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from s2match import __version__
from s2match.core.scene import Scene, pair_of
from s2match.dataset.catalog import open_dataset, pick_pair
from s2match.errors import OptionError, OutputError, S2MatchError
from s2match.settings import PRECISIONS, PRESETS, Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from s2match.core.mask import Masking
    from s2match.core.raster import Raster
    from s2match.correction.request import CorrectionRequest
    from s2match.outputs.targets import Outputs
    from s2match.result import PairResult

NO_REGISTRATION = 3
INTERRUPTED = 130

# What says how to match, and nothing where tie points are given.
_MATCHING = (
    "preset",
    "mask",
    "mask_values",
    "mask_clouds",
    "confidence",
    "search_radius_m",
    "coverage",
    "refine",
    "max_points",
    "model_pretrained",
    "device",
    "precision",
)

# What says how to match in windows, and nothing where one pass does it.
_WINDOWS = frozenset({"search_radius_m", "coverage"})

# What goes with a list.
_LISTING = frozenset({"list", "dataset_path", "json"})

# Images that are read at once for a list, whose memory some formats fill as a whole.
_LIST_READERS = 4


def plot_images(reference: "Raster", target: "Raster", figure: "Figure | None" = None) -> "Figure":
    """Show two images side by side."""
    from s2match.outputs.match_figure import plot_pair

    return plot_pair(reference, target, figure)


def make_prediction(
    reference: Scene,
    target: Scene,
    settings: Settings,
    show_progress: bool = True,
    masking: "Masking | None" = None,
) -> "PairResult":
    """Read, match and register two scenes: :func:`s2match.pipeline.match_scenes`.

    Raises:
        S2MatchError: Anything a user can cause or meet; see :mod:`s2match.errors`.
    """
    from s2match.core.mask import UNMASKED
    from s2match.pipeline import match_scenes

    return match_scenes(reference, target, settings, show_progress, masking or UNMASKED)


class _SizeAction(argparse.Action):
    """Two numbers, or ``native``, which becomes None."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        size = None
        if values != ["native"]:
            try:
                width, height = map(int, values)
            except ValueError:
                parser.error(f"argument {option}: give a width and a height in pixels, or native")
            size = (width, height)
        setattr(namespace, self.dest, size)


def build_parser() -> argparse.ArgumentParser:
    """Every option of the command."""
    parser = argparse.ArgumentParser(
        prog="model_inference.py",
        description="Match two Sentinel-2 images with LoFTR and measure the matches in metres.",
    )
    choose = parser.add_argument_group("which images")
    choose.add_argument("--dataset_path", type=Path, default=Path("./dataset"), help="folder of *_TCI.jp2 images")
    pair = choose.add_mutually_exclusive_group()
    pair.add_argument(
        "--indexes_of_images",
        type=int,
        nargs=2,
        default=(15, 5),
        metavar=("REFERENCE", "TARGET"),
        help="two positions in the folder sorted by name, counted from 0 (default: 15 5)",
    )
    pair.add_argument(
        "--images", type=Path, nargs=2, metavar=("REFERENCE", "TARGET"), help="two image files instead of indexes"
    )
    pair.add_argument("--list", action="store_true", help="list the images of the dataset and end")
    choose.add_argument(
        "--from_tie_points",
        type=Path,
        metavar="FILE",
        help="do not match: fit to the tie points of a file that --tie_points wrote and you edited",
    )
    where = parser.add_argument_group("where not to match")
    where.add_argument(
        "--mask",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="rasters (Scene Classification, or any that is not 0 where it masks) and polygons (GeoPackage, GeoJSON, "
        "Shapefile) of ground that is matched in neither image",
    )
    where.add_argument(
        "--mask_values",
        type=int,
        nargs="+",
        metavar="N",
        help="values of the rasters that mask (default: 0 1 3 8 9 10 of a Scene Classification, else all but 0)",
    )
    where.add_argument(
        "--mask_clouds", action="store_true", help="mask thick cloud, as the saturated white of the images shows it"
    )
    numbers = parser.add_argument_group("what the numbers in the images mean")
    numbers.add_argument(
        "--nodata",
        type=float,
        metavar="VALUE",
        help="the number that means no data in both images, or nan for none (default: what the file declares, or a "
        "value that fills a part of it)",
    )
    numbers.add_argument(
        "--offset",
        type=float,
        metavar="VALUE",
        help="the number that means reflectance 0 in 16-bit images, such as 1000 of ESA's since processing baseline "
        "04.00 (default: the file's tags, the metadata of its product, or its darkest pixels)",
    )
    how = parser.add_argument_group("how to match")
    how.add_argument(
        "--confidence", type=float, default=Settings.confidence, help="keep matches above this, 0 to 1 (default: 0.8)"
    )
    how.add_argument(
        "--image_size",
        nargs="+",
        action=_SizeAction,
        default=Settings.image_size,
        metavar=("WIDTH", "HEIGHT"),
        help="box that the reference is fitted into, in pixels; the target gets the same ground pixel size (default: "
        "1098 1098, 100 m per pixel on a full tile); or: native",
    )
    how.add_argument(
        "--preset",
        choices=PRESETS,
        help="fast: native pixels in small windows on a tenth of the ground, well under a minute or two for full "
        "tiles; thorough: native pixels everywhere; both with --refine",
    )
    how.add_argument(
        "--overlap_only",
        action="store_true",
        help="match nothing but the ground that both images show; it gets all the pixels of the size to match at",
    )
    how.add_argument(
        "--search_radius_m",
        type=float,
        metavar="M",
        help="how far from where it is expected the ground of a window is sought, when a large image is matched in "
        "windows (default: what suits the coarse pass that comes first)",
    )
    how.add_argument(
        "--coverage",
        type=float,
        default=Settings.coverage,
        metavar="SHARE",
        help="share of the common ground to look at when large images are matched in windows (default: 1)",
    )
    how.add_argument(
        "--refine",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="measure every match again on the pixels around it, drop those that it does not make better, and fill "
        "places without matches by the edges alone (default: with --image_size native)",
    )
    how.add_argument(
        "--max_points",
        type=int,
        default=Settings.max_points,
        help="keep at most so many matches, spread evenly (default: 100000)",
    )
    how.add_argument(
        "--model_pretrained",
        default=Settings.weights,
        metavar="NAME_OR_PATH",
        help="sentinel2 (bundled, default), outdoor, indoor, indoor_new (downloaded once), or a checkpoint file",
    )
    how.add_argument("--device", default=Settings.device, help="auto (default), cpu, cuda, cuda:N or mps")
    how.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=Settings.precision,
        help="number format of the network: auto (default) is the fastest of the processor or card; float32 finds the "
        "same matches on all of them",
    )
    how.add_argument(
        "--geometry",
        default=Settings.geometry,
        help="translation, similarity, affine, field (smooth and local) or homography; auto (default) takes the "
        "simplest of the first four that predicts held-out matches as well as any",
    )
    how.add_argument(
        "--ransac_threshold",
        type=float,
        default=Settings.ransac_threshold_px,
        metavar="PX",
        help="largest residual of an inlier (default: 1.5)",
    )
    how.add_argument("--seed", type=int, default=Settings.seed, help="seed of the robust fit (default: 0)")
    output = parser.add_argument_group("what to write")
    output.add_argument("--output", type=Path, default=Path("result.png"), help="figure (default: result.png)")
    output.add_argument(
        "--json", type=Path, metavar="FILE", help="write the summary as JSON, too; with --list the list"
    )
    output.add_argument(
        "--tie_points",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="write the matches, too, in pixels of the files and in map coordinates: .gpkg, .geojson, .csv, or .points "
        "for QGIS' georeferencer",
    )
    output.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write a report to a folder: index.html, one page that needs no network, and its figures",
    )
    output.add_argument(
        "--coregister",
        type=Path,
        metavar="OUT.tif",
        help="write the target, corrected, on the reference's pixels, as a Cloud Optimized GeoTIFF",
    )
    output.add_argument(
        "--apply_to",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="correct files with the target's footprint, too (other bands, other pixel sizes, masks): each is written "
        "beside OUT.tif, in its own pixel size, as NAME_coregistered.tif",
    )
    pixels = output.add_mutually_exclusive_group()
    pixels.add_argument(
        "--resampling",
        metavar="KERNEL",
        help="nearest, bilinear, cubic (default) or lanczos; classes are always taken from the nearest pixel",
    )
    pixels.add_argument(
        "--no_resample",
        action="store_true",
        help="where the model is a pure translation: write the original pixels, with a moved georeference",
    )
    output.add_argument("--overwrite", action="store_true", help="replace corrected files that are there already")
    output.add_argument(
        "--show",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show the figures on screen (default: where there is one)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask for; the exit code."""
    if arguments.list:
        return _list(arguments)
    from s2match.outputs.targets import check_outputs

    reference, target = _choose(arguments)
    outputs = _outputs(arguments)
    inputs = (
        reference.path,
        target.path,
        *arguments.mask,
        *arguments.apply_to,
        *filter(None, [arguments.from_tie_points]),
    )
    check_outputs(outputs, inputs, target)
    return _match(reference, target, arguments, outputs)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; errors become one line on standard error and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that lacks a letter of a file's name is no reason to lose the result
            stream.reconfigure(errors="replace")
    try:
        code = run(_parse(argv))
        # that a reader has gone is to show here
        sys.stdout.flush()
        return code
    except S2MatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # whoever read the output has gone: nobody is left to tell, and Python's own flush at exit must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = build_parser()
    preset = parser.parse_args(argv).preset
    if preset is not None:
        parser.set_defaults(**PRESETS[preset])
    arguments = parser.parse_args(argv)
    arguments.given = _given(parser, argv)
    arguments.command = ["python", parser.prog, *(sys.argv[1:] if argv is None else argv)]
    return arguments


def _given(parser: argparse.ArgumentParser, argv: list[str] | None) -> frozenset[str]:
    """Names of the options that are on the command line, be their values the defaults or not."""
    names, absent = vars(parser.parse_args(argv)), object()
    # argparse fills in defaults where a namespace has nothing
    filled = parser.parse_args(argv, argparse.Namespace(**dict.fromkeys(names, absent)))
    return frozenset(name for name in names if getattr(filled, name) is not absent)


def _refuse(arguments: argparse.Namespace, names: Collection[str], why: str) -> None:
    """Refuse options that would say nothing.

    Raises:
        OptionError: One of the names is on the command line; the first in alphabetical order is told.
    """
    for name in sorted(arguments.given.intersection(names)):
        option = f"--no-{name}" if getattr(arguments, name) is False else f"--{name}"
        raise OptionError(f"{option} {why}")


def _dataset(folder: Path) -> tuple[Scene, ...]:
    found_in, scenes = open_dataset(folder)
    if found_in != folder:
        print(f"{folder} holds no image of its own: using the synthetic sample in {found_in}.", file=sys.stderr)
    return scenes


def _choose(arguments: argparse.Namespace) -> tuple[Scene, Scene]:
    if arguments.images is not None:
        _refuse(
            arguments, {"dataset_path"}, "is the folder of indexes, and --images names files: leave one of them out."
        )
    if arguments.images is None:
        return pick_pair(_dataset(arguments.dataset_path), *arguments.indexes_of_images)
    return pair_of(*arguments.images)


def _outputs(arguments: argparse.Namespace) -> "Outputs":
    from s2match.outputs.targets import Outputs

    return Outputs(
        arguments.output,
        arguments.json,
        tuple(arguments.tie_points),
        _order(arguments),
        arguments.report,
        tuple(arguments.command),
    )


def _order(arguments: argparse.Namespace) -> "CorrectionRequest | None":
    """What is to be corrected.

    Raises:
        OptionError: Options say how to correct, and nothing is to be corrected; or a resampling is unknown.
    """
    if arguments.coregister is None:
        for name in ("apply_to", "resampling", "no_resample", "overwrite"):
            if getattr(arguments, name):
                raise OptionError(f"--{name} says how to correct: give --coregister OUT.tif, too.")
        return None
    from s2match.correction.request import CUBIC, CorrectionRequest

    resampling = None if arguments.no_resample else arguments.resampling or CUBIC
    return CorrectionRequest(arguments.coregister, tuple(arguments.apply_to), resampling, arguments.overwrite)


def _match(reference: Scene, target: Scene, arguments: argparse.Namespace, outputs: "Outputs") -> int:
    # nothing that imports PyTorch or matplotlib, which takes seconds: the images are to be read meanwhile
    from s2match.io.masking import masking_of
    from s2match.pipeline import fit_tie_points

    settings = _settings(arguments)
    masking = masking_of(arguments.mask, arguments.mask_values, arguments.mask_clouds)
    if arguments.show:
        _require_screen()
    if arguments.from_tie_points is None:
        _refuse_windows(reference, target, arguments, settings)
        result = make_prediction(reference, target, settings, masking=masking)
    else:
        why = "says how to match, and --from_tie_points does not match: leave one of them out."
        _refuse(arguments, _MATCHING, why)
        result = fit_tie_points(arguments.from_tie_points, reference, target, settings)
    return _write_out(result, arguments.show, outputs)


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        weights=arguments.model_pretrained,
        device=arguments.device,
        confidence=arguments.confidence,
        geometry=arguments.geometry,
        ransac_threshold_px=arguments.ransac_threshold,
        seed=arguments.seed,
        max_points=arguments.max_points,
        search_radius_m=arguments.search_radius_m,
        refine=arguments.refine,
        coverage=arguments.coverage,
        image_size=arguments.image_size,
        overlap_only=arguments.overlap_only,
        precision=arguments.precision,
        nodata=arguments.nodata,
        offset=arguments.offset,
    )


def _refuse_windows(reference: Scene, target: Scene, arguments: argparse.Namespace, settings: Settings) -> None:
    """Refuse options of matching in windows where images are matched in one pass.

    Raises:
        OptionError: There is one.
        S2MatchError: The images cannot be matched at all.
    """
    if not arguments.given & _WINDOWS:
        return
    from s2match.io.pair_grid import grids_of
    from s2match.matching.tiled import in_one_pass

    grids = grids_of(reference, target, settings.image_size, settings.overlap_only)
    if in_one_pass(*grids):
        width, height = grids[0].size
        why = f"is about matching in windows, and {width} x {height} px are matched in one pass: leave it out."
        _refuse(arguments, _WINDOWS, why)


def _require_screen() -> None:
    from s2match.outputs.screen import has_screen

    if not has_screen():
        raise OutputError("There is no screen to show figures on: leave --show out.")


def _write_out(result: "PairResult", wanted: bool | None, outputs: "Outputs") -> int:
    from s2match.outputs.screen import has_screen, screen_figure, show_screen
    from s2match.outputs.write import write_outputs

    improvement = None
    if outputs.order is not None and result.registration is not None:
        from s2match.pipeline import correct_and_evaluate

        improvement = correct_and_evaluate(result, outputs.order)
    show = wanted is not False and has_screen()
    print(write_outputs(result, outputs, screen_figure() if show else None, improvement))
    if show:
        plot_images(*result.previews, screen_figure())
        show_screen()
    return 0 if result.registration is not None else NO_REGISTRATION


def _list(arguments: argparse.Namespace) -> int:
    from s2match.dataset.listing import image_table, listed, write_list
    from s2match.util.atomic_write import check_writable

    # that nothing is shown on a screen is true of a list
    told = _LISTING if arguments.show else _LISTING | {"show"}
    _refuse(arguments, arguments.given - told, "says nothing about a list: leave it or --list out.")
    scenes = _dataset(arguments.dataset_path)
    if arguments.json is not None:
        if arguments.json.resolve() in {scene.path.resolve() for scene in scenes}:
            raise OutputError(f"Cannot write {arguments.json}: it is an input.")
        check_writable(arguments.json)
    with ThreadPoolExecutor(_LIST_READERS) as readers:
        found = readers.map(listed, range(len(scenes)), scenes)
        images = list(tqdm(found, desc="MatchingConfig", total=len(scenes), leave=False, disable=None))
    print(image_table(images))
    if arguments.json is not None:
        write_list(images, arguments.json)
    return 0


def _unless_garbled(raised: "sys.UnraisableHookArgs") -> None:
    """Show what could not be raised, but for messages of GDAL on damaged files that are no text: an error follows."""
    if not isinstance(raised.exc_value, UnicodeDecodeError):
        sys.__unraisablehook__(raised)


if __name__ == "__main__":
    sys.unraisablehook = _unless_garbled
    ended_with = main()
    sys.stderr.flush()
    # everything is written, and taking PyTorch apart would take a third of a second
    os._exit(ended_with)
