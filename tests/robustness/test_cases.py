"""Inputs as people have them: the check and the bundles say the same about each of ``cases_dir``, in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from shared_networks import check
from shared_networks.data import CaseLog, training_cases
from shared_networks.errors import InputError
from shared_networks.io.file_names import file_stem
from shared_networks.runner.one_line_errors import find_input_error
from tests.bundles.bundle_runs import run_workflow

ROOT = Path(__file__).resolve().parents[2]


def sources(folder, stem):
    """The file of that name, whatever its type; of Analyze's two the header."""
    found = [path for path in folder.iterdir() if file_stem(path).split(".")[0] == stem and path.suffix != ".img"]
    return str(found[0]) if len(found) == 1 else ""


def volumes(root):
    """Every folder with a T1 and a FLAIR."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        t1, flair = sources(folder, "t1"), sources(folder, "flair")
        if t1 and flair:
            yield "rmr_fusion", {"t1": t1, "flair": flair}


def lists(root):
    """Data lists that have no labels, and layouts."""
    for path in sorted(root.glob("dl_*.json")):
        yield "rmr_fusion", {"datalist": str(path)}
    for path in sorted((root / "layout").iterdir()):
        yield "rmr_fusion", {"dataset_dir": str(path)}
        yield "gesenet", {"dataset_dir": str(path)}
    yield "gesenet", {"datalist": str(root / "head" / "list.json")}


def pictures(root):
    for path in sorted((root / "pics").iterdir()):
        yield "gesenet", {"mri": str(root / "pics" / "mri.png"), "other": str(path)}
    yield "gesenet", {"mri": str(root / "pics" / "mri2d.nii.gz"), "other": str(root / "pics" / "ct2d.nii.gz")}


def pairs_of_volumes(root):
    for path in sorted((root / "gvol").iterdir()):
        for mri in ("mri", "mri_shear"):
            yield "gesenet", {"mri": str(root / "gvol" / f"{mri}.nii.gz"), "other": str(path)}
    sheared = {key: str(root / "gvol" / f"{name}_shear.nii.gz") for key, name in (("mri", "mri"), ("other", "ct"))}
    yield "gesenet", sheared | {"resample": True}
    yield "gesenet", sheared | {"align": True}
    yield "gesenet", sheared | {"mri": str(root / "gvol" / "mri.nii.gz"), "align": True}


def series(root):
    place = root / "dicom"
    for path in sorted(path for path in place.iterdir() if path.name != "single"):
        yield "gesenet", {"mri": str(place / "mri"), "other": str(path)}
    yield "gesenet", {"mri": str(place / "mri"), "other": str(place / "ct_tilt"), "resample": True}
    yield "gesenet", {key: str(place / f"px_examples_{kind}_color") for key, kind in (("mri", "rgb"), ("other", "ybr"))}
    two = place / "mri_twoseries"
    for choices in (("#1", "#2"), ("#1", "#3"), ("#2", "")):
        yield "gesenet", {"mri": f"{two}{choices[0]}", "other": f"{two}{choices[1]}"}
    yield "gesenet", {"mri": str(place / "single" / "mri.dcm"), "other": str(place / "single" / "flair.dcm")}
    yield "rmr_fusion", {"t1": str(place / "mri"), "flair": str(place / "flair")}


def said_by_check(bundle, keys, folder):
    """Case, status and reason of every case; or the line with which all are refused."""
    arguments = [part for key, value in keys.items() for part in (f"--{key}", value) if part is not True]
    arguments += ["--gesenet"] if bundle == "gesenet" and "dataset_dir" in keys else []
    try:
        check.main([*arguments, "--json", str(folder / "check.json")])
    except InputError as error:
        return str(error)
    return entries(json.loads((folder / "check.json").read_text(encoding="utf-8"))["cases"])


def said_by_inference(bundle, keys):
    """The same by what inference.json loads with."""
    parser = ConfigParser()
    parser.read_config(str(ROOT / f"{bundle}_bundle" / "configs" / "inference.json"))
    parser.update({"bundle_root": str(ROOT / f"{bundle}_bundle"), "output_dir": "", "device": "cpu"})
    parser.update({"import_paths": "$None", "code_version": "$None", "checkpoint": "", **keys})
    log = CaseLog()
    try:
        dataset = parser.get_parsed_content("dataset")
        # MONAI takes a # for its own separator; check_run puts it back on the command line.
        cases = parser.get_parsed_content("cases")
        cases._arguments.arguments.update({key: value for key, value in renamed(keys).items() if "#" in str(value)})
        for number in range(len(dataset)):
            log.add(dataset[number])
    except Exception as error:
        fault = find_input_error(error)
        if fault is None:
            raise
        return str(fault)
    return entries(log.entries)


def renamed(keys):
    """Keys of the bundle -> arguments of what lists the cases."""
    return {{"t1": "first", "flair": "second"}.get(key, key): value for key, value in keys.items()}


def entries(found):
    return [(entry["case"], entry["status"], entry["reason"]) for entry in found]


@pytest.mark.parametrize("kind", [volumes, lists, pictures, pairs_of_volumes, series])
def test_check_and_inference_say_the_same_in_one_line(cases_dir, tmp_path, kind, capfd, caplog):
    """Also on the terminal: libraries that print by themselves count."""
    differences = []
    inputs = list(kind(cases_dir))
    assert len(inputs) >= 10
    for bundle, keys in inputs:
        capfd.readouterr()
        checked = said_by_check(bundle, keys, tmp_path)
        printed = capfd.readouterr()
        caplog.clear()
        loaded = said_by_inference(bundle, keys)
        logged = [record.getMessage() for record in caplog.records]
        count = 1 if isinstance(checked, str) else len(checked)
        # The check ends with the counts.
        lines = [line for line in (printed.out + printed.err).splitlines() if line.strip()]
        assert len(lines) <= count + 1, (keys, lines)
        assert len(logged) + len(capfd.readouterr().err.splitlines()) <= count and "\n" not in "".join(logged), logged
        if checked != loaded:
            differences.append((keys, checked, loaded))
        for reason in [checked] if isinstance(checked, str) else [reason for _, _, reason in checked]:
            assert "\n" not in reason and len(reason) < 1000, reason
    assert not differences


@pytest.mark.full
@pytest.mark.parametrize("bundle", ["rmr_fusion", "gesenet"])
def test_what_the_check_takes_is_fused_and_what_it_refuses_is_refused(cases_dir, tmp_path, bundle):
    """All of the folder in one batch, through the network and the savers."""
    kinds = {"rmr_fusion": [volumes], "gesenet": [pictures, pairs_of_volumes, series]}[bundle]
    inputs = [keys for kind in kinds for name, keys in kind(cases_dir) if name == bundle and True not in keys.values()]
    (tmp_path / "d.json").write_text(
        json.dumps([keys | {"name": f"c{n}", "subject": f"c{n}"} for n, keys in enumerate(inputs)])
    )
    keys = {"datalist": str(tmp_path / "d.json")}
    checked = said_by_check(bundle, keys, tmp_path)
    assert {status for _, status, _ in checked} == {"ok", "warned", "refused"}
    keys |= {"output_dir": tmp_path / "out", "checkpoint": "", "with_weights": False, "device": "cpu"}
    with pytest.raises(SystemExit) as end:
        run_workflow(ROOT / f"{bundle}_bundle", ["inference"], "infer", **keys)
    assert end.value.code == 2
    report = json.loads((tmp_path / "out" / "run_report.json").read_text(encoding="utf-8"))
    assert sorted(entries(report["cases"])) == sorted(checked)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("255", (), "label.nii.gz: 32 voxels of label 255 are left out as not labelled: set ignore_label to None"),
        ("255", ("--ignore_label", "None"), "label.nii.gz: value 255 in the label, expected 0, 1, 2, 3, 4: correct"),
        ("slope", (), ""),
        ("float64", (), ""),
        ("oneclass", (), ""),
    ],
)
def test_check_and_training_take_the_same_labels(cases_dir, tmp_path, caplog, name, options, said):
    datalist = str(cases_dir / f"tr_label_{name}.json")
    code = check.main(["--datalist", datalist, *options, "--json", str(tmp_path / "c.json")])
    refused = "expected" in said
    assert code == (2 if refused else 0)
    reasons = [case["reason"] for case in json.loads((tmp_path / "c.json").read_text())["cases"]]
    assert any(said in reason for reason in reasons) and ("255" in "".join(reasons)) == bool(said)
    caplog.clear()
    allowed = [*range(5), *([] if options else [255])]
    if refused:
        with pytest.raises(InputError, match="value 255 in the label, expected 0, 1, 2, 3, 4: correct"):
            training_cases("training", datalist=datalist, allowed_labels=allowed)
    else:
        training_cases("training", datalist=datalist, allowed_labels=allowed)
        assert sum("32 voxels of label 255 are left out" in line for line in caplog.messages) == bool(said)


COMMANDS = {
    "label": (
        "rmr_fusion",
        "train",
        {"datalist": "{cases}/tr_label_255.json", "ignore_label": "None"},
        "{cases}/label_255/label.nii.gz: value 255 in the label, expected 0, 1, 2, 3, 4: correct the file, or set "
        "classes, label_map or ignore_label.",
    ),
    "device": (
        "rmr_fusion",
        "inference",
        {"t1": "{cases}/base/t1.nii.gz", "flair": "{cases}/base/flair.nii.gz", "device": "cuda:99"},
        "device cuda:99 cannot be used here",
    ),
    "gpu": (
        "gesenet",
        "inference",
        {"mri": "{cases}/pics/mri.png", "other": "{cases}/pics/ct.png", "device": "gpu"},
        "",
    ),
    "missing": ("gesenet", "inference", {"mri": "{cases}/none#1", "other": "{cases}/pics/ct.png"}, "{cases}/none#1"),
    "expression": (
        "gesenet",
        "inference",
        {"mri": "{cases}/pics/mri.png", "other": "{cases}/pics/ct.png", "batch_size": "$@nothing"},
        "ValueError: the referring item `@nothing` is not defined in the config content.",
    ),
    "list": ("rmr_fusion", "inference", {"datalist": "{cases}/README.md"}, "{cases}/README.md: not a readable JSON"),
}
"""Bundle, config, keys, beginning of the line."""


@pytest.mark.full
@pytest.mark.parametrize("name", COMMANDS)
def test_a_refusal_is_at_most_three_lines_on_the_terminal(cases_dir, tmp_path, name):
    """The stock runner itself, a process each: MONAI's line about configs, the reason, where the traceback is."""
    bundle, config, keys, line = COMMANDS[name]
    folder = ROOT / f"{bundle}_bundle"
    places = {"bundle_root": folder, "output_dir": tmp_path / "out"}
    places |= {"ckpt_dir": tmp_path / "out"} if config == "train" else {}
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(folder / "configs" / f"{config}.json")]
    for key, value in {**keys, **places}.items():
        command += [f"--{key}", str(value).format(cases=cases_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    errors = done.stderr.strip().splitlines()
    assert done.returncode == 1 and len(errors) <= 3, done.stderr
    (reason,) = (text for text in errors if text.startswith("error: "))
    assert reason.startswith(f"error: {line.format(cases=cases_dir)}"), reason
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()
