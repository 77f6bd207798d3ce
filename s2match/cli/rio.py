"""The command ``rio s2match``: a plugin of rasterio's command line that runs ``s2match match``.

It has the main options in the form of rasterio's other commands. Their values are checked by ``s2match match``.
"""

from typing import Any

import click

from s2match.cli.main import main
from s2match.settings import PRESETS

_PROGRAM = "rio s2match"

# Options that are passed on as they are, with a value each.
_VALUES = ("confidence", "geometry", "preset", "resampling", "device", "fail_above", "report", "json")


@click.command("s2match", short_help="Match an image with a reference, and co-register it.")
@click.argument("reference", metavar="REFERENCE")
@click.argument("target", metavar="TARGET")
@click.argument("output", metavar="[OUTPUT]", required=False)
@click.option("-o", "--output", "output_option", metavar="PATH", help="Corrected image, a GeoTIFF.")
@click.option("--json", metavar="PATH", help="Write the summary and the model as JSON.")
@click.option("--tie-points", multiple=True, metavar="PATH", help="Write tie points: .gpkg, .geojson, .csv, .parquet.")
@click.option("--figure", metavar="PATH", help="Write the figure of the matches.")
@click.option("--report", metavar="DIR", help="Write an HTML report.")
@click.option("--mask", multiple=True, metavar="PATH", help="Raster or polygons of ground that is not matched.")
@click.option("--mask-clouds", is_flag=True, help="Mask thick cloud.")
@click.option("--bands", metavar="NAMES", help="One or three bands, such as B08 or 4,3,2.")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="fast or thorough.")
@click.option("--image-size", nargs=2, type=int, metavar="WIDTH HEIGHT", help="Size to match at [default: 1098 1098].")
@click.option("--native", is_flag=True, help="Match every pixel.")
@click.option("--confidence", type=float, help="Keep matches with a confidence above this [default: 0.8].")
@click.option("--geometry", metavar="MODEL", help="auto, translation, similarity, affine, field or homography.")
@click.option("--device", metavar="NAME", help="auto, cpu, cuda or mps.")
@click.option("--resampling", metavar="KERNEL", help="nearest, bilinear, cubic or lanczos [default: cubic].")
@click.option("--fail-above", metavar="LENGTH", help="Fail if the shift is longer, such as 5m.")
@click.option("--force", is_flag=True, help="Write OUTPUT even if it is not needed.")
@click.option("--overwrite", is_flag=True, help="Always overwrite existing output files.")
@click.pass_context
def s2match(context: click.Context, /, reference: str, target: str, **options: Any) -> None:
    """Match TARGET with REFERENCE with LoFTR, and write it corrected onto the pixels of REFERENCE.

    A summary with the verdict, the shift in metres and its uncertainty is printed. OUTPUT is written if TARGET needs a
    correction and agrees better afterwards. The exit codes are those of `s2match match`, which has more options.

    \b
        rio s2match a_TCI.jp2 b_TCI.jp2 b_corrected.tif
    """  # noqa: D301
    words = ["match", "--images", reference, target, "--no-show", *_words(options)]
    # credentials and options of GDAL that rio itself was given
    with context.obj["env"]:
        code = main([*words, *(["--quiet"] if context.obj["verbosity"] < 0 else [])], program=_PROGRAM)
    context.exit(code)


def _words(options: dict[str, Any]) -> list[str]:
    """The words of ``s2match match`` for the options of this command.

    Raises:
        click.UsageError: Two options contradict each other.
    """
    if options["output"] and options["output_option"]:
        raise click.UsageError("Give OUTPUT as an argument or as an option.")
    if options["native"] and options["image_size"]:
        raise click.UsageError("--native and --image-size contradict each other.")
    words = []
    for name in _VALUES:
        if options[name] is not None:
            words += [f"--{name}", str(options[name])]
    if options["bands"]:
        words += ["--bands", *options["bands"].split(",")]
    for name in ("tie_points", "mask"):
        if options[name]:
            words += [f"--{name}", *options[name]]
    words += ["--image_size", "native"] if options["native"] else []
    words += ["--image_size", *map(str, options["image_size"])] if options["image_size"] else []
    words += [f"--{name}" for name in ("force", "overwrite", "mask_clouds") if options[name]]
    words += ["--output", options["figure"]] if options["figure"] else ["--no-figure"]
    output = options["output"] or options["output_option"]
    return [*words, "--coregister", output] if output else words
