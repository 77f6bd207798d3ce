"""Columns of the tables of a series: unit and meaning of each."""

from collections.abc import Mapping

from s2match.outputs.csv_table import Column

# A column of lengths ends in _m; images without georeference have them in another unit.
_LENGTH = "m; px or map units without metres"

DATE_COLUMNS: Mapping[str, Column] = {
    "index": Column("", "Index of the image in the series, from 0"),
    "file": Column("", "Name of the file"),
    "date": Column("YYYY-MM-DD", "Sensing date (UTC)"),
    "tile": Column("", "Sentinel-2 tile, such as T36UXA"),
    "platform": Column("", "Satellite, such as S2A"),
    "relative_orbit": Column("", "Relative orbit, 1 to 143"),
    "processing_baseline": Column("", "Processing baseline, such as 02.06"),
    "clear_share": Column(
        "", "Valid, not masked and not saturated cloud, fraction of the image; other cloud counts as clear"
    ),
    "pairs": Column("", "Number of its pairs that are kept"),
    "points": Column("", "Number of inliers in these pairs"),
    "dx_m": Column("m", "Georeferencing error to the east: where the image shows the ground, minus where it is"),
    "dy_m": Column("m", "The same to the north"),
    "dx_px": Column("px of the file", "The same to the right"),
    "dy_px": Column("px of the file", "The same down"),
    "dx_std_m": Column("m", "Standard error of dx_m"),
    "dy_std_m": Column("m", "Standard error of dy_m"),
    "dx_std_px": Column("px of the file", "Standard error of dx_px"),
    "dy_std_px": Column("px of the file", "Standard error of dy_px"),
    "dxdy_correlation": Column("", "Correlation of the errors of dx_m and dy_m, -1 to 1"),
    "residual_m": Column(_LENGTH, "Root mean square residual of its kept pairs"),
    "component": Column("", "Part of the pair graph that the image belongs to, 0 for the largest"),
    "status": Column("", "placed, separate, not_seen or unreadable"),
    "reason": Column("", "Why the image is not placed; empty if it is"),
    "verdict": Column("", "What to do with a placed image; empty for others"),
}

PAIR_COLUMNS: Mapping[str, Column] = {
    "reference": Column("", "Index of the reference"),
    "target": Column("", "Index of the target"),
    "reference_date": Column("YYYY-MM-DD", "Sensing date of the reference"),
    "target_date": Column("YYYY-MM-DD", "Sensing date of the target"),
    "days_apart": Column("days", "Days between the two dates"),
    "same_orbit": Column("", "Whether both were sensed on one relative orbit: true or false"),
    "overlap": Column("", "Fraction of the smaller footprint that both images show, 0 to 1"),
    "dx_m": Column(_LENGTH, "Shift of the target against the reference to the east; to the right in px"),
    "dy_m": Column(_LENGTH, "The same to the north; down in px"),
    "dx_std_m": Column(_LENGTH, "Standard error of dx_m"),
    "dy_std_m": Column(_LENGTH, "Standard error of dy_m"),
    "points": Column("", "Number of inliers"),
    "weight": Column("", "Weight in the adjustment, 0 to 1; 0 if the pair is rejected"),
    "residual_m": Column(_LENGTH, "Length of the measured minus the adjusted shift"),
    "left_out_m": Column(_LENGTH, "Length of the measured shift minus that by all other pairs"),
    "worst_closure_m": Column(_LENGTH, "Longest closure of a triangle with this pair"),
    "status": Column("", "kept, rejected, no_evidence or failed"),
    "reason": Column("", "Why the pair is not kept; empty if it is"),
}

# Columns by table.
COLUMNS: Mapping[str, Mapping[str, Column]] = {"dates": DATE_COLUMNS, "pairs": PAIR_COLUMNS}
