"""Names and colours of the classes for the common viewers of volumes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.colors import to_rgb

from shared_networks.utils.atomic import atomic_text
from shared_networks.utils.run_file import RunFile
from shared_networks.visualize.quality_control import class_colours


def colour_tables(class_names: Mapping[int, str]) -> dict[str, str]:
    """File name -> text of the tables for FSLeyes, Freeview, ITK-SNAP and 3D Slicer, in the pictures' colours.

    Args:
        class_names: class number -> name; 0 is the background, the last one the lesions.
    """
    rgb = {number: to_rgb(colour) for number, colour in class_colours(class_names).items()}
    bytes_ = {number: [round(part * 255) for part in colour] for number, colour in rgb.items()}
    names = {number: name.replace(" ", "_") for number, name in class_names.items()}
    background = names.get(0, "background")
    fsleyes = [f"{number} {' '.join(f'{part:.5f}' for part in rgb[number])} {names[number]}" for number in rgb]
    freeview = [f"0 {background} 0 0 0 0"]
    freeview += [f"{number} {names[number]} {' '.join(map(str, bytes_[number]))} 0" for number in rgb]
    itk_snap = ['0 0 0 0 0 0 0 "Clear Label"']
    itk_snap += [f'{number} {" ".join(map(str, bytes_[number]))} 1 1 1 "{class_names[number]}"' for number in rgb]
    slicer = [f"0 {background} 0 0 0 0"]
    slicer += [f"{number} {names[number]} {' '.join(map(str, bytes_[number]))} 255" for number in rgb]
    tables = {
        "fsleyes.lut": fsleyes,
        "freeview.txt": freeview,
        "itk_snap.label": itk_snap,
        "slicer.ctbl": slicer,
    }
    return {name: "\n".join(lines) + "\n" for name, lines in tables.items()}


class ColourTables(RunFile):
    """Writes :func:`colour_tables` into ``<output_dir>/colour_tables/`` when a run starts.

    Args:
        class_names: one for each class, the background first and the lesions last.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.tables = colour_tables(dict(enumerate(class_names)))

    def start(self, folder: Path, mark: str) -> None:
        """Write the tables; they are the same for every run with these classes."""
        (folder / "colour_tables").mkdir(exist_ok=True)
        for name, text in self.tables.items():
            atomic_text(folder / "colour_tables" / name, text)
