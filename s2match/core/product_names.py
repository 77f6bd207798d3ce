"""What the names of Sentinel-2 products, granules and files say: platform, tile, sensing time, orbit, baseline.

The names are those of ESA's product definition, the compact one since 2016 and the one before:
https://sentiwiki.copernicus.eu/web/s2-products.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

# Word of a user for the other files of the target's product.
PRODUCT = "product"

# A product since December 2016, such as S2A_MSIL1C_20180820T083601_N0206_R064_T36UXA_20180820T104205.
_COMPACT = re.compile(
    r"(?P<platform>S2[A-D])_MSI(?:L1C|L2A)_(?P<sensed>\d{8}T\d{6})_N(?P<baseline>\d{4})_R(?P<orbit>\d{3})_T(?P<tile>\d{2}[A-Z]{3})"
)

# A product before, such as S2A_OPER_PRD_MSIL1C_PDMC_20160606T232310_R094_V20160605T105627_20160605T105627, of one or
# more tiles, which only its granules name.
_LONG = re.compile(
    r"(?P<platform>S2[A-D])_(?:OPER|USER)_PRD_MSIL(?:1C|2A)_\w+_R(?P<orbit>\d{3})_V(?P<sensed>\d{8}T\d{6})_"
)

# A granule or a file of such a product, such as S2A_OPER_MSI_L1C_TL_EPA__20160605T113933_A000734_T31TCJ_N02.02. Its
# time is that of the processing.
_GRANULE = re.compile(
    r"(?P<platform>S2[A-D])_(?:OPER|USER)_[A-Z]{3}_L(?:1C|2A)_TL_.*_T(?P<tile>\d{2}[A-Z]{3})(?=[_.]|$)"
    r"(?:_N(?P<baseline>\d{2}\.\d{2}))?"
)


@dataclass(frozen=True)
class ProductNames:
    """What names of a product and of its folders and files say, or a catalogue; None where nothing says it.

    Attributes:
        platform: ``"S2A"`` and so on.
        tile: Such as ``"T36UXA"``.
        sensed: Sensing time (UTC).
        relative_orbit: 1 to 143.
        baseline: Processing baseline, such as ``"02.06"``.
    """

    platform: str | None
    tile: str | None = None
    sensed: datetime | None = None
    relative_orbit: int | None = None
    baseline: str | None = None


def product_names(parts: Sequence[str]) -> ProductNames | None:
    """What the names of the folders above a file, and of the file, say; None if none follows ESA's patterns.

    Args:
        parts: The names, the file last.
    """
    compact = _last_match(_COMPACT, parts)
    if compact is not None:
        baseline = f"{compact['baseline'][:2]}.{compact['baseline'][2:]}"
        sensed = _time(compact["sensed"])
        return ProductNames(compact["platform"], f"T{compact['tile']}", sensed, int(compact["orbit"]), baseline)
    product, granule = _last_match(_LONG, parts), _last_match(_GRANULE, parts)
    named = product or granule
    if named is None:
        return None
    baselines = [match["baseline"] for part in parts if (match := _GRANULE.search(part)) and match["baseline"]]
    return ProductNames(
        named["platform"],
        None if granule is None else f"T{granule['tile']}",
        None if product is None else _time(product["sensed"]),
        None if product is None else int(product["orbit"]),
        baselines[-1] if baselines else None,
    )


def _last_match(pattern: re.Pattern[str], parts: Sequence[str]) -> re.Match[str] | None:
    return next((match for part in reversed(parts) if (match := pattern.search(part))), None)


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%S")
    except ValueError:
        return None
