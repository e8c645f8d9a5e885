"""What holds for the savers of both bundles: all files of a case or none, never outside the folder."""

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import SaveImaged

from shared_networks.errors import InputError
from shared_networks.transforms import LoadFusionPaird, LoadModalitiesd, SaveFusedd, SaveFusedSegmentationd

FILES = {
    "fused": ["p1_comparison.png", "p1_fused.png", "p1_report.json"],
    "segmentation": ["p1_fused.nii.gz", "p1_qc.png", "p1_report.json", "p1_seg.nii.gz"],
}


def full(*arguments, **keywords):
    """A write to a full disk."""
    raise OSError(28, "No space left on device")


@pytest.fixture(params=FILES)
def kind(request):
    return request.param


@pytest.fixture
def save(kind, write_picture, write_volume, noise, tmp_path):
    """Function (folder, changes of the item) -> the saved item."""

    def save_case(folder, **changes):
        if kind == "fused":
            paths = [write_picture(f"in/{n}.png", noise((6, 6), n)) for n in range(2)]
            item = LoadFusionPaird()({"case": "p1", "image": [str(path) for path in paths]})
            item["fused"] = item["image"].as_tensor()[:1]
            return SaveFusedd(output_dir=str(folder))(item | changes)
        paths = [write_volume(f"in/{n}.nii.gz", noise((7, 6, 5), n)) for n in range(2)]
        item = LoadModalitiesd(label_key="")({"case": "p1", "image": [str(path) for path in paths]})
        item |= {"fused": MetaTensor(torch.rand(1, 7, 6, 5)), "pred": MetaTensor(torch.ones(1, 7, 6, 5).byte())}
        return SaveFusedSegmentationd(output_dir=str(folder))(item | changes)

    return save_case


def test_a_name_stays_in_the_folder(save, tmp_path):
    save(tmp_path / "a" / "out", case="../../p 1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "in"]
    assert [path.name for path in (tmp_path / "a" / "out").iterdir()] == ["_.._p_1"]


@pytest.mark.parametrize("earlier", [False, True])
def test_a_file_that_cannot_be_written_leaves_what_was_there(save, kind, tmp_path, monkeypatch, earlier):
    """The picture comes after the result, the report after both."""
    if earlier:
        assert "refused" not in save(tmp_path / "out")
        assert sorted(path.name for path in (tmp_path / "out" / "p1").iterdir()) == FILES[kind]
    before = {path: path.read_bytes() for path in tmp_path.rglob("out/**/*.*")}
    assert len(before) == (len(FILES[kind]) if earlier else 0)
    saver = f"shared_networks.transforms.save_{kind}"
    picture = f"{saver}.side_by_side" if kind == "fused" else "matplotlib.figure.Figure.savefig"
    for target in (picture, f"{saver}.readable_json"):
        with monkeypatch.context() as patch:
            patch.setattr(target, full)
            refused = save(tmp_path / "out", fused=torch.zeros(1, 6, 6) if kind == "fused" else torch.zeros(1, 7, 6, 5))
        assert refused["refused"].endswith("cannot be written (No space left on device); check space and permissions.")
        assert {path: path.read_bytes() for path in tmp_path.rglob("out/**/*.*")} == before
    assert (tmp_path / "out" / "p1").exists() == earlier


def test_what_is_refused_while_a_case_is_written_is_its_reason(save, kind, tmp_path, monkeypatch):
    """Such as a series whose headers are not fit for DICOM output."""

    def refuse(*arguments):
        raise InputError("its headers are not fit")

    monkeypatch.setattr(f"shared_networks.transforms.save_{kind}.readable_json", refuse)
    assert save(tmp_path / "out")["refused"] == "its headers are not fit" and not (tmp_path / "out" / "p1").exists()


def test_a_folder_that_is_a_file_refuses_the_case(save, tmp_path):
    (tmp_path / "out").write_text("")
    assert "cannot be written" in save(tmp_path / "out")["refused"]


def test_without_a_folder_nothing_is_written(save, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    assert "refused" not in save("")
    assert len(list(tmp_path.rglob("*"))) == 3


def test_monai_label_takes_them_for_savers():
    assert isinstance(SaveFusedd(), SaveImaged) and isinstance(SaveFusedSegmentationd(output_dir=""), SaveImaged)
