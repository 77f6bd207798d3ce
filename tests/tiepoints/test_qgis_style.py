"""A GeoPackage of tie points opens in QGIS with colours by residual and arrows along the shift."""

import re
import sqlite3
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pytest
from pairs import shifted_pair

from s2match.tiepoints.formats import read_tie_points, write_tie_points
from s2match.tiepoints.points import TiePoints, tie_points_of
from s2match.tiepoints.qgis_style import qgis_style


def renderer(style: str) -> ElementTree.Element:
    found = ElementTree.fromstring(style).find("renderer-v2")
    assert found is not None and found.get("type") == "RuleRenderer"
    return found


def test_the_geopackage_has_a_default_style(tmp_path: Path) -> None:
    """In the table and by the columns that QGIS reads; equal runs write equal files, and the points are read again."""
    points = tie_points_of(shifted_pair())
    paths = tmp_path / "a.gpkg", tmp_path / "b.gpkg"
    for path in paths:
        write_tie_points(points, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with sqlite3.connect(paths[0]) as file:
        (layer,) = file.execute("SELECT table_name, column_name FROM gpkg_geometry_columns")
        (style,) = file.execute(
            "SELECT styleQML FROM layer_styles WHERE f_table_schema = '' AND f_table_name = ? "
            "AND f_geometry_column = ? AND useAsDefault",
            layer,
        )
        kinds = dict(file.execute("SELECT table_name, data_type FROM gpkg_contents"))
    assert layer == ("tie_points", "geom")
    # a layer that is not in the contents is one that QGIS does not see
    assert kinds == {"tie_points": "features", "layer_styles": "attributes"}
    assert style[0].startswith("<!DOCTYPE qgis") and len(renderer(style[0])) == 2
    assert len(read_tie_points(paths[0], points.reference, points.target)) == len(points)
    assert len(geopandas.read_file(paths[0], layer="tie_points")) == len(points)


def test_each_point_is_drawn_by_one_rule() -> None:
    """By its residual, or as an outlier; each rule has its symbol."""
    points = tie_points_of(shifted_pair())
    rules = renderer(qgis_style(points)).findall("rules/rule")
    symbols = {symbol.get("name") for symbol in renderer(qgis_style(points)).findall("symbols/symbol")}
    assert {rule.get("symbol") for rule in rules} == symbols and len(symbols) == len(rules) == 7
    table = shifted_pair().to_geodataframe()
    expressions = [str(rule.get("filter")) for rule in rules]
    assert expressions.pop() == "ELSE"
    drawn = np.zeros(len(table), int)
    for expression in expressions:
        # the expression of QGIS as one of pandas
        text = re.sub(r'"(\w+)"', r"\1", expression).replace(" = ", " == ").replace("AND", "and")
        drawn += table.eval(text).to_numpy(dtype=bool)
    assert (drawn == 1).all()


@pytest.mark.parametrize("georeferenced", [True, False])
def test_arrows_lead_along_the_shift(georeferenced: bool) -> None:
    """From the point of the target to where it belongs, enlarged: 2 px left and 1 px down, of 10 m on a map."""
    points = tie_points_of(shifted_pair(shift=(2.0, -1.0), georeferenced=georeferenced))
    symbol = renderer(qgis_style(points)).find("symbols/symbol")
    assert symbol is not None
    layers = [layer.get("class") for layer in symbol.findall("layer")]
    assert layers == ["GeometryGenerator", "SimpleMarker"]
    (expression,) = (prop.get("v") for prop in symbol.findall("layer/prop") if prop.get("k") == "geometryModifier")
    numbers = re.findall(r'(-?[\d.]+) \* "(\w)_SHIFT_PX"', str(expression))
    x, y = ({axis: float(number) for number, axis in part} for part in (numbers[:2], numbers[2:]))
    east, north = (part["X"] * -2.0 + part["Y"] * 1.0 for part in (x, y))
    scale = 10.0 if georeferenced else 1.0
    enlarged = float(re.findall(r"arrows: ([\d.]+) times", qgis_style(points))[0])
    assert (east, north) == pytest.approx((-2 * scale * enlarged, -1 * scale * enlarged))
    assert enlarged >= 1 and 3 < enlarged * np.hypot(2, 1) < 20


def test_points_without_a_shift_have_no_arrow() -> None:
    points = tie_points_of(shifted_pair())
    still = TiePoints(points.reference, points.target, points.xy0_px, points.xy0_px, points.confidence)
    assert "GeometryGenerator" not in qgis_style(still)
