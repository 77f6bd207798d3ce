"""The images that a command line names, and the ``list`` command."""

import argparse
import sys

from s2match.cli.arguments import refuse
from s2match.core.image_path import local_files
from s2match.core.scene import Scene
from s2match.dataset.catalog import open_dataset, pick_pair

# Options of a list.
_LISTING = frozenset({"list", "dataset_path", "bands", "json", "overwrite", "config", "verbose", "debug", "quiet"})


def choose_pair(arguments: argparse.Namespace) -> tuple[Scene, Scene]:
    """The reference and the target.

    Raises:
        S2MatchError: They do not exist, or the options contradict each other.
    """
    refuse(arguments, {"reference"}, "is the reference of the targets of --pairs: give --images or --pairs.")
    if arguments.images is None:
        return pick_pair(_scenes(arguments), *arguments.indexes_of_images)
    refuse(arguments, {"dataset_path"}, "is the folder of indexes, and --images names files: leave one of them out.")
    from s2match.io.sources import open_pair

    reference, target = arguments.images
    return open_pair(reference, target, arguments.bands)


def run_list(arguments: argparse.Namespace) -> None:
    """Print the images of a dataset, and write them as JSON if ``--json`` is given.

    Raises:
        S2MatchError: The folder contains no image, the JSON cannot be written, or an option has no effect on a list.
    """
    from s2match.dataset.listing import image_table, list_images, write_list

    # a list is never shown on a screen, so --no-show is true of it
    allowed = _LISTING if arguments.show else _LISTING | {"show"}
    refuse(arguments, arguments.given - allowed, "has no effect on a list: leave it or --list out.")
    scenes = _scenes(arguments)
    if arguments.json is not None:
        from s2match.util.atomic_write import check_absent, check_outputs_apart, check_writable

        check_outputs_apart([arguments.json], local_files(scene.path for scene in scenes))
        check_writable(arguments.json, to_stream=True)
        check_absent([arguments.json], arguments.overwrite)
    images = list_images(scenes, show_progress=not arguments.quiet)
    print(image_table(images))
    if arguments.json is not None:
        write_list(images, arguments.json)


def _scenes(arguments: argparse.Namespace) -> tuple[Scene, ...]:
    folder = arguments.dataset_path
    opened, scenes = open_dataset(folder, arguments.bands)
    if opened != folder and not arguments.quiet:
        print(f"{folder} contains no image: using the synthetic sample in {opened}.", file=sys.stderr)
    return scenes
