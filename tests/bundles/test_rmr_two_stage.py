"""two_stage.json against the files of its two stages."""

import json
from pathlib import Path

from monai.bundle import ConfigParser

from shared_networks.runner.two_stage import MARKER, PROGRAM, SHARED, join_stages, main, prefix_references

BUNDLE = Path(__file__).resolve().parents[2] / "rmr_fusion_bundle"


def read(name):
    """Content of one file of configs/."""
    return json.loads((BUNDLE / "configs" / f"{name}.json").read_text(encoding="utf-8"))


def test_two_stage_file_is_what_the_command_makes(tmp_path):
    (tmp_path / "configs").mkdir()
    for name in ("train", "train_autoencoder"):
        (tmp_path / "configs" / f"{name}.json").write_text(json.dumps(read(name)))
    main([str(tmp_path)])
    made = (tmp_path / "configs" / "two_stage.json").read_text(encoding="utf-8")
    assert made == (BUNDLE / "configs" / "two_stage.json").read_text(encoding="utf-8"), (
        "run python -m shared_networks.runner.two_stage rmr_fusion_bundle"
    )


def test_each_half_of_two_stage_is_its_own_file_but_for_the_links():
    both, first, second = read("two_stage"), read("train_autoencoder"), read("train")
    moved = {"autoencoder_checkpoint", "resume_from"}
    for name in second.keys() - moved - set(PROGRAM):
        assert both[name] == second[name], name
    resume = dict(both["resume_from"])
    assert resume.pop("_disabled_") == "$not @stage1_completion.was_complete"
    assert resume == second["resume_from"]

    assert both["stage1"].keys() == first.keys() - set(SHARED) - set(PROGRAM)
    assert both["stage1"]["training_origin"].pop("under") == "stage1"
    assert both["stage1"]["resume_from"].pop("_disabled_") == "$@stage1_completion.was_complete"
    for name in both["stage1"].keys() - {"output_dir", "cache_rate"}:
        # The other way round: what stands under stage1 without its prefix is the file.
        text = json.dumps(both["stage1"][name]).replace("@stage1#", "@")
        assert json.loads(text) == first[name], name
    for name in SHARED:
        assert first[name] == second[name], name
    assert both["run"][2:] == second["run"]
    assert both["run"][0] == prefix_references(first["run"][0], ["train", "checkpoint_handlers"], "stage1")


def test_references_that_move_get_the_prefix_and_others_do_not():
    config = {"a": "@train#sampler", "b": ["$dict(@loss.parts) + @seed", 3], "_requires_": "@import_paths"}
    assert prefix_references(config, ["train", "loss"], "stage1") == {
        "a": "@stage1#train#sampler",
        "b": ["$dict(@stage1#loss.parts) + @seed", 3],
        "_requires_": "@import_paths",
    }


def test_the_marker_depends_on_every_setting_of_stage_1():
    first = read("train_autoencoder")
    settings = join_stages(first, read("train"))["stage1_completion"]["settings"]
    assert {
        "learning_rate",
        "patch_size",
        "alpha",
        "noise_std",
        "seed",
        "dataset_dir",
        "percentiles",
        "contents",
    } <= settings.keys()
    assert not {"ckpt_dir", "output_dir", "device", "num_workers", "network", "train"} & settings.keys()
    parser = ConfigParser()
    parser.read_config(str(BUNDLE / "configs" / "two_stage.json"))
    parser.update({"bundle_root": str(BUNDLE), "ckpt_dir": "nowhere"})
    values = parser.get_parsed_content("stage1_completion#settings")
    assert values["patch_size"] == first["patch_size"] != read("train")["patch_size"]
    completion = parser.get_parsed_content("stage1_completion")
    assert (completion.path, completion.was_complete) == (Path("nowhere") / MARKER, False)
