"""Requests to correct a target and files with its footprint: their checks, and their execution."""

from dataclasses import dataclass, replace
from pathlib import Path

from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath, file_key
from s2match.core.product_names import PRODUCT
from s2match.core.radiometry import AS_FILES_SAY, ReadOptions
from s2match.core.scene import Scene, scene_of
from s2match.correction.pixel_map import PixelMap, output_grid, require_same_footprint
from s2match.correction.resample_file import Advance, write_moved, write_resampled
from s2match.errors import CorrectionError
from s2match.io.cog import check_cog
from s2match.io.products import granule_of
from s2match.io.reader import check_decodable, read_grid, with_radiometry
from s2match.io.sources import source_path
from s2match.registration.file_model import FileModel
from s2match.resampling.kernels import check_resampling
from s2match.result import PairResult
from s2match.util.atomic_write import check_absent
from s2match.util.threads import limit_threads

CUBIC = "cubic"


@dataclass(frozen=True)
class CorrectionRequest:
    """The files to correct, and how.

    Attributes:
        out: The corrected target, a GeoTIFF.
        siblings: Files with the target's footprint, which are corrected with it; ``product`` for the files of the
            target's product, see :func:`with_product_files`.
        resampling: One of :data:`s2match.resampling.kernels.RESAMPLINGS`; None keeps the pixels and moves the
            georeference.
        overwrite: Whether existing files may be replaced.
        force: Whether the files are kept even if the correction is not needed, or does not come out better.
    """

    out: Path
    siblings: tuple[ImagePath, ...] = ()
    resampling: str | None = CUBIC
    overwrite: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        """Accept paths as text, and refuse an unknown resampling.

        Raises:
            OptionError: The resampling is unknown.
        """
        object.__setattr__(self, "out", Path(self.out))
        object.__setattr__(self, "siblings", tuple(map(source_path, self.siblings)))
        if self.resampling is not None:
            check_resampling(self.resampling)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files to write: ``out``, and ``NAME_coregistered.tif`` beside it for each sibling ``NAME``."""
        return self.out, *(self.out.parent / corrected_name(path) for path in self.siblings if path != Path(PRODUCT))


def corrected_name(path: ImagePath) -> str:
    """Name of a corrected file; masks of a product, whose names are those of any product, get its tile and time."""
    scene = scene_of(path)
    prefix = ""
    if path.name.upper().startswith("MSK_") and scene.sensed is not None:
        prefix = f"{scene.tile}_{scene.sensed:%Y%m%dT%H%M%S}_"
    return f"{prefix}{path.stem}_coregistered.tif"


def with_product_files(request: CorrectionRequest, target: Scene) -> CorrectionRequest:
    """A request with the files of the target's product, if it asks for ``product``.

    Args:
        request: The files to correct.
        target: The image that is corrected; its own file is left out.

    Raises:
        CorrectionError: The target is not part of a product.
    """
    if Path(PRODUCT) not in request.siblings:
        return request
    others = tuple(path for path in request.siblings if path != Path(PRODUCT))
    return replace(request, siblings=(*product_files(target), *others))


def product_files(target: Scene) -> tuple[ImagePath, ...]:
    """The files of an image's product that are corrected with it: each band at its finest resolution, and masks.

    Raises:
        CorrectionError: The image is not part of a product.
    """
    granule = granule_of(target.path)
    if granule is None:
        raise CorrectionError(f"--apply_to product: {target.path.name} is not part of a product of Sentinel-2.")
    bands = (granule.tree.path(file.name) for file in granule.bands.values())
    files = dict.fromkeys((*bands, *granule.classifications))
    return tuple(path for path in files if target.is_stack or file_key(path) != file_key(target.path))


def check_request(request: CorrectionRequest, target: Scene) -> None:
    """Refuse a request that cannot be fulfilled, before any work.

    Args:
        request: The files to correct, and how.
        target: The image that is corrected.

    Raises:
        OutputError: The name of an output is not that of a GeoTIFF, or it exists and must not be replaced.
        CorrectionError: A sibling does not have the target's footprint.
        UnreadableImageError: A sibling or the target is missing or is not an image.
    """
    check_cog(request.out)
    check_absent(request.outputs, request.overwrite)
    if not request.siblings:
        return
    grid = read_grid(target)
    for sibling in request.siblings:
        source = read_grid(sibling)
        require_same_footprint(source, grid)
        check_decodable(source)


def correct(result: PairResult, request: CorrectionRequest) -> None:
    """Write the corrected files: resampled, or, without a resampling kernel, with a moved georeference.

    Args:
        result: A pair with a registration.
        request: The files to correct, and how.

    Raises:
        CorrectionError: There is no registration, or pixels must stay and the model is not a translation.
        UnreadableImageError: A file is missing, not an image, or damaged.
        OutputError: A file cannot be written.
    """
    correct_target(result, request)
    correct_siblings(result, request)


@limit_threads()
def correct_target(result: PairResult, request: CorrectionRequest, advance: Advance | None = None) -> None:
    """Write the corrected target of a request; see :func:`correct`."""
    model = _model(result)
    write_corrected(model, model.target, request.outputs[0], request.resampling, advance)


@limit_threads()
def correct_siblings(result: PairResult, request: CorrectionRequest, advance: Advance | None = None) -> None:
    """Write the corrected siblings of a request; see :func:`correct`."""
    model = _model(result)
    for number, (path, out) in enumerate(zip(request.siblings, request.outputs[1:], strict=True)):
        if advance is not None:
            advance(number / len(request.siblings))
        source = source_of(path, model, result.settings.read_options)
        write_corrected(model, source, out, request.resampling)


def write_corrected(
    model: FileModel, source: Grid, out: Path, resampling: str | None, advance: Advance | None = None
) -> None:
    """Write a file corrected: resampled, or with a moved georeference.

    Args:
        model: The model of the pair.
        source: Every pixel of the file. A file of the target's name and size is the target, and is written on the
            reference's pixels.
        out: The file to write.
        resampling: One of :data:`s2match.resampling.kernels.RESAMPLINGS`; None keeps the pixels and moves the
            georeference.
        advance: Called with the fraction done, 0 to 1.
    """
    if resampling is None:
        write_moved(model, source, out)
        return
    is_target = (source.scene.path.name, source.size) == (model.target.scene.path.name, model.target.size)
    output = output_grid(model, None if is_target else source)
    write_resampled(PixelMap(model, source, output), out, resampling, advance)


def source_of(path: ImagePath, model: FileModel, options: ReadOptions = AS_FILES_SAY) -> Grid:
    """Every pixel of a file with the target's footprint, with its radiometry.

    A file without a CRS is assumed to be in that of the target.

    Raises:
        CorrectionError: The file does not have the target's footprint.
        UnreadableImageError: The file is missing or is not an image.
    """
    source, target = read_grid(path), model.target
    if source.georeferenced and source.crs is None:
        source = replace(source, crs=target.crs)
    require_same_footprint(source, target)
    check_decodable(source)
    return with_radiometry(source, options)


def _model(result: PairResult) -> FileModel:
    """The model of a pair.

    Raises:
        CorrectionError: There is no registration.
    """
    if result.file_model is None:
        raise CorrectionError("Nothing can be corrected without a registration.")
    return result.file_model
