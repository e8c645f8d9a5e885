"""The launcher of two stages, with stages that take no time."""

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigWorkflow, run

from shared_networks.runner.one_line_errors import find_input_error

BUNDLE = Path(__file__).resolve().parents[2] / "rmr_fusion_bundle"


class Origin:
    """Settings of a stage, as TrainingOrigin has them."""

    def __init__(self, **settings):
        self.settings = settings

    def state_dict(self):
        return dict(self.settings)


class Trainer:
    """Writes what a stage got, and stops at ``stop`` epochs; ``epochs`` of 0 write nothing."""

    def __init__(self, path, epochs, stop, **got):
        self.path, self.epochs, self.stop, self.got = Path(path), epochs, stop, got
        self.state = self
        self.epoch = 0

    def run(self):
        self.epoch = min(self.epochs, self.stop)
        if self.got.get("makes", True):
            self.path.write_text(json.dumps(self.got))


@pytest.fixture
def bundle(tmp_path):
    """A bundle whose stages write autoencoder.pt and model.pt: what keys they were given."""
    folder = tmp_path / "bundle" / "configs"
    folder.mkdir(parents=True)
    here = "tests.runner.test_two_stage"
    common = {
        "bundle_root": ".",
        "import_paths": None,
        "dataset_dir": "",
        "datalist": "",
        "ckpt_dir": "",
        "output_dir": "out",
        "resume": True,
        "seed": 0,
        "max_epochs": 3,
        "name": "",
    }
    for number, (name, product) in enumerate((("first", "autoencoder.pt"), ("second", "model.pt"))):
        got = {key: f"@{key}" for key in ("dataset_dir", "seed", "max_epochs", "resume", "output_dir", "name")}
        stage = common | {
            "makes": True,
            "stop": 100,
            "training_origin": {"_target_": f"{here}.Origin", "seed": "@seed", "name": "@name"},
            "check_run": {
                "_target_": "shared_networks.runner.check_run",
                "required": [{"any_of": ["dataset_dir"], "remedy": "give --dataset_dir FOLDER"}],
                "not_empty": ["train#trainer#got"],
            },
            "train": {
                "trainer": {
                    "_target_": f"{here}.Trainer",
                    "path": f"$@ckpt_dir + '/{product}'",
                    "epochs": "@max_epochs",
                    "stop": "@stop",
                    "makes": "@makes",
                    "got": ["anything"],
                    **got,
                }
            },
            "initialize": ["@check_run"],
            "run": ["$@train#trainer.run()"],
            "finalize": [],
        }
        stage["best_checkpoint"] = {"_target_": f"{here}.Product", "path": f"$@ckpt_dir + '/{product}'"}
        if number:
            stage["weights"] = "none.pt"
            stage["train"]["trainer"]["weights"] = "@weights"
            stage["check_run"]["required"].append({"any_of": ["weights"], "remedy": "train stage 1 first"})
        (folder / f"{name}.json").write_text(json.dumps(stage))
    launcher = json.loads((BUNDLE / "configs" / "two_stage.json").read_text(encoding="utf-8"))
    launcher["output_dir"] = "out"
    launcher["stages"] |= {"first": "first.json", "second": "second.json", "product": "weights"}
    (folder / "two_stage.json").write_text(json.dumps(launcher))
    return folder.parent


class Product:
    """What names the file that a stage makes."""

    def __init__(self, path):
        self.path = path


@pytest.fixture
def train(bundle, tmp_path):
    """Function (keys) -> what the stages were given, by file; None for a stage that did not run."""

    def call(**keys):
        made = [tmp_path / name for name in ("autoencoder.pt", "model.pt")]
        before = [path.stat().st_mtime_ns if path.is_file() else 0 for path in made]
        given = {"bundle_root": str(bundle), "dataset_dir": str(bundle), "ckpt_dir": str(tmp_path), **keys}
        run(run_id="training", config_file=str(bundle / "configs" / "two_stage.json"), logging_file=False, **given)
        times = [path.stat().st_mtime_ns for path in made]
        return [
            json.loads(path.read_text()) if now != then else None
            for path, now, then in zip(made, times, before, strict=True)
        ]

    return call


def test_each_stage_gets_its_keys_and_both_the_shared_ones(train, bundle, tmp_path):
    first, second = train(**{"stage1#max_epochs": 2, "seed": 7, "name": "b#1", "stage1#name": "a#2", "output_dir": "o"})
    assert (first["max_epochs"], second["max_epochs"]) == (2, 3)
    assert (first["seed"], second["seed"]) == (7, 7)
    assert (first["name"], second["name"]) == ("a#2", "b#1")
    assert (first["output_dir"], second["output_dir"]) == (str(Path("o") / "stage1"), "o")
    assert first["dataset_dir"] == second["dataset_dir"] == str(bundle)
    assert second["weights"] == str(tmp_path / "autoencoder.pt")
    assert second["resume"] is False  # what is there belongs to another first stage


def test_a_complete_stage_is_skipped_and_one_with_other_settings_is_not(train, tmp_path):
    assert train()[0] is not None
    first, second = train()
    assert first is None and second["resume"] is True
    assert train(**{"stage1#max_epochs": 2})[0] is None
    assert train(**{"stage1#max_epochs": 4})[0]["max_epochs"] == 4
    assert train(**{"stage1#max_epochs": 4, "stage1#name": "c"})[0]["name"] == "c"
    assert train(**{"stage1#max_epochs": 4, "stage1#name": "c"})[0] is None
    for text in ("{", "[]", "{}"):
        (tmp_path / "autoencoder_complete.json").write_text(text)
        assert train()[0] is not None


def test_a_stage_that_was_stopped_is_not_complete(train, tmp_path):
    train(**{"stage1#stop": 1})
    assert not (tmp_path / "autoencoder_complete.json").exists()
    assert train()[0] is not None


def refusal(train, **keys):
    with pytest.raises(Exception) as caught:
        train(**keys)
    return str(find_input_error(caught.value))


def test_a_stage_that_makes_nothing_says_why(train):
    assert "set its val_interval to at most its max_epochs" in refusal(train, **{"stage1#makes": False})


def test_wrong_keys_and_data_of_either_stage_are_refused_before_the_first(train, tmp_path):
    assert refusal(train, max_epoch=3).startswith("unknown key 'max_epoch' (did you mean 'max_epochs'")
    line = refusal(train, **{"stage1#max_epoch": 3})
    assert line.startswith("unknown key 'stage1#max_epoch' (did you mean 'stage1#max_epochs'")
    assert refusal(train, dataset_dir="").startswith("dataset_dir is not set: give --dataset_dir FOLDER")
    assert not (tmp_path / "autoencoder.pt").exists()


def test_a_workflow_made_by_hand_is_the_same(bundle, tmp_path):
    keys = {"bundle_root": str(bundle), "dataset_dir": str(bundle), "ckpt_dir": str(tmp_path), "stage1#name": "d"}
    workflow = ConfigWorkflow(str(bundle / "configs" / "two_stage.json"), logging_file=False, **keys)
    workflow.initialize()
    workflow.run()
    assert json.loads((tmp_path / "autoencoder.pt").read_text())["name"] == "d"
