"""Accessor of xarray: ``import s2match.xarray`` gives every DataArray ``.s2match.match`` and ``.s2match.register``.

Needs xarray and rioxarray, which are an extra, requirements-xarray.txt.
"""

from typing import TYPE_CHECKING, Any, Unpack

from s2match.api import MatchOptions, match, warp
from s2match.correction.request import CUBIC
from s2match.errors import CorrectionError, NotCorrectedError
from s2match.registration.verdict import Decision, in_words
from s2match.result import PairResult
from s2match.settings import Settings
from s2match.util.optional import import_optional

if TYPE_CHECKING:
    from xarray import DataArray

_xarray, _ = (import_optional(name, "DataArrays", "requirements-xarray.txt") for name in ("xarray", "rioxarray"))


class S2MatchAccessor:
    """Methods of a DataArray, which is the reference."""

    def __init__(self, array: "DataArray") -> None:
        """Keep the DataArray, (y, x) or (band, y, x)."""
        self._array = array

    def match(
        self, other: "DataArray", settings: Settings | None = None, **options: Unpack[MatchOptions]
    ) -> PairResult:
        """Match another image with this one; see :func:`s2match.match`.

        Args:
            other: The target: a DataArray, or whatever :func:`s2match.match` takes.
            settings: Options as one value; None for the defaults.
            **options: Options of :func:`s2match.match`.

        Raises:
            S2MatchError: An image or an option cannot be used.
        """
        return match(self._array, other, settings, **options)

    def register(
        self,
        other: "DataArray",
        resampling: str = CUBIC,
        settings: Settings | None = None,
        *,
        force: bool = False,
        **options: Unpack[MatchOptions],
    ) -> "DataArray":
        """Match another DataArray with this one, and return it corrected on the grid of this one.

        A pair that is registered already is not moved by the noise of a model: ``other`` is then placed on the grid by
        its georeference, or stays as it is if it lies on it. The attribute ``s2match_verdict`` says which it was.

        Args:
            other: The target, (y, x) or (band, y, x).
            resampling: ``"nearest"``, ``"bilinear"``, ``"cubic"`` or ``"lanczos"``.
            settings: Options as one value; None for the defaults.
            force: Apply the model even if the verdict is not *register*.
            **options: Options of :func:`s2match.match`.

        Returns:
            The values of ``other`` with the x and y coordinates of this DataArray. Its attributes have in addition
            ``s2match_verdict``, ``s2match_model``, and, if the shift is known, ``s2match_shift`` (two numbers: east
            and north, or right and down), ``s2match_shift_95`` (half width of the 95 % interval) and
            ``s2match_shift_unit``.

        Raises:
            CorrectionError: No model was accepted.
            NotCorrectedError: The verdict is neither *register* nor *already registered*.
            S2MatchError: An image or an option cannot be used.
        """
        result = self.match(other, settings, **options)
        if result.registration is None:
            raise CorrectionError(f"No model was accepted: {result.refusal.cause if result.refusal else 'unknown'}.")
        decision = result.verdict.decision
        if force or decision is Decision.REGISTER:
            registered = warp(other, result, resampling, force=True)
        elif decision is Decision.REGISTERED:
            registered = self._by_georeference(other, resampling)
        else:
            raise NotCorrectedError(f"The verdict is {in_words(result.verdict)}. force=True applies the model anyway.")
        return self._on_grid(registered).assign_attrs(_attributes(result))

    def _by_georeference(self, other: "DataArray", resampling: str) -> "DataArray":
        """The other DataArray on the grid of this one; itself where it lies on it."""
        mine, its = self._array.rio, other.rio
        if (mine.transform(), mine.shape, mine.crs) == (its.transform(), its.shape, its.crs):
            return other
        from rasterio.enums import Resampling

        placed: DataArray = its.reproject_match(self._array, resampling=Resampling[resampling])
        return placed

    def _on_grid(self, array: "DataArray") -> "DataArray":
        """A DataArray with the very coordinates of this one, so that xarray aligns them."""
        coordinates = {
            there: self._array[here].variable
            for here, there in zip(self._array.dims[-2:], array.dims[-2:], strict=True)
            if here in self._array.coords and self._array.sizes[here] == array.sizes[there]
        }
        return array.assign_coords(coordinates)


def _attributes(result: PairResult) -> dict[str, Any]:
    """Verdict, model and shift of a pair as attributes that netCDF and Zarr can hold."""
    verdict, shift = result.verdict, result.verdict.displacement
    attributes: dict[str, Any] = {"s2match_verdict": str(verdict.decision), "s2match_model": verdict.model}
    if shift is not None:
        attributes |= {
            "s2match_shift": list(shift.shift),
            "s2match_shift_95": shift.shift_error,
            "s2match_shift_unit": shift.unit,
        }
    return attributes


_xarray.register_dataarray_accessor("s2match")(S2MatchAccessor)
