"""Files that describe a model for other programs: its displacement, and ground control points."""

from dataclasses import dataclass
from pathlib import Path

from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath
from s2match.correction import displacement, gcps
from s2match.correction.request import source_of
from s2match.correction.saved_model import SavedModel, saved_model_of
from s2match.io.cog import check_cog
from s2match.io.sources import source_path
from s2match.registration.file_model import FileModel
from s2match.result import PairResult
from s2match.util.threads import limit_threads


@dataclass(frozen=True)
class ModelFiles:
    """Files of a model.

    Attributes:
        displacement: GeoTIFF of its displacement; None for none.
        gcps: Ground control points, in the format of the suffix; None for none.
    """

    displacement: Path | None = None
    gcps: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(path for path in (self.displacement, self.gcps) if path is not None)

    def check(self, reference: Grid, target: Grid) -> None:
        """Refuse files that cannot be written for two images, whatever their model.

        Raises:
            OutputError: A suffix is not that of a format.
            CorrectionError: An image lacks a georeference that a file needs.
        """
        if self.displacement is not None:
            check_cog(self.displacement)
            displacement.require_georeferences(reference, target)
        if self.gcps is not None:
            gcps.check_gcp_format(self.gcps)
            gcps.require_map(reference)

    @limit_threads()
    def write(self, model: FileModel, source: Grid) -> tuple[Path, ...]:
        """Write the files, and return their paths.

        Args:
            model: The model of the pair.
            source: Every pixel of the target's file, or of one with its footprint, for the control points.

        Raises:
            S2MatchError: A file cannot be read or written, see :meth:`check`.
        """
        self.check(model.reference, model.target)
        if self.displacement is not None:
            displacement.write_displacement(model, self.displacement)
        if self.gcps is not None:
            gcps.write_gcps(model, source, self.gcps)
        return self.paths


def write_displacement(model: SavedModel | PairResult, path: str | Path) -> None:
    """Write the correction of the target in metres as a GeoTIFF of two bands, east and north.

    Added to map coordinates that the target's georeference gives, the values give those of the reference. They lie on a
    grid of the reference; docs/correction.md explains it.

    Args:
        model: The model, from :func:`s2match.read_model`, or a matched pair.
        path: The file, ``.tif``.

    Raises:
        CorrectionError: There is no registration, or an image has no georeference.
        OutputError: The file cannot be written.
    """
    files, saved = ModelFiles(displacement=Path(path)), saved_model_of(model).file_model
    files.write(saved, saved.target)


def write_gcps(model: SavedModel | PairResult, path: str | Path, source: str | ImagePath | None = None) -> None:
    """Write ground control points of the target, on a regular grid, in the CRS of the reference.

    Args:
        model: The model, from :func:`s2match.read_model`, or a matched pair.
        path: The file: ``.tif`` has the pixels of ``source`` with the points; ``.points`` is for QGIS' georeferencer;
            ``.sh`` and ``.txt`` contain commands of GDAL.
        source: The target's file, or one with its footprint; None for the target, where it was matched.

    Raises:
        CorrectionError: There is no registration, the reference has no georeference, or ``source`` does not have the
            target's footprint.
        OutputError: The file cannot be written.
        UnreadableImageError: The pixels cannot be read.
    """
    files, saved = ModelFiles(gcps=Path(path)), saved_model_of(model)
    target = saved.file_model.target
    grid = target if source is None else source_of(source_path(source), saved.file_model, saved.options)
    files.write(saved.file_model, grid)
