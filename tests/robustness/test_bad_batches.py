"""Batches of bad cases and a good one through the inference config of each bundle, in process."""

import json
import re

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from shared_networks.runner.one_line_errors import find_input_error
from tests.bundles.bundle_runs import CASE_FILES, COLOUR_TABLES, RUN_FILES, SMALL_HEAD, network_of, run_workflow
from tests.robustness import bad_pictures, bad_volumes
from tests.robustness.file_maker import FileMaker, brain, items_of

HOSTILE = "../../evil/../x"
HEADER = dict.fromkeys(("PatientName", "PatientID", "SeriesDescription"), HOSTILE)
# A line of names, so that the choice can be seen.
VOLUMES = {
    "refused": "a slice less, flipped, shifted, sheared, affine NaN, time series, colour, complex, one NaN, all zero, "
    "damaged gz, empty, missing, same file, claims 2^45 voxels, series with a gap",
    "warned": "one image twice",
}
PICTURES = {
    "refused": "other size, picture and volume, black MRI, cut, damaged, empty, claims pixels, two pages, "
    "float picture, missing, same file, volume with NaN, volume flipped, complex volume",
    "warned": "swapped, little overlap, 12 bits",
}


def chosen(names):
    """(status, name) of every case in a choice."""
    return [(status, name) for status, line in names.items() for name in line.split(", ")]


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def run_batch(bundle, keys, folder, items, output="out"):
    """Run inference.json over a data list; returns exit code (0 for none) and output folder."""
    (folder / "cases.json").write_text(json.dumps(items))
    keys = keys | {"datalist": folder / "cases.json", "output_dir": folder / output, "device": "cpu"}
    try:
        run_workflow(bundle, ["inference"], "infer", **keys)
    except SystemExit as end:
        return end.code, folder / output
    return 0, folder / output


def check_report(out, code, expected, caplog):
    """Reasons in the report and in the log, each once; ``expected`` holds (status, message) by case."""
    assert code == 2
    report = json.loads((out / "run_report.json").read_text(encoding="utf-8"))
    entries = {entry["case"]: entry for entry in report["cases"]}
    assert entries.keys() == expected.keys()
    for case, (status, message) in expected.items():
        reason = entries[case]["reason"]
        assert entries[case]["status"] == status, reason
        assert re.search(message, reason) if message else reason == ""
        assert caplog.text.count(f"{case} {status}: {reason}") == (status != "ok")


def expectations(choice, tables):
    """Case -> (status, message); item names are ``status name``."""
    messages = {(status, name): tables[status][name][1] for status, name in chosen(choice)}
    return {re.sub(r"[^\w.-]+", "_", " ".join(key)): (key[0], message) for key, message in messages.items()}


@pytest.fixture(scope="module")
def rmr_keys(rmr_bundle, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "model.pt"
    torch.save(network_of(rmr_bundle, **SMALL_HEAD).state_dict(), path)
    return {"checkpoint": path, **SMALL_HEAD}


def test_volumes(rmr_bundle, rmr_keys, tmp_path, caplog):
    tables = {"refused": bad_volumes.REFUSED, "warned": bad_volumes.WARNED}
    maker = FileMaker(tmp_path / "data")
    items = items_of(tables, chosen(VOLUMES), maker, ("t1", "flair", "subject"))
    good = {"t1": str(maker.volume("good/t1.nii.gz")), "flair": str(maker.volume("good/flair.nii.gz", brain(1)))}
    # Names that come from header text would leave the folder; the case has its name from the files' folder.
    texts = [(148, "80s", HOSTILE.encode()), (14, "18s", HOSTILE.encode()), (328, "16s", HOSTILE.encode())]
    text = {
        "t1": str(maker.poked("text/t1.nii", *texts, values=brain())),
        "flair": str(maker.poked("text/flair.nii", *texts)),
    }
    scan = {name: str(maker.series(f"scan/{name}", brain(n), **HEADER)) for n, name in enumerate(("t1", "flair"))}
    paths = [good | {"subject": f"../{HOSTILE}"}, good | {"subject": str(tmp_path / "evil")}]
    code, out = run_batch(rmr_bundle, rmr_keys, tmp_path, [*items[:5], good, text, scan, *items[5:]])
    expected = expectations(VOLUMES, tables) | dict.fromkeys(("good", "text", "scan"), ("ok", ""))
    check_report(out, code, expected, caplog)
    done = [case for case, (status, _) in expected.items() if status != "refused"]
    endings = ("fused.nii.gz", "seg.nii.gz")
    colours = {f"colour_tables/{name}" for name in COLOUR_TABLES}
    assert files_below(out) == {*RUN_FILES, *colours, *(f"{case}/{case}_{end}" for case in done for end in CASE_FILES)}
    for case in done:
        report = json.loads((out / case / f"{case}_report.json").read_text(encoding="utf-8"))
        assert re.search(expected[case][1], report["warnings"]) if expected[case][1] else report["warnings"] == ""
        fused, labels = (nib.load(out / case / f"{case}_{end}") for end in endings)
        assert fused.get_fdata().min() >= 0 and fused.get_fdata().max() <= 1
        assert set(np.unique(labels.dataobj)) <= set(range(5))
    assert files_below(tmp_path) - files_below(tmp_path / "data") >= {"cases.json"}
    assert not list(tmp_path.rglob("*evil*"))

    # The good one is what it is without the others; names that are paths are refused.
    code, alone = run_batch(rmr_bundle, rmr_keys, tmp_path, [good, *paths], "alone")
    assert code == 2 and {path.name for path in alone.iterdir()} == {"good", "colour_tables", *RUN_FILES}
    assert not list(tmp_path.rglob("*evil*"))
    for end in endings:
        one, other = (np.asarray(nib.load(folder / "good" / f"good_{end}").dataobj) for folder in (out, alone))
        assert np.array_equal(one, other)


def test_pictures(gesenet_bundle, random_checkpoint, tmp_path, caplog):
    tables = {"refused": bad_pictures.REFUSED, "warned": bad_pictures.WARNED}
    maker = FileMaker(tmp_path / "data")
    items = items_of(tables, chosen(PICTURES), maker, ("mri", "other", "name"))
    good = {
        "mri": str(maker.picture("mri/good.png", bad_pictures.grey())),
        "other": str(maker.picture("ct/good.png", bad_pictures.grey(1))),
    }
    scan = {name: str(maker.series(f"{name}/scan", brain(n), **HEADER)) for n, name in enumerate(("mri", "other"))}
    paths = [good | {"name": HOSTILE}, good | {"name": "", "case": str(tmp_path / "evil")}, good | {"modality": ".."}]
    # These pictures are bright and noisy; what a worker refuses must be reported too.
    keys = {"checkpoint": random_checkpoint, "mid_grey": None, "denoise_pictures": False, "num_workers": 1}
    code, out = run_batch(gesenet_bundle, keys, tmp_path, [*items[:5], good, scan, *items[5:]])
    expected = expectations(PICTURES, tables) | dict.fromkeys(("good", "scan"), ("ok", ""))
    check_report(out, code, expected, caplog)
    pictures = [case for case, (status, _) in expected.items() if status != "refused" and case != "scan"]
    assert files_below(out) == {
        *RUN_FILES,
        "scan/scan_fused.nii.gz",
        "scan/scan_comparison.png",
        *(f"{case}/{case}_{end}.png" for case in pictures for end in ("fused", "comparison")),
        *(f"{case}/{case}_report.json" for case in (*pictures, "scan")),
    }
    code, alone = run_batch(gesenet_bundle, keys, tmp_path, [good, *paths], "alone")
    assert code == 2 and {path.name for path in alone.iterdir()} == {"good", *RUN_FILES}
    assert not list(tmp_path.rglob("*evil*"))
    one, other = (np.asarray(Image.open(folder / "good" / "good_fused.png")) for folder in (out, alone))
    assert one.shape == (24, 20) and np.abs(one.astype(int) - other).max() <= 1


def test_link_in_the_output_folder_is_not_followed(gesenet_bundle, random_checkpoint, tmp_path):
    maker = FileMaker(tmp_path)
    pair = [str(maker.picture(f"{name}.png", bad_pictures.grey(n))) for n, name in enumerate("ab")]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    items = [dict(zip(("mri", "other"), pair, strict=True))]
    code, out = run_batch(gesenet_bundle, {"checkpoint": random_checkpoint}, tmp_path, items)
    assert code == 2
    entry = json.loads((out / "run_report.json").read_text(encoding="utf-8"))["cases"][0]
    assert entry["status"] == "refused" and "a link that leads out of output_dir; remove it" in entry["reason"]
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["rmr", "gesenet"])
def test_weights_of_another_network_end_the_run_before_anything_is_written(
    name, rmr_bundle, gesenet_bundle, random_checkpoint, rmr_keys, tmp_path
):
    maker = FileMaker(tmp_path)
    first, second = maker.volume("a.nii"), maker.volume("b.nii", brain(1))
    bundle, images, checkpoint = (
        (rmr_bundle, {"t1": first, "flair": second, **SMALL_HEAD}, random_checkpoint)
        if name == "rmr"
        else (gesenet_bundle, {"mri": first, "other": second}, rmr_keys["checkpoint"])
    )
    with pytest.raises(RuntimeError) as caught:  # as MONAI wraps it; the stock runner prints the one line
        run_workflow(
            bundle, ["inference"], "infer", output_dir=tmp_path / "out", checkpoint=checkpoint, device="cpu", **images
        )
    assert "weights of another network; give the checkpoint of this config" in str(find_input_error(caught.value))
    assert not (tmp_path / "out").exists()
