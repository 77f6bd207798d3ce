"""The ``apply`` command with the JSON of a result: files are corrected by its model, without matching."""

import argparse
from pathlib import Path

from s2match.cli.arguments import refuse, shows_progress
from s2match.core.image_path import local_files
from s2match.errors import OptionError
from s2match.util.progress import Stage, progress_bar

# Options that have an effect on a model of a JSON.
_OPTIONS = frozenset(
    {"source", "files", "out", "resampling", "no_resample", "overwrite", "force", "displacement", "gcps"}
    | {"config", "verbose", "debug", "quiet"}
)

# Those that concern the corrected files alone.
_OF_FILES = frozenset({"resampling", "no_resample", "force"})


def run_apply_command(arguments: argparse.Namespace) -> int:
    """Correct files by the model of a JSON, and write files of the model; return the exit code.

    Raises:
        S2MatchError: Any error that a user can cause or meet; see :mod:`s2match.errors`.
    """
    _check_options(arguments)
    from s2match.correction.apply import ApplyRequest, check_apply, files_of, gcp_source, run_apply
    from s2match.correction.model_files import ModelFiles
    from s2match.correction.request import CUBIC
    from s2match.correction.saved_model import read_model
    from s2match.util.atomic_write import check_absent, check_outputs_apart, check_writable

    model = read_model(arguments.model)
    outputs = ModelFiles(arguments.displacement, arguments.gcps)
    outputs.check(model.file_model.reference, model.file_model.target)
    files = tuple(path for name in arguments.files for path in files_of(name))
    source = gcp_source(model, files, outputs)
    request = None
    if arguments.out is not None:
        resampling = None if arguments.no_resample else arguments.resampling or CUBIC
        request = ApplyRequest(files, arguments.out, resampling, arguments.overwrite, arguments.force)
        check_apply(model, request)
    corrected = () if request is None else request.outputs
    check_outputs_apart((*corrected, *outputs.paths), [arguments.model, *local_files(files)])
    check_absent(outputs.paths, arguments.overwrite)
    for path in outputs.paths:
        check_writable(path)
    stages = [*([] if request is None else [Stage.CORRECT]), *([Stage.MODEL] if outputs.paths else [])]
    with progress_bar(stages, shows_progress(arguments)) as progress:
        written: tuple[Path, ...] = () if request is None else run_apply(model, request, progress)
        if outputs.paths:
            progress.begin(Stage.MODEL)
        written += outputs.write(model.file_model, source)
    if not arguments.quiet:
        reference, target = (image.scene.path.name for image in (model.file_model.reference, model.file_model.target))
        print(f"{'model':<14}{model.name} of {target} onto {reference}, from {arguments.model}")
        print(f"{'written':<14}{', '.join(map(str, written))}")
    return 0


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options without effect, and a command that writes nothing.

    Raises:
        OptionError: There is one, or nothing is to be written.
    """
    # nothing is shown on a screen, so --no-show is true of it
    allowed = _OPTIONS if arguments.show else _OPTIONS | {"show"}
    refuse(arguments, arguments.given - allowed, f"has no effect with the model of {arguments.model}: leave it out.")
    if not arguments.files and arguments.displacement is arguments.gcps is None:
        raise OptionError("Nothing is to be written: give files to correct and --out DIR, --displacement or --gcps.")
    if arguments.out is None:
        refuse(arguments, _OF_FILES, "has no effect without corrected files: give --out DIR, too.")
        if arguments.files and arguments.gcps is None:
            raise OptionError("The folder of the corrected files is missing: give --out DIR.")
    elif not arguments.files:
        raise OptionError("--out has no effect without files to correct.")
