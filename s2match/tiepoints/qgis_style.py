"""Style of tie points in QGIS: colours by residual, and arrows along the shift.

QGIS reads the default style of a layer of a GeoPackage from the table ``layer_styles``, in its own format, QML.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from s2match.tiepoints.points import TiePoints
from s2match.util.optional import import_optional

if TYPE_CHECKING:
    from pandas import DataFrame

STYLE_NAME = "shift and residual"

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"

# The longest arrows are this fraction of the longer side of the points' extent; longer shifts are the last 5 %.
_ARROW_FRACTION, _LONG_QUANTILE = 0.04, 0.95

# Shorter shifts are rounding errors of the table.
_SHORTEST_PX = 1e-3

# Upper limits of the classes of residuals in pixels, and their colours from dark blue to yellow (viridis).
_LIMITS_PX = (0.1, 0.25, 0.5, 1.0)
_COLOURS = ("68,1,84,255", "59,82,139,255", "33,145,140,255", "94,201,98,255", "253,231,37,255")
_OUTLIER_COLOUR, _UNKNOWN_COLOUR = "213,94,0,255", "110,110,110,255"


@dataclass(frozen=True)
class _Rule:
    """Points that are drawn alike.

    Attributes:
        label: Text of the legend.
        filter: Expression of the points; ``ELSE`` for those of no other rule.
        colour: Red, green, blue and alpha, 0 to 255.
        shape: Name of the marker.
        arrow: Expression of the line from a point to where it belongs; None for no arrow.
    """

    label: str
    filter: str
    colour: str
    shape: str = "circle"
    arrow: str | None = None


def style_table(points: TiePoints, layer: str, geometry: str) -> "DataFrame":
    """The table ``layer_styles`` of a GeoPackage, with the default style of its layer of tie points.

    The columns are those that QGIS writes: https://github.com/qgis/QGIS, qgsogrproviderutils.cpp.

    Args:
        points: The tie points.
        layer: Name of their layer.
        geometry: Name of its column of geometries.
    """
    pandas = import_optional("pandas", "Tie points in this format", "requirements.txt")
    row = {
        "f_table_catalog": "",
        "f_table_schema": "",
        "f_table_name": layer,
        "f_geometry_column": geometry,
        "styleName": STYLE_NAME,
        "styleQML": qgis_style(points),
        "styleSLD": "",
        "useAsDefault": True,
        "description": "Colours by residual, arrows along the shift. Written by s2match",
        "owner": "",
        "ui": "",
        # a fixed time, so that equal runs write equal files
        "update_time": pandas.Timestamp(0, tz="UTC"),
    }
    table: DataFrame = pandas.DataFrame([row])
    return table


def qgis_style(points: TiePoints) -> str:
    """QML document of the style of a layer of tie points.

    An arrow leads from a point of the target to where it belongs according to the reference, enlarged. Outliers are
    crosses without an arrow.

    Args:
        points: The tie points, whose shifts decide how much the arrows are enlarged.
    """
    enlarged = _enlargement(points)
    arrow = None if enlarged is None else _arrow_expression(points, enlarged)
    scale = "" if enlarged is None else f"; arrows: {enlarged:g} times the shift"
    rules = []
    for low, high, colour in zip((None, *_LIMITS_PX), (*_LIMITS_PX, None), _COLOURS, strict=True):
        bounds = [
            *([] if low is None else [f'"RESIDUAL_PX" >= {low:g}']),
            *([] if high is None else [f'"RESIDUAL_PX" < {high:g}']),
        ]
        span = f"below {high:g}" if low is None else f"from {low:g}" if high is None else f"{low:g} to {high:g}"
        rules.append(_Rule(f"residual {span} px{scale}", " AND ".join(['"OUTLIER" = 0', *bounds]), colour, arrow=arrow))
    rules.append(_Rule("outlier", '"OUTLIER" = 1', _OUTLIER_COLOUR, "cross2"))
    rules.append(_Rule("no model", "ELSE", _UNKNOWN_COLOUR))
    return _document(rules)


def _enlargement(points: TiePoints) -> float | None:
    """How many times an arrow is longer than the shift, with one significant digit; None without a shift."""
    shift, outlier = points.shift_px, points.outlier
    if shift is None or not len(points):
        return None
    lengths = np.hypot(*shift[slice(None) if outlier is None or outlier.all() else ~outlier].T)
    lengths = lengths[np.isfinite(lengths)]
    long = np.quantile(lengths, _LONG_QUANTILE) if len(lengths) else 0.0
    extent = np.ptp(points.xy1_px, axis=0).max()
    if long < _SHORTEST_PX or extent == 0:
        return None
    return float(f"{max(1.0, _ARROW_FRACTION * extent / long):.0e}")


def _arrow_expression(points: TiePoints, enlarged: float) -> str:
    """Expression of QGIS: the line along the shift in pixels, turned to map units by the transform of the file."""
    transform = points.target.transform or points.reference.transform
    a, b, d, e = (1, 0, 0, -1) if transform is None else (transform.a, transform.b, transform.d, transform.e)
    east, north = (
        f'{enlarged * right:.10g} * "X_SHIFT_PX" + {enlarged * down:.10g} * "Y_SHIFT_PX"'
        for right, down in ((a, b), (d, e))
    )
    return f"make_line($geometry, translate($geometry, {east}, {north}))"


def _document(rules: list[_Rule]) -> str:
    root = Element("qgis", version="3.22.0", styleCategories="Symbology")
    renderer = SubElement(root, "renderer-v2", type="RuleRenderer", symbollevels="0", forceraster="0")
    group = SubElement(renderer, "rules", key="{s2match}")
    symbols = SubElement(renderer, "symbols")
    for number, rule in enumerate(rules):
        name = str(number)
        attributes = {"key": f"{{s2match-{name}}}", "symbol": name, "label": rule.label, "filter": rule.filter}
        SubElement(group, "rule", attributes)
        symbol = _symbol(symbols, name, "marker")
        if rule.arrow is not None:
            _add_arrow(symbol, name, rule)
        _layer(
            symbol,
            "SimpleMarker",
            {
                "name": rule.shape,
                "color": rule.colour,
                "outline_color": rule.colour,
                "outline_style": "solid" if rule.shape == "cross2" else "no",
                "size": "1.6",
                "size_unit": "MM",
            },
        )
    indent(root, " ")
    return _DOCTYPE + tostring(root, encoding="unicode") + "\n"


def _add_arrow(symbol: Element, name: str, rule: _Rule) -> None:
    assert rule.arrow is not None
    options = {"SymbolType": "Line", "geometryModifier": rule.arrow, "units": "MapUnit"}
    generator = _layer(symbol, "GeometryGenerator", options)
    line = _layer(
        _symbol(generator, f"@{name}@0", "line"),
        "ArrowLine",
        {
            "arrow_start_width": "0.25",
            "arrow_width": "0.25",
            "head_length": "1.2",
            "head_thickness": "0.7",
            "head_type": "0",
            "arrow_type": "0",
            "is_curved": "0",
            "is_repeated": "1",
            **{f"{width}_unit": "MM" for width in ("arrow_start_width", "arrow_width", "head_length")},
            "head_thickness_unit": "MM",
        },
    )
    fill = _symbol(line, f"@@{name}@0@0", "fill")
    _layer(fill, "SimpleFill", {"color": rule.colour, "style": "solid", "outline_style": "no"})


def _symbol(parent: Element, name: str, kind: str) -> Element:
    return SubElement(parent, "symbol", name=name, type=kind, alpha="1", clip_to_extent="1", force_rhr="0")


def _layer(symbol: Element, kind: str, options: dict[str, str]) -> Element:
    """A layer of a symbol; all versions of QGIS 3 read its options as ``prop``."""
    layer = SubElement(symbol, "layer", {"class": kind, "enabled": "1", "locked": "0", "pass": "0"})
    for key, value in options.items():
        SubElement(layer, "prop", k=key, v=value)
    return layer
