"""Names and colours of the classes inside a label map's own NIfTI file."""

from collections.abc import Mapping
from xml.etree import ElementTree

import nibabel as nib
from matplotlib.colors import to_rgb

from shared_networks.visualize.quality_control import class_colours

_CARET = 30
"""Code of the extension of Caret and Connectome Workbench, https://nifti.nimh.nih.gov/nifti-1/extension."""


def label_table(class_names: Mapping[int, str]) -> bytes:
    """The label table of Connectome Workbench, as XML in UTF-8: number, name and colour (0 to 1) of each class.

    Workbench shows the names, and programs that read TotalSegmentator's label maps know the same table. 0 is the
    background, which is transparent.
    """
    root = ElementTree.Element("CaretExtension")
    volume = ElementTree.SubElement(root, "VolumeInformation", Index="0")
    table = ElementTree.SubElement(volume, "LabelTable")
    colours = class_colours(class_names)
    for number, name in class_names.items():
        rgb = to_rgb(colours[number]) if number else (0.0, 0.0, 0.0)
        parts = {key: f"{part:.6g}" for key, part in zip(("Red", "Green", "Blue"), rgb, strict=True)}
        label = ElementTree.SubElement(table, "Label", Key=str(number), **parts, Alpha="1" if number else "0")
        label.text = name
    ElementTree.SubElement(volume, "StudyMetaDataLinkSet")
    ElementTree.SubElement(volume, "VolumeType").text = "Label"
    return ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)


def name_labels(image: nib.Nifti1Image, class_names: Mapping[int, str]) -> nib.Nifti1Image:
    """Say in the header of a label map X x Y x Z what its numbers mean; returns the same image.

    The intent becomes that of a label map (1002), by which viewers take a colour for each number and no grey scale; the
    description lists the classes as far as 79 bytes reach; :func:`label_table` is added as an extension.
    """
    header = image.header
    header.set_intent("label", name="labels")
    text = ", ".join(f"{number} {name}" for number, name in class_names.items())
    header["descrip"] = text.encode("ascii", "replace")[:79]
    header.extensions.append(nib.nifti1.Nifti1Extension(_CARET, label_table(class_names)))
    return image
