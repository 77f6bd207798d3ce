"""Seeds that are no images: vectors, tie points, weights, options, models, products, records of finished pairs."""

import copy
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
import torch
from kornia.feature import LoFTR
from kornia.feature.loftr.loftr import default_cfg
from numpy.typing import NDArray

from benchmarks.fuzz.cases import Seed
from benchmarks.fuzz.image_seeds import SIDE_PX, TRANSFORM, UTM, grid_of, texture, write_raster
from s2match.batch.rows import PairRow
from s2match.correction.saved_model import SCHEMA, SCHEMA_VERSION, file_facts, model_facts
from s2match.io.vector_layers import fixed_date
from s2match.loftr.checkpoints import save_weights
from s2match.loftr.config import MatchingConfig
from s2match.registration.file_model import ControlPoints, FileModel, FrameModel
from s2match.registration.verdict import Decision
from s2match.tiepoints.formats import write_tie_points
from s2match.tiepoints.points import TiePoints
from s2match.timeseries.observations import PairObservation, PairStatus

# Shift of the model and of the tie points, pixels.
SHIFT_PX = (1.5, -2.25)

REFERENCE, TARGET = "T36UXA_20180820T083601_TCI.tif", "T36UXA_20190606T083601_TCI.tif"

# What the finished pairs of a series depend on.
FINGERPRINT: Mapping[str, Mapping[str, str]] = {
    "options": {"version": "1", "settings": "Settings()", "weights": "sentinel2", "area of interest": "", "masks": ""},
    "images": {"/data/a.tif": "1 2", "/data/b.tif": "3 4", "/data/c.tif": "5 6"},
}

_PRODUCT = "S2A_MSIL2A_20180820T083601_N0500_R064_T36UXA_20180820T120000.SAFE"
_GRANULE = f"{_PRODUCT}/GRANULE/L2A_T36UXA_A016505_20180820T083601"
_STEM = "T36UXA_20180820T083601"


def vector_seeds(folder: Path) -> list[Seed]:
    """Polygons as GeoPackage, GeoJSON, Shapefile and GML of a cloud mask."""
    left, top = TRANSFORM @ (10, 10)
    right, bottom = TRANSFORM @ (60, 50)
    shapes = [shapely.box(left, bottom, right, top), shapely.Point(left, top).buffer(200)]
    shapes.append(
        shapely.MultiPolygon([shapely.box(left, bottom, left + 50, top), shapely.box(right, bottom, right + 50, top)])
    )
    frame = geopandas.GeoDataFrame({"name": ["a", "é", None], "number": [1, 2.5, None]}, geometry=shapes, crs=UTM)
    with fixed_date():
        frame.to_file(folder / "polygons.gpkg", layer="mask")
    frame.to_crs(4326).to_file(folder / "polygons.geojson")
    frame.to_file(folder / "polygons.shp")
    lines = geopandas.GeoDataFrame(
        {"a": [1]}, geometry=[shapely.LineString([(left, top, 5), (right, bottom, 6)])], crs=UTM
    )
    with fixed_date():
        lines.to_file(folder / "lines.gpkg")
    single = [_single(folder / name) for name in ("polygons.gpkg", "polygons.geojson", "lines.gpkg")]
    parts = {
        f"polygons{suffix}": (folder / f"polygons{suffix}").read_bytes() for suffix in (".shp", ".shx", ".dbf", ".prj")
    }
    shape = Seed("polygons.shp", parts, "polygons.shp", tuple(parts))
    gml = Seed(
        "MSK_CLOUDS_B00.gml", {"MSK_CLOUDS_B00.gml": _clouds().encode()}, "MSK_CLOUDS_B00.gml", ("MSK_CLOUDS_B00.gml",)
    )
    return [*single, shape, gml]


def tie_point_seeds(folder: Path) -> list[Seed]:
    """Tie points in every format."""
    points = tie_points()
    seeds = []
    for suffix in (".csv", ".geojson", ".gpkg", ".points", ".parquet"):
        path = folder / f"points{suffix}"
        write_tie_points(points, path)
        seeds.append(_single(path))
    return seeds


def tie_points() -> TiePoints:
    """Thirty tie points that agree with a translation."""
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(10, SIDE_PX - 10, (30, 2))
    xy1 = xy0 + SHIFT_PX + rng.normal(0, 0.05, (30, 2))
    return TiePoints(grid_of(REFERENCE), grid_of(TARGET), xy0, xy1, np.linspace(0.5, 1, 30))


def weights_seeds(folder: Path) -> list[Seed]:
    """Small networks as safetensors, with and without parameters of matching, and as a checkpoint."""
    net = small_network()
    save_weights(net, 0.5, folder / "plain.safetensors")
    save_weights(net, 0.0, folder / "iterated.safetensors", MatchingConfig(True, 2, (0.1, 0.2, 0.3)))
    torch.save({"state_dict": net.state_dict()}, folder / "net.ckpt")
    return [_single(folder / name) for name in ("plain.safetensors", "iterated.safetensors", "net.ckpt")]


def small_network() -> LoFTR:
    """A LoFTR with random weights, a hundredth of the size of a real one."""
    config: dict[str, Any] = copy.deepcopy(default_cfg)
    config["resnetfpn"] = {"initial_dim": 8, "block_dims": [8, 16, 16]}
    config["coarse"].update(d_model=16, d_ffn=16, layer_names=["self", "cross"])
    config["fine"].update(d_model=8, d_ffn=8)
    torch.manual_seed(0)
    return LoFTR(None, config).eval()


def model_json(field: bool = False) -> bytes:
    """The JSON of a result, as far as a model is read from it."""
    reference, target = grid_of(REFERENCE), grid_of(TARGET)
    file_px, on_map = _frame(SHIFT_PX, 1.0, field), _frame((15.0, 22.5), 10.0, field)
    model = FileModel("field" if field else "translation", reference, target, file_px, on_map)
    images = {
        role: {
            "file": str(grid.scene.path),
            "whole_file": file_facts(grid),
            "nodata_from": "none",
            "nodata_value": None,
        }
        for role, grid in (("reference", reference), ("target", target))
    }
    content = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **images, "verdict": str(Decision.REGISTER)}
    content |= {
        "registration": {"model": model.name, **model_facts(model)},
        "options": {"confidence": 0.5, "geometry": "affine"},
    }
    return json.dumps(content).encode()


def _frame(shift: tuple[float, float], unit: float, field: bool) -> FrameModel:
    """A translation, or a field around it, in pixels or on the map, whose unit is a part of a pixel."""
    matrix = np.array([[1.0, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]])
    coefficients = np.random.default_rng(0).normal(0, 0.1 * unit, (6, 6, 2))
    origin = (-32.0, -32.0) if unit == 1.0 else TRANSFORM @ (-32, -32)
    step = 32 * unit
    down = step if unit == 1.0 else -step
    return FrameModel(matrix, ControlPoints(origin, (step, 0.0), (0.0, down), coefficients) if field else None)


def model_seeds(folder: Path) -> list[Seed]:
    """Models with and without a displacement field, beside files that they correct."""
    write_raster(folder / TARGET, texture(), transform=TRANSFORM, crs=UTM)
    polygon = {"type": "Polygon", "coordinates": [[[34.41, 50.54], [34.42, 50.54], [34.42, 50.53], [34.41, 50.54]]]}
    vector = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": polygon}]}
    beside = {TARGET: (folder / TARGET).read_bytes(), "vector.geojson": json.dumps(vector).encode()}
    contents = {"translation.json": model_json(), "field.json": model_json(field=True)}
    return [Seed(name, {name: content, **beside}, name, (name,)) for name, content in contents.items()]


def config_seeds(folder: Path) -> list[Seed]:
    """Files of options: TOML and the JSON of a result."""
    return [
        Seed("options.toml", {"options.toml": CONFIG.encode()}, "options.toml", ("options.toml",)),
        Seed(
            "result.json", {"result.json": json.dumps({"options": _OPTIONS}).encode()}, "result.json", ("result.json",)
        ),
    ]


def list_seeds(folder: Path) -> list[Seed]:
    """CSVs of pairs and of images, and a STAC Item."""
    images = {}
    for name in (REFERENCE, TARGET):
        write_raster(folder / name, texture(), transform=TRANSFORM, crs=UTM)
        images[name] = (folder / name).read_bytes()
    texts = {
        "pairs.csv": f"reference,target,name,mask,apply_to\n{REFERENCE},{TARGET},first,,{TARGET}\n",
        "images.csv": f"path,mask,date,tile,relative_orbit\n{REFERENCE},,2018-08-20,T36UXA,64\n{TARGET},,,,R107\n",
        "item.json": json.dumps(_item()),
    }
    return [Seed(name, {name: text.encode(), **images}, name, (name,)) for name, text in texts.items()]


def product_seeds(folder: Path) -> list[Seed]:
    """A product as a folder, as its zip, and the metadata of one of Level-1C."""
    files = _product(folder)
    metadata = tuple(name for name in files if name.endswith((".xml", ".gml")))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    zipped = Seed("product.zip", {"product.zip": stream.getvalue()}, "product.zip", ("product.zip",))
    return [Seed("product", files, _PRODUCT, metadata), Seed("metadata", files, metadata[0], metadata), zipped]


def record_seeds(folder: Path) -> list[Seed]:
    """Records of finished pairs: of a series, and of a list of pairs."""
    measured = PairObservation(
        0, 1, PairStatus.MEASURED, "", (0.3, -0.2), ((1e-3, 0.0), (0.0, 2e-3)), matches=50, inliers=40
    )
    hidden = PairObservation(1, 2, PairStatus.NO_EVIDENCE, "no model")
    names = list(FINGERPRINT["images"])
    series = [
        {"reference": names[o.reference], "target": names[o.target], "observation": asdict(o)}
        for o in (measured, hidden)
    ]
    row = asdict(PairRow("first", REFERENCE, TARGET, "matched", "register", "translation", 50, 40, 0.3))
    pairs = [
        {"name": name, "fingerprint": "f", "files": {f"{name}/result.json": None}, "row": content}
        for name, content in (("first", row), ("second", None))
    ]
    fingerprint = json.dumps(FINGERPRINT).encode()
    return [
        Seed(
            "series",
            {"series/pairs.jsonl": _lines(series), "series/fingerprint.json": fingerprint},
            "series",
            ("series/pairs.jsonl", "series/fingerprint.json"),
        ),
        Seed("pairs", {"pairs/pairs.jsonl": _lines(pairs)}, "pairs", ("pairs/pairs.jsonl",)),
    ]


def _single(path: Path) -> Seed:
    return Seed(path.name, {path.name: path.read_bytes()}, path.name, (path.name,))


def _lines(records: list[dict[str, Any]]) -> bytes:
    texts = [json.dumps(record) for record in records]
    return "".join(f"{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()} {text}\n" for text in texts).encode()


CONFIG = """# options of a run
confidence = 0.5
image_size = [64, 64]
geometry = "affine"
mask_values = [3, 8]
overlap_only = true
preset = "fast"
tie_points = ["a.csv", 'b.gpkg']
fail_above = "5m"
seed = 7
"""
_OPTIONS = {
    **{"confidence": 0.5, "image_size": [64, 64], "geometry": "affine", "mask_values": [3, 8], "overlap_only": True},
    **{"images": [REFERENCE, TARGET], "refine": False, "aoi": [34.4, 50.5, 34.5, 50.6], "nodata": "nan"},
}


def _item() -> dict[str, Any]:
    band = {"scale": 0.0001, "offset": -0.1}
    visual = {"href": f"./{TARGET}", "type": "image/tiff", "roles": ["visual"], "raster:bands": [band]}
    properties = {"datetime": "2019-06-06T08:36:01Z", "platform": "sentinel-2a", "grid:code": "MGRS-36UXA"}
    properties |= {"s2:processing_baseline": "05.00"}
    return {
        **{
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": "item",
            "properties": {**properties, "sat:relative_orbit": 64},
        },
        **{"geometry": {"type": "Point", "coordinates": [34.4, 50.5]}, "bbox": [34.4, 50.5, 34.4, 50.5], "links": []},
        **{"assets": {"visual": visual, "B08": {"href": f"./{REFERENCE}", "type": "image/tiff"}}},
    }


def _clouds() -> str:
    left, top = TRANSFORM @ (0, 0)
    right, bottom = TRANSFORM @ (40, 40)
    ring = f"{left} {top} {right} {top} {right} {bottom} {left} {bottom} {left} {top}"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" xmlns:gml="http://www.opengis.net/gml/3.2" gml:id="a">
<gml:boundedBy><gml:Envelope srsName="urn:ogc:def:crs:EPSG:8.7:32636"/></gml:boundedBy>
<eop:maskMembers><eop:MaskFeature gml:id="OPAQUE.0"><eop:maskType>OPAQUE</eop:maskType><eop:extentOf>
<gml:Polygon gml:id="p"><gml:exterior><gml:LinearRing><gml:posList srsDimension="2">{ring}</gml:posList>
</gml:LinearRing></gml:exterior></gml:Polygon></eop:extentOf></eop:MaskFeature></eop:maskMembers></eop:Mask>
"""


def _product(folder: Path) -> dict[str, bytes]:
    """The files of a product of Level-2A, with a cloud mask as older products have."""
    profile = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES", "transform": TRANSFORM, "crs": UTM}
    images: dict[str, NDArray[Any]] = {
        "R10m/{}_TCI_10m.jp2": np.stack([texture()] * 3),
        "R10m/{}_B08_10m.jp2": texture().astype(np.uint16) * 20,
        "R20m/{}_SCL_20m.jp2": texture() // 32,
    }
    files = {
        f"{_PRODUCT}/MTD_MSIL2A.xml": _product_xml().encode(),
        f"{_GRANULE}/MTD_TL.xml": _granule_xml().encode(),
        f"{_GRANULE}/QI_DATA/MSK_CLOUDS_B00.gml": _clouds().encode(),
    }
    for name, bands in images.items():
        path = folder / "image.jp2"
        write_raster(path, bands, **profile)
        files[f"{_GRANULE}/IMG_DATA/{name.format(_STEM)}"] = path.read_bytes()
    return files


def _product_xml() -> str:
    bands = "".join(f'<Spectral_Information bandId="{k}" physicalBand="B{k + 1}"/>' for k in range(8))
    offsets = "".join(f'<BOA_ADD_OFFSET band_id="{k}">-1000</BOA_ADD_OFFSET>' for k in range(8))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd"><n1:General_Info>
<Product_Info><PROCESSING_BASELINE>05.00</PROCESSING_BASELINE></Product_Info><Product_Image_Characteristics>
<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
</QUANTIFICATION_VALUES_LIST>
<BOA_ADD_OFFSET_VALUES_LIST>{offsets}</BOA_ADD_OFFSET_VALUES_LIST>
<Spectral_Information_List>{bands}</Spectral_Information_List>
</Product_Image_Characteristics></n1:General_Info></n1:Level-2A_User_Product>
"""


def _granule_xml() -> str:
    return """<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-2A_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-2A_Tile_Metadata.xsd">
<n1:General_Info><SENSING_TIME metadataLevel="Standard">2018-08-20T08:36:01.460Z</SENSING_TIME></n1:General_Info>
</n1:Level-2A_Tile_ID>
"""
