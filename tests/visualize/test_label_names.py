"""The names of the classes in a label map's header."""

from xml.etree import ElementTree

import nibabel as nib
import numpy as np

from shared_networks.visualize.label_names import label_table, name_labels

NAMES = {0: "background", 1: "CSF", 2: "grey & white"}


def test_table_has_number_name_and_colour_of_every_class():
    labels = ElementTree.fromstring(label_table(NAMES)).findall("VolumeInformation/LabelTable/Label")
    assert {int(label.get("Key")): label.text for label in labels} == NAMES
    shown = {label.get("Key"): [float(label.get(key)) for key in ("Red", "Green", "Blue", "Alpha")] for label in labels}
    # The background is transparent, the last class, the lesions, red; matplotlib's "tab:blue" is #1f77b4.
    assert shown["0"] == [0.0, 0.0, 0.0, 0.0] and shown["2"] == [1.0, 0.0, 0.0, 1.0]
    assert np.allclose(shown["1"], [0x1F / 255, 0x77 / 255, 0xB4 / 255, 1.0], atol=1e-6)


def test_names_survive_the_file_and_voxels_and_geometry_stay(tmp_path):
    voxels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) % 3
    affine = np.array([[-1.0, 0, 0, 7], [0, 2, 0, 8], [0, 0, 3, 9], [0, 0, 0, 1]])
    image = nib.Nifti1Image(voxels, affine)
    assert name_labels(image, NAMES) is image
    nib.save(image, tmp_path / "seg.nii.gz")
    read = nib.load(tmp_path / "seg.nii.gz")
    assert np.array_equal(np.asarray(read.dataobj), voxels) and np.array_equal(read.affine, affine)
    assert read.header.get_intent()[0] == "label" and int(read.header["intent_code"]) == 1002
    assert read.header["descrip"].item() == b"0 background, 1 CSF, 2 grey & white"
    (extension,) = read.header.extensions
    assert extension.get_code() == 30
    assert "grey & white" in [element.text for element in ElementTree.fromstring(extension.text).iter("Label")]


def test_many_classes_do_not_overflow_the_description():
    image = name_labels(nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), dict(enumerate(["néuron"] * 20)))
    text = image.header["descrip"].item().decode("ascii")
    assert len(text) == 79 and text.startswith("0 n?uron, 1 n?uron")
