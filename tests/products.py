"""Small Sentinel-2 products in ESA's names and metadata, written from a texture."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from conftest import GRID, UTM, texture
from numpy.typing import NDArray

SIDE_PX = 240

# Metres that everything lies east and south of where the georeference of a displaced product says.
EAST_M, SOUTH_M = 23.0, 17.0

BAND_IDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
_PIXELS = {"B01": 6, "B02": 1, "B03": 1, "B04": 1, "B08": 1, "B11": 2}
# Reflectance of the bands relative to that of the texture.
_GAINS = {"B01": 0.8, "B02": 0.7, "B03": 0.9, "B04": 1.0, "B08": 1.2, "B11": 1.1}

_SCENE = texture(SIDE_PX + 16, SIDE_PX + 16, seed=5)


@dataclass(frozen=True)
class Product:
    """What a product is written with.

    Attributes:
        level: ``L1C`` or ``L2A``.
        sensed: Sensing time.
        tile: Tile, with its T.
        baseline: Processing baseline; from 04.00 on there are offsets, and cloud masks are rasters.
        long_names: Whether it has the names from before December 2016, and no true-colour image.
        displaced: Whether its georeference is wrong by (EAST_M, SOUTH_M).
        cloudy: Whether its masks have a cloud in the upper left quarter.
    """

    level: str = "L1C"
    sensed: str = "20180820T083601"
    tile: str = "T36UXA"
    baseline: str = "05.00"
    long_names: bool = False
    displaced: bool = False
    cloudy: bool = False

    @property
    def offset(self) -> int:
        """The number that its metadata add."""
        return -1000 if self.baseline >= "04.00" else 0

    @property
    def name(self) -> str:
        """Name of the folder."""
        if self.long_names:
            return f"S2A_OPER_PRD_MSI{self.level}_PDMC_20160929T185902_R064_V{self.sensed}_{self.sensed}.SAFE"
        number = f"N{self.baseline.replace('.', '')}"
        return f"S2A_MSI{self.level}_{self.sensed}_{number}_R064_{self.tile}_{self.sensed[:9]}120000.SAFE"

    @property
    def granule(self) -> str:
        """Name of the folder of the granule."""
        if self.long_names:
            return f"S2A_OPER_MSI_{self.level}_TL_SGS__20160929T154211_A006640_{self.tile}_N{self.baseline}"
        return f"{self.level}_{self.tile}_A016505_{self.sensed}"

    @property
    def images(self) -> Path:
        """Folder of the images, relative to the product."""
        return Path("GRANULE", self.granule, "IMG_DATA")

    def image(self, band: str) -> Path:
        """The file of a band, relative to the product."""
        step = {"SCL": 2, "TCI": 1}.get(band) or _PIXELS[band]
        if self.long_names:
            return self.images / f"{self.granule.rsplit('_N', 1)[0]}_{band}.jp2"
        stem = f"{self.tile}_{self.sensed}_{band}"
        if self.level == "L1C":
            return self.images / f"{stem}.jp2"
        return self.images / f"R{10 * step}m" / f"{stem}_{10 * step}m.jp2"

    @property
    def metadata(self) -> str:
        """Name of its metadata."""
        if self.long_names:
            return f"S2A_OPER_MTD_SAF{self.level}_PDMC_20160929T185902_R064_V{self.sensed}_{self.sensed}.xml"
        return f"MTD_MSI{self.level}.xml"

    @property
    def transform(self) -> Affine:
        """Transform of its pixels of 10 m."""
        if not self.displaced:
            return GRID
        return Affine.translation(-EAST_M, SOUTH_M) @ GRID @ Affine.translation(3, 5)


def write_product(folder: Path, product: Product) -> Path:
    """Write a product, and return its folder; a second one of the same name adds its tile."""
    safe = folder / product.name
    left, top = (3, 5) if product.displaced else (0, 0)
    noise = np.random.default_rng(int(product.sensed[:8])).normal(0, 2, (SIDE_PX, SIDE_PX))
    scene = _SCENE[top : top + SIDE_PX, left : left + SIDE_PX] + noise
    for band, step in _PIXELS.items():
        numbers = np.rint(_mean(scene, step) * 10 * _GAINS[band] - product.offset)
        _write(safe / product.image(band), numbers[None].astype(np.uint16), product, step)
    if not product.long_names:
        grey = np.clip(scene, 1, 255).astype(np.uint8)
        _write(safe / product.image("TCI"), np.stack([grey] * 3), product, 1)
    _write_masks(safe, product)
    (safe / product.metadata).write_text(_product_xml(product), encoding="utf-8")
    name = product.granule.replace("_MSI_", "_MTD_").rsplit("_N", 1)[0] if product.long_names else "MTD_TL"
    (safe / "GRANULE" / product.granule / f"{name}.xml").write_text(_granule_xml(product), encoding="utf-8")
    # what is not an image of the product, although it is named like one
    (safe / product.images / "._T36UXA_20180820T083601_TCI.jp2").touch()
    (safe / "GRANULE" / product.granule / "QI_DATA" / "MSK_DETFOO_B04.jp2").touch()
    return safe


def zipped(safe: Path, archive: Path) -> Path:
    """Write the zip of a product, with its folder in it, and return it."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(safe.rglob("*")):
            file.write(path, Path(safe.name) / path.relative_to(safe))
    return archive


def _mean(scene: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    rows, columns = (side // step for side in scene.shape)
    return np.asarray(scene.reshape(rows, step, columns, step).mean(axis=(1, 3)))


def _write(path: Path, bands: NDArray[np.generic], product: Product, step: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    profile = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES", "dtype": bands.dtype, "crs": UTM}
    profile |= {"width": width, "height": height, "count": count, "transform": product.transform @ Affine.scale(step)}
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)


def _write_masks(safe: Path, product: Product) -> None:
    quality = safe / "GRANULE" / product.granule / "QI_DATA"
    quality.mkdir(parents=True, exist_ok=True)
    half = SIDE_PX // 2
    if product.level == "L2A":
        classes = np.full((1, half, half), 4, np.uint8)
        if product.cloudy:
            classes[0, : half // 2, : half // 2] = 9
        _write(safe / product.image("SCL"), classes, product, 2)
    elif product.baseline >= "04.00":
        bands = np.zeros((3, SIDE_PX // 6, SIDE_PX // 6), np.uint8)
        # snow everywhere, which is ground
        bands[2] = 1
        if product.cloudy:
            bands[0, : half // 6, : half // 12] = 1
            bands[1, : half // 6, half // 12 : half // 6] = 1
        _write(quality / "MSK_CLASSI_B00.jp2", bands, product, 6)
    else:
        name = (
            f"{product.granule.replace('_MSI_', '_MSK_CLOUDS_').replace('_L1C_TL', '').rsplit('_N', 1)[0]}_B00_MSIL1C"
        )
        name = name if product.long_names else "MSK_CLOUDS_B00"
        (quality / f"{name}.gml").write_text(_clouds_gml(product), encoding="utf-8")


def _clouds_gml(product: Product) -> str:
    """A cloud mask as before processing baseline 04.00; without clouds it has no member."""
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" '
        'xmlns:gml="http://www.opengis.net/gml/3.2" gml:id="S2A_OPER_MSK_CLOUDS">\n'
    )
    if not product.cloudy:
        return f"{head}</eop:Mask>\n"
    left, top = product.transform @ (0, 0)
    right, bottom = product.transform @ (SIDE_PX / 2, SIDE_PX / 2)
    middle = (left + right) / 2
    members = [
        f'<eop:MaskFeature gml:id="{kind}.0"><eop:maskType codeSpace="urn:gs2:S2PDGS:maskType">{kind}</eop:maskType>'
        f'<eop:extentOf><gml:Polygon gml:id="{kind}.0_Polygon"><gml:exterior><gml:LinearRing>'
        f'<gml:posList srsDimension="2">{x0} {top} {x1} {top} {x1} {bottom} {x0} {bottom} {x0} {top}</gml:posList>'
        "</gml:LinearRing></gml:exterior></gml:Polygon></eop:extentOf></eop:MaskFeature>"
        for kind, x0, x1 in (("OPAQUE", left, middle), ("CIRRUS", middle, right))
    ]
    return (
        f'{head}<gml:boundedBy><gml:Envelope srsName="urn:ogc:def:crs:EPSG:8.7:{UTM.to_epsg()}">'
        f"<gml:lowerCorner>{left} {bottom}</gml:lowerCorner><gml:upperCorner>{right} {top}</gml:upperCorner>"
        f"</gml:Envelope></gml:boundedBy><eop:maskMembers>{''.join(members)}</eop:maskMembers></eop:Mask>\n"
    )


def _product_xml(product: Product) -> str:
    space = f"https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{product.level[1:]}.xsd"
    root = f"Level-{product.level[1:]}_User_Product"
    if product.level == "L1C":
        divisors, added, group = (
            "<QUANTIFICATION_VALUE unit='none'>10000</QUANTIFICATION_VALUE>",
            "RADIO",
            "Radiometric",
        )
        offsets = f"<{group}_Offset_List>{{}}</{group}_Offset_List>"
    else:
        values = (("BOA", 10000), ("AOT", 1000), ("WVP", 1000))
        inner = "".join(f"<{name}_QUANTIFICATION_VALUE>{value}</{name}_QUANTIFICATION_VALUE>" for name, value in values)
        divisors, added = f"<QUANTIFICATION_VALUES_LIST>{inner}</QUANTIFICATION_VALUES_LIST>", "BOA"
        offsets = "<BOA_ADD_OFFSET_VALUES_LIST>{}</BOA_ADD_OFFSET_VALUES_LIST>"
    lines = (
        f'<{added}_ADD_OFFSET band_id="{index}">{product.offset}</{added}_ADD_OFFSET>' for index in range(len(BAND_IDS))
    )
    spectral = "".join(
        f'<Spectral_Information bandId="{index}" physicalBand="{band}"/>' for index, band in enumerate(BAND_IDS)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<n1:{root} xmlns:n1="{space}"><n1:General_Info><Product_Info>'
        f"<PROCESSING_BASELINE>{product.baseline}</PROCESSING_BASELINE></Product_Info><Product_Image_Characteristics>"
        f"{divisors}{offsets.format(''.join(lines)) if product.offset else ''}"
        f"<Spectral_Information_List>{spectral}</Spectral_Information_List>"
        f"</Product_Image_Characteristics></n1:General_Info></n1:{root}>\n"
    )


def _granule_xml(product: Product) -> str:
    day, time = product.sensed.split("T")
    sensed = f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}.460Z"
    root = f"Level-{product.level[1:]}_Tile_ID"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<n1:{root} xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/'
        f'S2_PDI_Level-{product.level[1:]}_Tile_Metadata.xsd"><n1:General_Info><SENSING_TIME metadataLevel="Standard">'
        f"{sensed}</SENSING_TIME></n1:General_Info></n1:{root}>\n"
    )
