"""Secondary captures and films: pictures in DICOM files, with their colour, depth and scale."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from shared_networks.errors import InputError
from shared_networks.io.reading import read_source
from shared_networks.io.source import split_colour
from shared_networks.transforms import LoadFusionPaird, LoadModalitiesd
from tests.io.series_writer import MR_IMAGE, change, save

PLACE = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def capture(path, pixels, **attributes):
    """A secondary capture without a place in space."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = SECONDARY_CAPTURE, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.Modality, image.Rows, image.Columns = "OT", *pixels.shape[:2]
    image.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    image.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        image.PlanarConfiguration = 0
    bits = 8 * pixels.dtype.itemsize
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = bits, bits, bits - 1, 0
    image.PixelData = pixels.tobytes()
    return save(image, path, **attributes)


def test_a_colour_capture_is_a_picture(tmp_path, noise, write_picture):
    pixels = noise((8, 6, 3))
    source = read_source(capture(tmp_path / "pet.dcm", pixels))
    assert source.affine is None and source.bit_depth == 8
    assert np.allclose(source.values, pixels @ [0.299, 0.587, 0.114] / 255, atol=1e-6) and source.chroma is not None
    loaded = LoadFusionPaird()({"image": [str(write_picture("mri.png", noise((8, 6)))), str(tmp_path / "pet.dcm")]})
    assert loaded["image"].shape == (2, 8, 6)
    with pytest.raises(InputError, match="a 2D image; expected a 3D volume"):
        LoadModalitiesd()({"image": [str(tmp_path / "pet.dcm"), str(write_picture("m.png", noise((8, 6))))]})


@pytest.mark.parametrize("bits", [12, 16])
def test_a_capture_in_deep_colour_keeps_its_depth(tmp_path, bits):
    pixels = np.random.default_rng(bits).integers(0, 2**bits, (8, 6, 3)).astype(np.uint16)
    facts = {"BitsStored": bits, "HighBit": bits - 1}
    source = read_source(capture(tmp_path / "a.dcm", pixels, **facts))
    assert source.bit_depth == 16 and source.affine is None
    expected, chroma = split_colour((pixels / (2**bits - 1)).astype(np.float32))
    assert np.allclose(source.values, expected, atol=1e-6) and np.allclose(source.chroma, chroma, atol=1e-3)
    planes = capture(tmp_path / "b.dcm", pixels, **facts)
    change(planes, PlanarConfiguration=1, PixelData=np.moveaxis(pixels, -1, 0).astype("<u2").tobytes())
    assert np.array_equal(read_source(planes).values, source.values)
    film = capture(tmp_path / "c.dcm", pixels, **facts)
    change(film, NumberOfFrames=2, PixelData=np.stack([pixels, 0 * pixels]).astype("<u2").tobytes())
    assert np.array_equal(read_source(film).values, source.values)
    assert read_source(film).warnings == ["c.dcm: 2 frames without position, a film, of which the first one was read"]


def test_grey_captures(tmp_path, noise):
    pixels = noise((8, 6))
    assert np.allclose(read_source(capture(tmp_path / "a.dcm", pixels)).values, pixels / 255, atol=1e-6)
    inverted = capture(tmp_path / "b.dcm", pixels, PhotometricInterpretation="MONOCHROME1")
    assert np.allclose(read_source(inverted).values, 1 - pixels / 255, atol=1e-6)
    deep, facts = pixels.astype(np.uint16) * 16, {"BitsStored": 12, "HighBit": 11}
    assert np.allclose(read_source(capture(tmp_path / "c.dcm", deep, **facts)).values, deep / 4095, atol=1e-6)
    facts |= {"WindowCenter": 1500.5, "WindowWidth": 2001}  # from 500 to 2500
    shown = ((deep - 500.0) / 2000).clip(0, 1)
    assert np.allclose(read_source(capture(tmp_path / "d.dcm", deep, **facts)).values, shown, atol=1e-6)
    facts["PhotometricInterpretation"] = "MONOCHROME1"
    assert np.allclose(read_source(capture(tmp_path / "e.dcm", deep, **facts)).values, 1 - shown, atol=1e-6)
    with pytest.raises(InputError, match="slices without position"):
        read_source(capture(tmp_path / "f.dcm", deep, RescaleSlope=1, RescaleIntercept=-1024))
    with pytest.raises(InputError, match=r"h.dcm: a volume in colour of 16 bit; export it with 8 bit"):
        read_source(capture(tmp_path / "h.dcm", noise((8, 6, 3)).astype(np.uint16) * 257, **PLACE))
    report = pydicom.dcmread(tmp_path / "a.dcm")
    del report.PixelData
    report.save_as(tmp_path / "r.dcm")
    with pytest.raises(InputError, match=r"r.dcm: .*it holds no pixels .*; give the images themselves"):
        read_source(tmp_path / "r.dcm")


@pytest.mark.parametrize("kind", ["RGB", "MONOCHROME2", "MONOCHROME1"])
def test_of_a_film_the_first_frame_is_a_picture(tmp_path, noise, kind):
    """Frames that nothing places in space: an ultrasound film, or a capture of several screens."""
    pixels = noise((2, 6, 8, 3) if kind == "RGB" else (2, 6, 8))
    attributes = {"NumberOfFrames": 2, "PhotometricInterpretation": kind, "PixelData": pixels.tobytes()}
    capture(tmp_path / "a.dcm", pixels[0], **attributes)
    source = read_source(tmp_path / "a.dcm")
    shown = pixels[0] @ [0.299, 0.587, 0.114] if kind == "RGB" else pixels[0].astype(float)
    shown = 255 - shown if kind == "MONOCHROME1" else shown
    assert source.affine is None and np.abs(source.values - shown / 255).max() < 1e-5
    assert source.warnings == ["a.dcm: 2 frames without position, a film, of which the first one was read"]
    deep = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelData": bytes(2 * 2 * 48)}
    if kind != "RGB":
        change(tmp_path / "a.dcm", **deep, SOPClassUID=MR_IMAGE)
        with pytest.raises(InputError, match="2 frames without position, a film and not a volume; save one as PNG"):
            read_source(tmp_path / "a.dcm")
