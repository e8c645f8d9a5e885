"""The studies: their statistics by hand, no held-out subject in any training, and all of them in their quick forms."""

import ast
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import gesenet_ablation, gesenet_jobs, gesenet_rivals, quick, rmr_severity, rmr_study
from benchmarks.case_values import mean_over_cases, paired_difference, read_case_values
from benchmarks.gesenet_jobs import METHODS, METRICS, evaluation, read_by_modality, write_pair_list
from benchmarks.rmr_study_plan import CONTESTANTS, Budget, plan, split, write_datalists
from benchmarks.rmr_study_tables import drop, table
from benchmarks.toy_data import write_toy_brains, write_toy_pictures
from shared_networks.errors import InputError


def test_paired_difference_by_hand():
    ours = {"a": 0.5, "b": 0.7, "c": math.nan, "d": 0.1}
    theirs = {"a": 0.4, "b": 0.4, "c": 0.1, "e": 0.3}
    found = paired_difference(ours, theirs)
    assert found["subjects"] == 2 and found["better"] == 2
    assert found["mean"] == pytest.approx(0.2)
    # Two differences, 0.1 and 0.3: a quarter of the resamples is all the one, a quarter all the other.
    assert (found["low"], found["high"]) == (pytest.approx(0.1), pytest.approx(0.3))
    same = paired_difference({"a": 0.2, "b": 0.4}, {"a": 0.3, "b": 0.5})
    assert (same["mean"], same["low"], same["high"], same["better"]) == (*[pytest.approx(-0.1)] * 3, 0)
    assert paired_difference({"a": 1.0}, {"b": 1.0}) is None


def test_bootstrap_interval_of_many_subjects_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(0.3, 1.0, 400)
    names = [str(index) for index in range(values.size)]
    found = paired_difference(dict(zip(names, values, strict=True)), dict.fromkeys(names, 0.0))
    half = 1.96 * values.std() / math.sqrt(values.size)
    assert found["low"] == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found["high"] == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_case_values_of_several_tables(tmp_path):
    (tmp_path / "1.csv").write_text("case,Dice,F1\na,0.5,\nb,0.25,1\n")
    (tmp_path / "2.csv").write_text("case,Dice,F1\na,1,\nc,0,0.5\n")
    values = read_case_values(tmp_path.glob("*.csv"))
    assert values == {"Dice": {"a": 0.75, "b": 0.25, "c": 0.0}, "F1": {"a": None, "b": 1.0, "c": 0.5}}
    assert mean_over_cases(values["F1"]) == 0.75
    assert math.isnan(mean_over_cases({"a": None}))


def test_no_held_out_subject_is_seen_by_a_training(tmp_path):
    unlabelled, held_out = split(str(write_toy_brains(tmp_path / "data", labelled=7, unlabelled=2)), 3)
    assert [case["case"] for case in unlabelled] == ["toy7", "toy8"]
    assert sorted(case["case"] for fold in held_out for case in fold) == [f"toy{index}" for index in range(7)]
    assert [len(fold) for fold in held_out] == [3, 2, 2]
    write_datalists(tmp_path / "work", unlabelled, held_out)

    def subjects(name, *sections):
        content = json.loads((tmp_path / "work" / f"{name}.json").read_text())
        return {item["subject"] for section in sections for item in content.get(section, [])}

    assert subjects("stage1", "training", "unlabelled_training", "validation") == {"toy7", "toy8"}
    for index, fold in enumerate(held_out):
        tested = subjects(f"fold{index}", "test")
        assert tested == {case["case"] for case in fold}
        assert subjects(f"fold{index}", "training", "validation") == {f"toy{n}" for n in range(7)} - tested


def test_all_visits_of_a_person_are_in_one_fold(tmp_path):
    data = write_toy_brains(tmp_path / "data", labelled=7, unlabelled=1)
    path = data / "datalist.json"
    sections = json.loads(path.read_text())
    items = [item for section in ("training", "validation") for item in sections.get(section, [])]
    for item in items[1], items[2], items[5]:
        item["person"] = "A"
    path.write_text(json.dumps(sections))
    _, folds = split(str(data), 2)
    same = {items[index]["subject"] for index in (1, 2, 5)}
    together = [same & {case["case"] for case in fold} for fold in folds]
    assert sorted(map(len, together)) == [0, 3] and sum(map(len, folds)) == 7


def test_a_work_folder_is_of_one_division(tmp_path):
    unlabelled, held_out = split(str(write_toy_brains(tmp_path / "data", labelled=6, unlabelled=1)), 3)
    write_datalists(tmp_path / "work", unlabelled, held_out)
    write_datalists(tmp_path / "work", unlabelled, held_out)
    kept = (tmp_path / "work" / "fold0.json").read_text()
    with pytest.raises(InputError, match=r"study of other folds or data .* give another --work"):
        write_datalists(tmp_path / "work", *split(str(tmp_path / "data"), 2))
    assert (tmp_path / "work" / "fold0.json").read_text() == kept
    with pytest.raises(InputError, match="--held_out 3: there are folds 0 to 2"):
        rmr_study.main(["--dataset_dir", str(tmp_path / "data"), "--held_out", "3", "--work", str(tmp_path / "other")])


def test_too_few_subjects_are_refused(tmp_path):
    data = str(write_toy_brains(tmp_path / "data", labelled=3, unlabelled=1))
    with pytest.raises(InputError, match="3 labelled subjects are too few for 2 folds"):
        split(data, 2)
    with pytest.raises(InputError, match="no unlabelled_training section"):
        split(str(write_toy_brains(tmp_path / "other", labelled=4, unlabelled=0)), 2)


def keys_of(job):
    words = job.words[2:]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_every_contestant_gets_the_same_budget_and_its_own_configs(tmp_path):
    jobs = plan(list(CONTESTANTS), range(2), [0, 1], Budget(80, 40), tmp_path)
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names)
    trainings = [job for job in jobs if job.name.endswith("/train")]
    trained = [name for name, contestant in CONTESTANTS.items() if not contestant.rival]
    assert len(trainings) == 4 * len(trained)
    for job in trainings:
        keys = keys_of(job)
        assert (keys["--max_epochs"], keys["--iterations_per_epoch"]) == ("2", "20")
        assert ("--autoencoder_checkpoint" in keys) == bool(job.needs)
        assert int(keys["--val_interval"]) > 2
    for index, job in enumerate(jobs):
        assert set(job.needs) <= set(names[:index])
        keys = keys_of(job)
        for path in ast.literal_eval(keys["--config_file"]):
            assert json.loads(Path(path).read_text())
        if "--section" in keys:
            assert keys["--section"] == "test"
            assert keys["--datalist"].endswith(f"fold{job.name.split('/')[1][4]}.json")


def test_tables_of_the_study_by_hand():
    def contestant(title, clean, degraded, fuses=False):
        def values(dice):
            names = ("Dice_CSF", "Dice_GM", "Dice_WM", "Dice_WML", "Dice_mean", "F1_WML", "HD95_WML")
            return {name: {"a": dice, "b": dice + 0.2} for name in names} | {"SCD": {"a": 1.0, "b": 2.0}}

        entry = {"title": title, "segments": True, "fuses": fuses}
        return entry | {"clean": values(clean), "degraded": values(degraded)}

    ours, other = contestant("ours", 0.5, 0.4, fuses=True), contestant("other", 0.4, 0.1)
    alone = contestant("UNet alone", 0.5, 0.4)
    assert drop(ours) == {"a": pytest.approx(0.1), "b": pytest.approx(0.1)}
    result = {
        "contestants": {"ours": ours, "other": other, "ours_unet": other, "unet_alone": alone},
        "data": "data",
        "folds": [["a"], ["b"]],
        "folds_of_the_division": 3,
        "seeds": [0],
        "steps": 2,
        "stage1_steps": 3,
        "stage1_subjects": ["c"],
        "command": "c",
        "date": "d",
        "hardware": "h",
    }
    lines = table(result).splitlines()
    assert "| ours | degraded | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 | 0.1000 |" in lines
    assert (
        "| other | +0.100 [+0.100, +0.100], 2 of 2 | +0.300 [+0.300, +0.300], 2 of 2 "
        "| +0.100 [+0.100, +0.100], 2 of 2 | +0.300 [+0.300, +0.300], 2 of 2 | -0.200 [-0.200, -0.200], 0 of 2 |"
    ) in lines
    assert (
        "| UNet | -0.100 [-0.100, -0.100], 0 of 2 | -0.300 [-0.300, -0.300], 0 of 2 "
        "| -0.100 [-0.100, -0.100], 0 of 2 | -0.300 [-0.300, -0.300], 0 of 2 | +0.200 [+0.200, +0.200], 2 of 2 |"
    ) in lines
    assert "| ours | clean |  |  |  | 1.500 |  |  |  |  |  |" in lines


def test_a_rival_has_no_curves(tmp_path):
    rmr_study.draw_curves(["average"], [0], [0], tmp_path, tmp_path / "losses")
    assert list(tmp_path.iterdir()) == []


def test_pair_lists_and_evaluations_of_gesenet(tmp_path):
    data = write_toy_pictures(tmp_path / "data")
    assert write_pair_list(tmp_path / "all.json", str(data)) == 2
    assert write_pair_list(tmp_path / "half.json", str(data), every=2) == 1
    with pytest.raises(InputError):
        write_pair_list(tmp_path / "none.json", str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="first metric must be SSIM"):
        evaluation("maximum", "f", "pairs", {}, tmp_path, metrics=("SCD",))
    (tmp_path / "t.csv").write_text("case,modality,SSIM,SCD\na,CT,0.5,1\nb,PET,0.25,2\nc,CT,1,3\n")
    values = read_by_modality([tmp_path / "t.csv"], ("SSIM", "SCD"))
    assert values == {"CT": {"SSIM": [0.5, 1.0], "SCD": [1.0, 3.0]}, "PET": {"SSIM": [0.25], "SCD": [2.0]}}


def test_every_method_is_measured_with_its_weights(tmp_path, monkeypatch):
    parser = gesenet_jobs.pairs_parser("gesenet_rivals", METHODS)
    words = ["--dataset_dir", str(write_toy_pictures(tmp_path / "data")), "--work", str(tmp_path / "work")]
    given = gesenet_jobs.parse_pairs(parser, [*words, "--checkpoint", "own.pt", "--released", "released.pt"])
    seen = {}
    monkeypatch.setattr(
        gesenet_jobs, "finish", lambda jobs, *more: seen.update({job.name: keys_of(job) for job in jobs})
    )
    monkeypatch.setattr(gesenet_jobs, "read_by_modality", lambda *given: {})
    gesenet_jobs.measure(given, {name: (name, {"shift": 3} if name == "maximum" else {}) for name in METHODS})
    weights = {name.split("/")[1]: Path(keys.get("--checkpoint", "")).name for name, keys in seen.items()}
    own = dict.fromkeys(("gesenet", "gesenet_as_given"), "own.pt") | {"released_gesenet": "released.pt"}
    assert weights == dict.fromkeys(METHODS, "") | own
    disturbed = [name for name, keys in seen.items() if "evaluate_disturbed" in keys["--config_file"]]
    assert disturbed == ["harvard_test/maximum"] and seen[disturbed[0]]["--shift"] == "3"
    assert gesenet_jobs.chosen_pairs(given)[3:5] == ["--checkpoint FILE", "--released CHECKPOINT"]


@pytest.mark.parametrize("study", [rmr_study, rmr_severity, gesenet_rivals, gesenet_ablation])
def test_a_command_without_data_is_one_line(study, capsys):
    with pytest.raises(SystemExit) as end:
        study.main([])
    assert end.value.code == 2
    assert "give --dataset_dir" in capsys.readouterr().err


def test_all_studies_in_their_quick_forms(tmp_path):
    reports = quick.main(["--out", str(tmp_path)])
    assert set(reports) == set(quick.STUDIES)
    for name, report in reports.items():
        assert report["command"] == f"python -m benchmarks.{name} --quick"
    for stem in ("rmr_study_losses", "rmr_severity", "gesenet_rivals_toy", "gesenet_disturbed_toy"):
        with Image.open(tmp_path / f"{stem}.png") as picture:
            assert min(picture.size) > 300 and picture.convert("L").getextrema()[0] < 100
    for path in tmp_path.glob("*.md"):
        assert "nan" not in path.read_text() and "| " in path.read_text()

    contestants = reports["rmr_study"]["contestants"]
    for entry in contestants.values():
        for condition in ("clean", "degraded"):
            assert set(entry[condition]["Dice_mean"]) == {"toy0", "toy1", "toy2", "toy3"}
            assert all(0 <= value <= 1 for value in entry[condition]["Dice_mean"].values())
    settings = reports["rmr_severity"]["methods"]["ours"]["settings"]
    assert set(settings) == {"none", "noise_3", "blur_3", "structure_loss_3"}
    assert len({values["Dice_mean"]["toy0"] for values in settings.values()}) == 4
    assert set(reports["gesenet_rivals"]["methods"]) <= set(METHODS)
    assert set(reports["gesenet_rivals"]["methods"]["maximum"]["CT"]) == set(METRICS)
    variants = reports["gesenet_ablation"]["variants"]
    assert variants["without_region_mask"]["parameters"] < variants["complete"]["parameters"] == 240585
    assert variants["without_region_mask"]["principal_mri"] is None
    assert 0 <= variants["complete"]["principal_mri"] <= 1
    for kinds in reports["gesenet_disturbed"]["methods"].values():
        for metrics in kinds.values():
            (first, clean), (last, disturbed) = metrics["SSIM"]
            assert first == 0 < last and disturbed < clean
    by_modality = reports["gesenet_disturbed"]["modalities"]["maximum"]
    for kind, metric in (("noise_std", "SSIM"), ("shift", "Qabf")):
        means = reports["gesenet_disturbed"]["methods"]["maximum"][kind][metric]
        for index, (value, mean) in enumerate(means):
            assert [values[index][0] for values in by_modality[kind].values()] == [value] * len(by_modality[kind])
            assert mean == pytest.approx(np.mean([values[index][1] for values in by_modality[kind].values()]))
