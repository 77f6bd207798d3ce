"""Files that describe a model for other programs: its displacement, and ground control points."""

from dataclasses import dataclass
from pathlib import Path

from s2match.core.grid import Grid
from s2match.correction.displacement import require_georeferences, write_displacement
from s2match.correction.gcps import check_gcp_format, require_map, write_gcps
from s2match.io.cog import check_cog
from s2match.registration.file_model import FileModel
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
            require_georeferences(reference, target)
        if self.gcps is not None:
            check_gcp_format(self.gcps)
            require_map(reference)

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
            write_displacement(model, self.displacement)
        if self.gcps is not None:
            write_gcps(model, source, self.gcps)
        return self.paths
