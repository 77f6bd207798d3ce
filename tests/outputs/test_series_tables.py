"""Tables, JSON and STAC Items of a series: one column for each attribute, no "nan", geometries in degrees."""

import csv
import json
import math
import re
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from series_results import CLOUD, renamed, series_result

from s2match.core.mask import Mask, Masking
from s2match.errors import OutputError
from s2match.outputs.series.columns import COLUMNS
from s2match.outputs.series.facts import series_facts, write_series_json
from s2match.outputs.series.footprints import bounds_of, footprint_of
from s2match.outputs.series.stac import write_stac
from s2match.outputs.series.tables import write_dates, write_pairs
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.quick_looks import QuickLook
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateRow, DateStatus, PairRow


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def at_antimeridian(result: SeriesResult) -> SeriesResult:
    """The first image lies on the 180th meridian, in UTM zone 1."""
    look = result.quick_looks[0]
    assert isinstance(look, QuickLook)
    transform = Affine(10, 0, 330_000, 0, -10, 7_500_000)
    grid = replace(look.grid, transform=transform, crs=CRS.from_epsg(32601))
    return replace(result, quick_looks=(replace(look, grid=grid), *result.quick_looks[1:]))


@pytest.mark.parametrize(("table", "row"), [("dates", DateRow), ("pairs", PairRow)])
def test_every_attribute_is_a_column_with_a_meaning(table: str, row: type) -> None:
    columns = COLUMNS[table]
    assert list(columns) == [field.name for field in fields(row)]
    assert all(len(column.meaning) > 10 and "\n" not in column.meaning for column in columns.values())
    assert all(column.unit for name, column in columns.items() if name.endswith(("_m", "_px")))


def test_csv_holds_the_rows_and_empty_cells(tmp_path: Path) -> None:
    result = series_result()
    write_dates(result, tmp_path / "dates.csv")
    write_pairs(result, tmp_path / "pairs.csv")
    dates, pairs = read(tmp_path / "dates.csv"), read(tmp_path / "pairs.csv")
    assert len(dates) == 24 and len(pairs) == 80
    placed, hidden, pair = result.dates[0], dates[3], result.pairs[0]
    assert placed.dx_m is not None and pair.dx_m is not None
    assert float(dates[0]["dx_m"]) == pytest.approx(placed.dx_m, rel=1e-5)
    assert dates[0]["platform"] == "S2B" and dates[0]["processing_baseline"] == "02.06"
    assert dates[0]["verdict"] == "register" and hidden["verdict"] == ""
    assert hidden["status"] == "not_seen" and hidden["reason"] == CLOUD and hidden["dx_m"] == ""
    assert float(pairs[0]["dx_m"]) == pytest.approx(pair.dx_m, rel=1e-5)
    assert {row["same_orbit"] for row in pairs} == {"true", "false"}
    for path in tmp_path.iterdir():
        assert not re.search(r"\b(nan|None|NaN|NaT|<NA>)\b", path.read_text(encoding="utf-8"))


def test_a_name_with_commas_and_line_ends_is_one_cell(tmp_path: Path) -> None:
    name = 'a,"b"\nc.tif'
    write_dates(renamed(series_result(), name), tmp_path / "dates.csv")
    assert read(tmp_path / "dates.csv")[0]["file"] == name


def test_numbers_that_are_not_finite_are_empty(tmp_path: Path) -> None:
    result = series_result()
    dates = replace(result.dates[0], dx_m=math.nan, dy_m=math.inf), *result.dates[1:]
    write_dates(replace(result, dates=dates), tmp_path / "dates.csv")
    row = read(tmp_path / "dates.csv")[0]
    assert row["dx_m"] == row["dy_m"] == ""


def test_geoparquet_has_types_and_places(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    result = series_result()
    write_dates(result, tmp_path / "dates.parquet")
    write_pairs(result, tmp_path / "pairs.parquet")
    dates, pairs = (geopandas.read_parquet(tmp_path / f"{name}.parquet") for name in ("dates", "pairs"))
    assert dates.crs.to_epsg() == pairs.crs.to_epsg() == 4326
    assert list(dates.columns) == [*COLUMNS["dates"], "geometry"]
    assert str(dates["relative_orbit"].dtype) == "Int64" and str(dates["dx_m"].dtype) == "Float64"
    assert dates["dx_m"].isna().tolist() == [row.dx_m is None for row in result.dates]
    # 109.8 km, on the corner of UTM zone 36 at 600 km east
    square = dates.geometry.iloc[0]
    utm = dates.geometry.iloc[[0]].to_crs(32636).iloc[0]
    assert square.contains(shapely.Point(35.2, 50.0)) and utm.area == pytest.approx(109_800**2, rel=1e-4)
    # the image that cannot be read has no footprint
    assert dates.geometry.isna().tolist() == [row.status is DateStatus.UNREADABLE for row in result.dates]
    lines = pairs.geometry
    assert set(lines.geom_type) == {"LineString"}
    across = pairs[pairs["overlap"] < 1].geometry.to_crs(32636).length
    assert across.to_numpy() == pytest.approx(90_000, rel=1e-4)


def test_images_without_georeference_have_tables_too(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    result = series_result(unit="px")
    write_dates(result, tmp_path / "dates.parquet")
    table = geopandas.read_parquet(tmp_path / "dates.parquet")
    assert table.geometry.isna().all() and table["dx_m"].isna().all()
    assert table["dx_px"].notna().sum() == 19


def test_series_without_images_and_pairs(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    empty = replace(series_result(), dates=(), pairs=(), images=(), quick_looks=())
    for suffix in ("csv", "parquet"):
        write_dates(empty, tmp_path / f"dates.{suffix}")
    assert (tmp_path / "dates.csv").read_text(encoding="utf-8") == ",".join(COLUMNS["dates"]) + "\n"
    assert len(geopandas.read_parquet(tmp_path / "dates.parquet")) == 0


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    for write in (write_dates, write_pairs):
        with pytest.raises(OutputError, match=r"must be one of \.csv, \.parquet"):
            write(series_result(), tmp_path / "table.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_footprint_is_cut_at_the_180th_meridian() -> None:
    result = at_antimeridian(series_result())
    footprint = footprint_of(result, 0)
    assert footprint is not None and footprint.geom_type == "MultiPolygon" and footprint.is_valid
    west, south, east, north = bounds_of(footprint)
    assert west > 170 and east < -170 and south < north
    longitudes = shapely.get_coordinates(footprint)[:, 0]
    assert (np.abs(longitudes) <= 180).all()


def test_json_holds_what_was_counted(tmp_path: Path) -> None:
    result = series_result()
    masking = Masking((Mask(Path("clouds.tif")),), clouds=True)
    result = replace(result, options=SeriesOptions(masking=masking, reference=2))
    write_series_json(result, tmp_path / "series.json")
    text = (tmp_path / "series.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert content == json.loads(json.dumps(series_facts(result)))
    assert content["images"] == {"total": 24, "placed": 19, "separate": 2, "not_seen": 2, "unreadable": 1}
    assert content["pairs"] == {
        "planned": 80, "measured": 61, "kept": 56, "rejected": 5, "no_evidence": 19, "failed": 0,
    }  # fmt: skip
    assert content["verdicts"]["register"] == 19 and sum(content["verdicts"].values()) == 19
    assert content["dates"][0]["verdict"] == "register" and content["dates"][3]["verdict"] is None
    assert content["closure"]["triangles"] == 240
    assert content["closure"]["median"] == pytest.approx(np.median(result.closure.lengths))
    assert content["closure"]["p90"] == pytest.approx(np.quantile(result.closure.lengths, 0.9))
    kept = [row.left_out_m for row in result.pairs if row.status == "kept"]
    assert content["left_out"]["pairs"] == len(kept) and content["left_out"]["largest"] == pytest.approx(max(kept))
    placed = np.array([[row.dx_m, row.dy_m] for row in result.dates if row.status is DateStatus.PLACED])
    spread = content["placement"]["standard_deviation_east"], content["placement"]["standard_deviation_north"]
    assert spread == pytest.approx(placed.std(axis=0, ddof=1))
    # variances of 0.25 and 0.36 m²
    assert content["placement"]["median_standard_error"] == pytest.approx(0.55)
    assert content["variance_factor"] == 1.13 and content["datum"] == "mean" and content["unit"] == "m"
    assert content["settings"]["masks"] == ["clouds.tif"] and content["settings"]["mask_clouds"] is True
    assert content["settings"]["confidence"] == 0.8 and content["settings"]["reference"] == 2
    assert content["group_terms"][0]["east_m"] == 1.2 and content["group_terms"][0]["north_std_m"] == 0.5
    assert content["dates"][3]["status"] == "not_seen" and content["dates"][3]["dx_m"] is None
    assert "NaN" not in text and "Infinity" not in text


def test_json_of_a_series_without_a_measured_pair() -> None:
    facts = series_facts(series_result(measured=False))
    assert facts["variance_factor"] is None and facts["closure"]["median"] is None
    assert facts["placement"]["median_standard_error"] is None
    json.dumps(facts, allow_nan=False)


def test_equal_results_have_equal_facts() -> None:
    assert series_facts(series_result()) == series_facts(replace(series_result(), seconds=1.0))


def items(result: SeriesResult, folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in write_stac(result, folder)]


def test_stac_items_of_the_placed_images(tmp_path: Path) -> None:
    result = series_result()
    written = items(result, tmp_path / "stac")
    placed = [row for row in result.dates if row.status is DateStatus.PLACED]
    assert len(written) == len(placed) == len(list((tmp_path / "stac").iterdir()))
    assert len({item["id"] for item in written}) == len(written)
    for item, row in zip(written, placed, strict=True):
        properties = item["properties"]
        assert item["type"] == "Feature" and item["stac_version"] == "1.1.0" and item["links"] == []
        geometry = shapely.geometry.shape(item["geometry"])
        assert geometry.is_valid and geometry.exterior.is_ccw
        assert item["bbox"] == pytest.approx(geometry.bounds, abs=1e-6)
        assert datetime.fromisoformat(properties["datetime"]).date().isoformat() == row.date
        bias = properties["accuracy:geometric_x_bias"], properties["accuracy:geometric_y_bias"]
        std = properties["accuracy:geometric_x_stddev"], properties["accuracy:geometric_y_stddev"]
        assert bias == pytest.approx((row.dx_m, row.dy_m), rel=1e-5) and std == (0.5, 0.6)
        rmse = math.sqrt(sum(value**2 for value in (*bias, *std)))
        assert properties["processing:lineage"].endswith("Verdict: register.")
        assert properties["accuracy:geometric_rmse"] == pytest.approx(rmse, rel=1e-5)
        assert properties["platform"] in ("sentinel-2a", "sentinel-2b") and properties["processing:version"] == "02.06"
        assert properties["sat:relative_orbit"] in (64, 107)
        assert any("/accuracy/v1.0.0-beta.1/" in extension for extension in item["stac_extensions"])
        (asset,) = item["assets"].values()
        assert asset["href"].startswith("file://") and asset["type"] == "image/jp2"


def test_a_stac_item_names_no_extension_that_it_does_not_use(tmp_path: Path) -> None:
    result = series_result()
    image = replace(result.images[0], platform=None, relative_orbit=None, baseline=None)
    row = replace(result.dates[0], dx_std_m=None)
    item = items(
        replace(result, images=(image, *result.images[1:]), dates=(row, *result.dates[1:])), tmp_path / "stac"
    )[0]
    prefixes = {name.partition(":")[0] for name in item["properties"] if ":" in name}
    assert prefixes == {"processing"} and len(item["stac_extensions"]) == 1


def test_images_without_date_or_place_have_no_stac_item(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(items(renamed(series_result(), "x.tif"), tmp_path / "undated")) == 18
    assert "x.tif has no STAC Item" in caplog.text
    assert items(series_result(unit="px"), tmp_path / "nowhere") == []


def test_stac_bounds_across_the_180th_meridian(tmp_path: Path) -> None:
    item = items(at_antimeridian(series_result()), tmp_path / "stac")[0]
    assert item["geometry"]["type"] == "MultiPolygon" and item["bbox"][0] > item["bbox"][2]


def test_stac_where_no_folder_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="Cannot write"):
        write_stac(series_result(), tmp_path / "file")
