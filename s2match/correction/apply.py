"""Correct files by a model that a JSON keeps, without matching."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath, local_files
from s2match.correction.gcps import PIXELS
from s2match.correction.model_files import ModelFiles
from s2match.correction.pixel_map import moved_transform
from s2match.correction.request import CUBIC, corrected_name, product_files, source_of, write_corrected
from s2match.correction.saved_model import SavedModel, saved_model_of
from s2match.correction.vectors import VECTORS, check_vector, is_vector, move_vector
from s2match.errors import NotCorrectedError, OptionError
from s2match.io.products import granule_of
from s2match.io.sources import open_source, source_path
from s2match.registration.verdict import Decision
from s2match.resampling.kernels import check_resampling
from s2match.result import PairResult
from s2match.util.atomic_write import check_absent, check_folder, check_outputs_apart, create_folder
from s2match.util.progress import Progress, Stage
from s2match.util.threads import limit_threads


@dataclass(frozen=True)
class ApplyRequest:
    """Files to correct by a model, and how.

    Attributes:
        files: Rasters with the target's footprint, and vector files in the target's georeference.
        out: Folder of the corrected files; it is created.
        resampling: One of :data:`s2match.resampling.kernels.RESAMPLINGS`; None keeps the pixels of rasters and moves
            their georeference.
        overwrite: Whether existing files may be replaced.
        force: Whether the files are corrected even if the verdict on the pair is not *register*.
    """

    files: tuple[ImagePath, ...]
    out: Path
    resampling: str | None = CUBIC
    overwrite: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse an unknown resampling.

        Raises:
            OptionError: The resampling is unknown.
        """
        if self.resampling is not None:
            check_resampling(self.resampling)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The corrected file of each file: ``NAME_coregistered`` with the suffix of its format."""
        return tuple(self.out / _name_of(path) for path in self.files)


def files_of(source: str | Path) -> tuple[ImagePath, ...]:
    """The files to correct that a user names.

    Args:
        source: A raster or vector file, a URL, an asset of a STAC Item, or a product: its folder, zip or metadata.

    Returns:
        The file; of a product its true-colour image, each band at its finest resolution, and its masks.

    Raises:
        UnreadableImageError: It is neither of these.
    """
    path = source_path(source)
    if is_vector(path):
        return (path,)
    scene = open_source(path)
    if scene.path == path or granule_of(scene.path) is None:
        return (scene.path,)
    return tuple(dict.fromkeys((scene.path, *product_files(scene))))


def _name_of(path: ImagePath) -> str:
    suffix = VECTORS.get(path.suffix.lower())
    return corrected_name(path) if suffix is None else f"{path.stem}_coregistered{suffix}"


def apply_model(  # noqa: PLR0913
    model: SavedModel | PairResult,
    files: "str | Path | Iterable[str | Path]",
    out: str | Path,
    *,
    resampling: str | None = CUBIC,
    overwrite: bool = False,
    force: bool = False,
) -> tuple[Path, ...]:
    """Correct files by a model, without matching.

    There are more than five parameters because each is an option of ``s2match apply``.

    Args:
        model: The model, from :func:`s2match.read_model`, or a matched pair.
        files: Path or paths of rasters with the target's footprint (the target, its other bands, other pixel sizes,
            masks, later images), of products, whose bands and masks are corrected, and of vector files (GeoPackage,
            GeoJSON) in the georeference of the target.
        out: Folder of the corrected files, ``NAME_coregistered`` with the suffix ``.tif``, ``.gpkg`` or ``.geojson``.
        resampling: ``"nearest"``, ``"bilinear"``, ``"cubic"`` or ``"lanczos"``; None: the original pixels with a moved
            georeference, where the model is a translation.
        overwrite: Replace files that exist.
        force: Correct files even if the verdict on the pair is not *register*, or if the pair was corrected and did
            not agree better.

    Returns:
        The corrected files, in the order of ``files``.

    Raises:
        S2MatchError: A file cannot be read, corrected or written; see :mod:`s2match.errors`.

    Examples:
        >>> import s2match
        >>> reference = "dataset/sample/SYNTHETIC-B_20240510T103621_TCI.jp2"
        >>> target = "dataset/sample/SYNTHETIC-B_20220829T103641_TCI.jp2"
        >>> result = s2match.match(reference, target, confidence=0.5, image_size=(512, 512))
        >>> s2match.write_json(result, "result.json")
        >>> model = s2match.read_model("result.json")
        >>> [path.name for path in s2match.apply_model(model, target, "corrected", force=True)]
        ['SYNTHETIC-B_20220829T103641_TCI_coregistered.tif']
    """
    saved = saved_model_of(model)
    named = [files] if isinstance(files, str | Path) else files
    paths = tuple(path for source in named for path in files_of(source))
    request = ApplyRequest(paths, Path(out), resampling, overwrite, force)
    check_apply(saved, request)
    return run_apply(saved, request)


def gcp_source(model: SavedModel, files: Iterable[ImagePath], outputs: ModelFiles) -> Grid:
    """The file that ground control points are written for.

    Args:
        model: The model.
        files: Files to correct.
        outputs: Files of the model.

    Returns:
        Of the rasters the one with the target's name, or else the first; without a raster the target, by its name
        alone.

    Raises:
        OptionError: The file's pixels are to be written, and there is no raster.
        CorrectionError: The raster does not have the target's footprint.
        UnreadableImageError: The raster is missing or is not an image.
    """
    target = model.file_model.target
    rasters = [] if outputs.gcps is None else [path for path in files if not is_vector(path)]
    if rasters:
        named = [path for path in rasters if path.name == target.scene.path.name]
        return source_of((named or rasters)[0], model.file_model, model.options)
    if outputs.gcps is not None and outputs.gcps.suffix.lower() in PIXELS:
        raise OptionError(f"--gcps {outputs.gcps} has the pixels of the target: give the file of the target, too.")
    return target


def check_apply(model: SavedModel, request: ApplyRequest) -> None:
    """Refuse files that cannot be corrected, before any is written.

    Raises:
        NotCorrectedError: The verdict on the pair is not *register*, or the correction of the target was not better.
        CorrectionError: A raster does not have the target's footprint, a vector file cannot be placed, or pixels must
            stay and the model is not a translation.
        OutputError: A file exists and must not be replaced, is an input, or cannot be written.
        UnreadableImageError: A file is missing or is not an image.
    """
    if model.verdict is not Decision.REGISTER and not request.force:
        raise NotCorrectedError(f'The verdict on the pair is "{model.verdict}": --force corrects files anyway.')
    if model.not_better and not request.force:
        raise NotCorrectedError(
            "The corrected target did not agree better with the reference: --force corrects files anyway."
        )
    if request.out.exists():
        check_folder(request.out)
    check_outputs_apart(request.outputs, local_files(request.files))
    check_absent(request.outputs, request.overwrite)
    for path in request.files:
        if is_vector(path):
            check_vector(model.file_model, path)
            continue
        source = source_of(path, model.file_model)
        if request.resampling is None:
            moved_transform(model.file_model, source)


@limit_threads()
def run_apply(model: SavedModel, request: ApplyRequest, progress: Progress | None = None) -> tuple[Path, ...]:
    """Write the corrected files of a request that :func:`check_apply` accepts, and return their paths.

    Args:
        model: The model.
        request: The files to correct, and how.
        progress: Is told which file is corrected; None for nobody.
    """
    create_folder(request.out)
    progress = progress or Progress()
    progress.begin(Stage.CORRECT)
    for number, (path, out) in enumerate(zip(request.files, request.outputs, strict=True)):
        progress.advance(number / len(request.files), path.name)
        if is_vector(path):
            move_vector(model.file_model, path, out)
        else:
            source = source_of(path, model.file_model, model.options)
            write_corrected(model.file_model, source, out, request.resampling)
    return request.outputs
