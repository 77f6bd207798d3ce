"""The functions that most scripts need: match two images, co-register them, and warp an array."""

import platform
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast, overload

import numpy as np
from numpy.typing import NDArray

from s2match.arrays import Image, as_files, bands_of, dataarray_like
from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath, image_path, local_files
from s2match.core.scene import Scene
from s2match.correction.decision import CorrectionDecision
from s2match.correction.evaluation import Improvement
from s2match.correction.pixel_map import PixelMap, output_grid
from s2match.correction.request import CUBIC, CorrectionRequest, check_request, with_product_files
from s2match.correction.resample_array import resample_bands
from s2match.correction.saved_model import SavedModel
from s2match.errors import CorrectionError, NotCorrectedError, OptionError
from s2match.io.masking import masking_of
from s2match.io.sources import open_pair
from s2match.pipeline import (
    MATCHING_STAGES,
    LoadMatcher,
    correct_and_evaluate,
    correction_stages,
    create_matcher,
    match_scenes,
)
from s2match.registration.file_model import file_model_of
from s2match.registration.model import Registration
from s2match.registration.verdict import Decision
from s2match.resampling.kernels import NEAREST, check_resampling
from s2match.result import PairResult
from s2match.settings import Choices, Settings
from s2match.timeseries.choices import Datum, PairMode
from s2match.util.atomic_write import check_outputs_apart, check_writable
from s2match.util.progress import Progress, progress_bar
from s2match.util.versions import versions

if TYPE_CHECKING:
    from xarray import DataArray

    from s2match.timeseries.result import SeriesResult

# Options of the command whose name in Python is another one.
_COMMAND_NAMES = {"model_pretrained": "weights", "ransac_threshold": "ransac_threshold_px"}

# Largest difference between the proportions of an array and of the target's file, in pixels: sizes are whole numbers.
_SAME_SIDE_PX = 1.0

# Packages whose versions change numbers or files.
_PACKAGES = ("torch", "kornia", "numpy", "scipy", "rasterio", "pyogrio", "geopandas", "rioxarray")

# Options of match that are not attributes of Settings.
_NOT_SETTINGS = ("preset", "mask", "mask_values", "mask_clouds", "show_progress")

Paths = str | ImagePath | Sequence[str | ImagePath]


class MatchOptions(Choices, total=False):
    """The options of :func:`match` as keyword arguments."""

    preset: str | None
    mask: Paths
    mask_values: Sequence[int] | None
    mask_clouds: bool
    show_progress: bool


@dataclass(frozen=True, repr=False)
class Coregistration:
    """A pair whose target was to be corrected.

    Attributes:
        result: The matched pair.
        decision: Whether the files were written, and why.
        files: The corrected files: the target, and each file of ``apply_to``. Empty if they were not written.
        improvement: The agreement of the target with the reference before and after. None if nothing was corrected, or
            if an image has no georeference.
    """

    result: PairResult
    decision: CorrectionDecision
    files: tuple[Path, ...] = ()
    improvement: Improvement | None = None

    def __repr__(self) -> str:
        """The result, the files, and why they were written or not."""
        files = ", ".join(map(str, self.files)) or "none"
        return f"{self.result!r}\n  {'files':<9}{files}\n  {'because':<9}{self.decision.reason}"


def match(  # noqa: PLR0913
    reference: Image,
    target: Image,
    settings: Settings | None = None,
    *,
    preset: str | None = None,
    mask: Paths = (),
    mask_values: Sequence[int] | None = None,
    mask_clouds: bool = False,
    show_progress: bool = False,
    **choices: Unpack[Choices],
) -> PairResult:
    """Match two images, fit a model and measure the errors on the ground.

    Images are paths (files, products, zips), URLs, NumPy arrays or DataArrays of xarray. Options have the names and
    defaults of the command, with three exceptions: ``--model_pretrained`` is ``weights``, ``--ransac_threshold`` is
    ``ransac_threshold_px``, and ``--image_size native`` is ``image_size=None``. There are more than five parameters
    because each is an option.

    Args:
        reference: The image that the result is relative to: a path, a NumPy array (H×W, H×W×3 or 3×H×W) or a DataArray
            ((y, x) or (band, y, x), georeferenced by rioxarray).
        target: The image that is matched with it.
        settings: Options as one value, to use for many pairs; None for the defaults.
        preset: ``"fast"`` or ``"thorough"``, as ``--preset``; only without ``settings``.
        mask: Path or paths of rasters and polygons of ground that is matched in neither image; ``"auto"`` for the mask
            of each image's own product.
        mask_values: Values of the rasters that mask; None for :data:`s2match.core.mask.MASKED_CLASSES` in a Scene
            Classification and all but 0 in other rasters.
        mask_clouds: Mask thick cloud, detected as saturated white pixels.
        show_progress: Show a progress bar on standard error where that is a terminal.
        **choices: Attributes of :class:`s2match.Settings`, which replace those of ``settings`` or ``preset``:
            ``weights`` (name or path), ``device``, ``precision``, ``confidence`` (0 to 1), ``image_size`` (width and
            height in pixels, None for every pixel), ``overlap_only``, ``enlarge``, ``refine``, ``coverage`` (above 0,
            up to 1), ``search_radius_m``, ``max_points``, ``geometry``, ``ransac_threshold_px``, ``seed``, ``nodata``,
            ``offset``, ``bands``, ``aoi``, ``aoi_crs``. ``help(s2match.Settings)`` explains each.

    Returns:
        The matched pair; its ``registration`` is None if no model is accepted.

    Raises:
        S2MatchError: An image, a mask or an option cannot be used; see :mod:`s2match.errors`.

    Examples:
        >>> import s2match
        >>> result = s2match.match(
        ...     "dataset/sample/SYNTHETIC-B_20240510T103621_TCI.jp2",
        ...     "dataset/sample/SYNTHETIC-B_20220829T103641_TCI.jp2",
        ...     confidence=0.5, image_size=(512, 512),
        ... )
        >>> result.registration.model
        'translation'
        >>> result.matrix.shape
        (3, 3)
    """
    options = MatchOptions(
        preset=preset,
        mask=mask,
        mask_values=mask_values,
        mask_clouds=mask_clouds,
        show_progress=show_progress,
        **choices,
    )
    with as_files(reference, target) as files:
        return match_with(files, settings, options)


def coregister(  # noqa: PLR0913
    reference: Image,
    target: Image,
    out: str | Path,
    apply_to: Paths = (),
    settings: Settings | None = None,
    *,
    resampling: str | None = CUBIC,
    overwrite: bool = False,
    force: bool = False,
    **options: Unpack[MatchOptions],
) -> Coregistration:
    """Match two images, and write the target corrected, on the pixels of the reference.

    Nothing is written if the verdict is not *register*, or if the corrected target does not agree better with the
    reference. This is no error: ``files`` is then empty, and ``decision.reason`` gives the reason. Without a
    registration nothing is written either, and ``result.refusal`` gives the cause. There are more than five parameters
    because each is an option of the command.

    Args:
        reference: The image that the target is registered to: a path or an array, as for :func:`match`.
        target: The image that is corrected.
        out: The corrected target, a Cloud Optimized GeoTIFF (``.tif``).
        apply_to: Path or paths of files with the target's footprint (other bands, other pixel sizes, masks), which are
            corrected with it, or ``"product"`` for the bands and masks of the target's product: each is written beside
            ``out``, in its own pixel size, as ``NAME_coregistered.tif``.
        settings: Options as one value, to use for many pairs; None for the defaults.
        resampling: ``"nearest"``, ``"bilinear"``, ``"cubic"`` or ``"lanczos"``; classes are always taken from the
            nearest pixel. None, as ``--no_resample``: the original pixels with a moved georeference, where the model is
            a pure translation.
        overwrite: Replace corrected files that exist already.
        force: Write the files even if the verdict is not *register*, or the corrected target does not agree better. A
            registration is needed in any case.
        **options: Options of :func:`match`: ``preset``, ``mask``, ``mask_values``, ``mask_clouds``, ``show_progress``,
            and attributes of :class:`s2match.Settings`.

    Returns:
        The result, the files that were written, the reason, and the agreement before and after.

    Raises:
        S2MatchError: An image, an output or an option cannot be used; see :mod:`s2match.errors`.

    Examples:
        >>> import s2match
        >>> done = s2match.coregister(
        ...     "dataset/sample/SYNTHETIC-B_20240510T103621_TCI.jp2",
        ...     "dataset/sample/SYNTHETIC-B_20220829T103641_TCI.jp2",
        ...     "corrected.tif",
        ...     confidence=0.5, image_size=(512, 512),
        ... )
        >>> [path.name for path in done.files]
        ['corrected.tif']
        >>> done.decision.reason
        'the corrected image agrees better with the reference'
    """
    request = CorrectionRequest(Path(out), as_paths(apply_to), resampling, overwrite, force)
    # the weights are loaded once for the pair and for its corrected target
    load_matcher = cache(create_matcher)
    with as_files(reference, target) as files:
        _, scene = open_pair(*files, settings_with(settings, options).bands)
        request = with_product_files(request, scene)
        inputs = (*files, *request.siblings, *as_paths(options.get("mask", ())))
        check_outputs_apart(request.outputs, local_files(map(image_path, inputs)))
        for path in request.outputs:
            check_writable(path)
        check_request(request, scene)
        stages = (*MATCHING_STAGES, *correction_stages(request))
        with progress_bar(stages, options.get("show_progress", False)) as progress:
            result = match_with(files, settings, options, load_matcher, progress)
            outcome = correct_and_evaluate(result, request, load_matcher, progress)
    kept = request.outputs if outcome.decision.kept else ()
    return Coregistration(result, outcome.decision, kept, outcome.improvement)


@overload
def warp(
    array: NDArray[Any],
    registration: PairResult | SavedModel | Registration,
    resampling: str = CUBIC,
    *,
    force: bool = False,
) -> "np.ma.MaskedArray[Any, Any]": ...


@overload
def warp(
    array: "DataArray", registration: PairResult | SavedModel, resampling: str = CUBIC, *, force: bool = False
) -> "DataArray": ...


def warp(
    array: "NDArray[Any] | DataArray",
    registration: PairResult | SavedModel | Registration,
    resampling: str = CUBIC,
    *,
    force: bool = False,
) -> "np.ma.MaskedArray[Any, Any] | DataArray":
    """Resample an array in pixels of the target onto the pixels of the reference.

    Each pixel is resampled once, and pixels without data do not contribute to others. A pair whose verdict is not
    *register* needs no correction, and is an error: the array would be moved by the noise of the model. Whether the
    result agrees better with the reference is not measured; :func:`coregister` does that.

    Args:
        array: Values on the pixels of the target's file, or on other pixels with its footprint, such as a band of
            another pixel size: a NumPy array (H×W, H×W×B or B×H×W; bands are the shorter axis), or a DataArray ((y, x)
            or (band, y, x)). Masked values, NaN and the nodata value of a DataArray are pixels without data.
        registration: The result of a pair, or its model from :func:`s2match.read_model`. Or a Registration; the array
            must then have the matched size of the target.
        resampling: ``"nearest"``, ``"bilinear"``, ``"cubic"`` or ``"lanczos"``.
        force: Resample the array even if the verdict of the pair is not *register*. A Registration has no verdict, and
            needs no force.

    Returns:
        A masked array for a NumPy array, with the same order of axes, masked where the target has no data. A DataArray
        for a DataArray, on the reference's grid, with its nodata value, or NaN, where the target has no data. The
        result has the extent of the reference, in the pixel size of ``array``. With a Registration it has the size of
        ``array``.

    Raises:
        NotCorrectedError: The verdict of the pair is not *register*.
        CorrectionError: There is no registration, or the array does not have the proportions of the target's file.
        OptionError: The resampling is unknown.
        UnreadableImageError: The array is not an image.

    Examples:
        >>> import rasterio, s2match
        >>> reference = "dataset/sample/SYNTHETIC-B_20240510T103621_TCI.jp2"
        >>> target = "dataset/sample/SYNTHETIC-B_20220829T103641_TCI.jp2"
        >>> result = s2match.match(reference, target, confidence=0.5, image_size=(512, 512))
        >>> bands = rasterio.open(target).read()
        >>> warped = s2match.warp(bands, result)
        >>> warped.shape == rasterio.open(reference).read().shape
        True
    """
    check_resampling(resampling)
    if not isinstance(registration, Registration) and not force:
        _require_displaced(registration)
    bands, valid, axis = bands_of(array)
    pixel_map = _pixel_map(registration, (bands.shape[2], bands.shape[1]))
    values, valid = resample_bands(bands, valid, pixel_map, NEAREST if bands.dtype == np.bool_ else resampling)
    if not isinstance(array, np.ndarray):
        return dataarray_like(array, values, valid, pixel_map.output.grid)
    masked: np.ma.MaskedArray[Any, Any] = np.ma.masked_array(values, ~valid)
    return masked[0] if axis is None else np.ma.asanyarray(np.moveaxis(masked, 0, axis))


def series(  # noqa: PLR0913
    source: str | Path,
    settings: Settings | None = None,
    *,
    pattern: str | None = None,
    pairs: str = PairMode.NETWORK,
    partners: int = 4,
    datum: str = Datum.MEAN,
    reference: int | None = None,
    workers: int = 0,
    scheduler: str | None = None,
    folder: str | Path | None = None,
    **options: Unpack[MatchOptions],
) -> "SeriesResult":
    """Match the images of a series with each other, and place every date by all the others.

    Options have the names and defaults of the command ``s2match series``. There are more than five parameters because
    each is an option.

    Args:
        source: Folder of images, CSV of images (column ``path``), or CSV of pairs (columns ``reference`` and
            ``target``); docs/series.md explains them.
        settings: How each pair is matched, as one value; None for the defaults.
        pattern: Names of the images in the folder, such as ``"NDVI_*.tif"``.
        pairs: ``"network"``, ``"consecutive"`` or ``"reference"``.
        partners: Partners that each image of a network chooses.
        datum: What the shifts are relative to: ``"mean"``, ``"reference"`` or ``"georeference"``.
        reference: Index of the reference image; None: of the clearest ones, that whose pairs have most inliers; for
            pairs with the reference, the one with the largest clear share.
        workers: Processes with one thread each; 0 for this process.
        scheduler: Address of the scheduler of a Dask cluster.
        folder: Folder where finished pairs are kept, to go on after an interruption; None for none.
        **options: Options of :func:`match`: ``preset``, ``mask``, ``mask_values``, ``mask_clouds``, ``show_progress``,
            and attributes of :class:`s2match.Settings`.

    Returns:
        The shifts of all images with their covariance, the pairs, and closures.

    Raises:
        S2MatchError: The images or an option cannot be used; see :mod:`s2match.errors`. An image or a pair that fails
            is no error.

    Examples:
        >>> import s2match
        >>> result = s2match.series("dataset/sample", pattern="SYNTHETIC-A_*.jp2", image_size=(256, 256))
        >>> len(result.dates)
        5
    """
    from s2match.timeseries.executor import Execution
    from s2match.timeseries.options import SeriesOptions
    from s2match.timeseries.run import SERIES_STAGES, run_series
    from s2match.timeseries.sources import read_source

    for name, value, choices in (("pairs", pairs, PairMode), ("datum", datum, Datum)):
        if value not in [str(choice) for choice in choices]:
            raise OptionError(f"Unknown {name} {value!r}: choose {', '.join(choices)}.")
    masking = masking_of(
        as_paths(options.get("mask", ())), options.get("mask_values"), options.get("mask_clouds", False)
    )
    of_pair = settings_with(settings, options)
    series_options = SeriesOptions(of_pair, masking, PairMode(pairs), partners, Datum(datum), reference)
    execution = Execution(workers, scheduler)
    shown = progress_bar(SERIES_STAGES, options.get("show_progress", False))
    with tempfile.TemporaryDirectory() as temporary, shown as progress:
        return run_series(
            read_source(source, pattern, of_pair.bands),
            series_options,
            execution,
            Path(temporary) / "pairs" if folder is None else Path(folder),
            progress=progress,
        )


def show_versions() -> None:
    """Print the versions that a report of a problem needs: s2match, Python, the platform and the libraries.

    Examples:
        >>> import s2match
        >>> s2match.show_versions()  # doctest: +ELLIPSIS
        s2match        ...
    """
    rows = versions(_PACKAGES) | {"platform": platform.platform()}
    print("\n".join(f"{name:<15}{text}" for name, text in rows.items()))


def match_with(
    files: tuple[str | Path, str | Path],
    settings: Settings | None,
    options: MatchOptions,
    load_matcher: LoadMatcher | None = None,
    progress: Progress | None = None,
) -> PairResult:
    """Match two files with the arguments of :func:`match` and a matcher.

    Args:
        files: Reference and target.
        settings: As in :func:`match`.
        options: The other arguments of :func:`match`.
        load_matcher: See :func:`s2match.pipeline.match_scenes`.
        progress: Is told the stages; None for a bar of its own, if ``show_progress`` is set.

    Raises:
        S2MatchError: An image, a mask or an option cannot be used.
    """
    chosen = settings_with(settings, options)
    masking = masking_of(
        as_paths(options.get("mask", ())), options.get("mask_values"), options.get("mask_clouds", False)
    )
    shown = progress_bar(MATCHING_STAGES, options.get("show_progress", False))
    with shown if progress is None else nullcontext(progress) as told:
        return match_scenes(*open_pair(*files, chosen.bands), chosen, told, masking, load_matcher)


def settings_with(settings: Settings | None, options: MatchOptions) -> Settings:
    """The settings that result from the arguments of :func:`match`.

    Raises:
        TypeError: An option does not exist.
        OptionError: A value is out of range, or there are both settings and a preset.
    """
    choices = {name: value for name, value in options.items() if name not in _NOT_SETTINGS}
    return _settings(settings, options.get("preset"), cast(Choices, choices))


def _settings(settings: Settings | None, preset: str | None, choices: Choices) -> Settings:
    """The settings that result from the arguments of :func:`match`.

    Raises:
        TypeError: A choice is not an attribute of :class:`Settings`.
        OptionError: A value is out of range, or there are both settings and a preset.
    """
    for name in choices:
        if name not in Choices.__annotations__:
            hint = f": write {_COMMAND_NAMES[name]}" if name in _COMMAND_NAMES else ""
            raise TypeError(f"match() has no option {name!r}{hint}")
    if preset is None:
        return (settings or Settings()).but(**choices)
    if settings is not None:
        raise OptionError("Give settings or a preset: s2match.Settings.preset makes settings of one.")
    return Settings.preset(preset, **choices)


def _require_displaced(result: PairResult | SavedModel) -> None:
    """Refuse a registered pair.

    Raises:
        NotCorrectedError: There is a registration, but the verdict is not *register*.
    """
    if isinstance(result, PairResult) and result.registration is None:
        return
    decision = result.verdict if isinstance(result, SavedModel) else result.verdict.decision
    if decision is not Decision.REGISTER:
        raise NotCorrectedError(f'The verdict of the pair is "{decision}": force=True warps the array anyway.')


def as_paths(paths: Paths) -> tuple[ImagePath, ...]:
    """One path or several as paths or URLs."""
    return (image_path(paths),) if isinstance(paths, str | ImagePath) else tuple(map(image_path, paths))


def _pixel_map(registration: PairResult | SavedModel | Registration, size: tuple[int, int]) -> PixelMap:
    """The map from pixels of the reference to pixels of an array of a size, (width, height)."""
    if isinstance(registration, Registration):
        grid = Grid(size, None, None, size, Scene(Path("array"), None, None))
        model = file_model_of(grid, grid, registration)
        return PixelMap(model, grid, output_grid(model))
    if registration.file_model is None:
        raise CorrectionError("Nothing can be warped without a registration.")
    model = registration.file_model
    target = model.target
    if size == target.size:
        return PixelMap(model, target, output_grid(model))
    (width, height), (whole_width, whole_height) = size, target.size
    if abs(width - height * whole_width / whole_height) > max(_SAME_SIDE_PX, whole_width / whole_height):
        raise CorrectionError(
            f"The array has {width} x {height} px and the target's file {whole_width} x {whole_height} px: they do not "
            "show the same ground."
        )
    source = target.resized(size)
    return PixelMap(model, source, output_grid(model, source))
