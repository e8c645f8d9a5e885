"""What MONAI's clients and a user expect of the files of both bundles, checked before anything is run."""

import json
import re
from pathlib import Path
from pydoc import locate

import jsonschema
import numpy as np
import pytest
from monai.bundle import ComponentLocator, ConfigWorkflow, ReferenceResolver, verify_net_in_out

import shared_networks
from shared_networks.errors import InputError
from shared_networks.nets import GeSeNet, RMRFusionNet
from tests.bundles.bundle_runs import LISTS, config_files, parse, walk

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "tests" / "monai_schema" / "meta_schema_20240725.json"
BUNDLES = {name: ROOT / name for name in LISTS}
ALL = [(bundle, names) for bundle, lists in LISTS.items() for names in lists]
CONFIGS = [path for bundle in BUNDLES.values() for path in sorted(bundle.glob("configs/*.json"))]
NETWORKS = {"gesenet_bundle": GeSeNet, "rmr_fusion_bundle": RMRFusionNet}
# Key of the input with its channels, key of the output with its channels: the fused volume is a channel, but no label.
FORMATS = {
    "gesenet_bundle": ("image", 2, "pred", 1, ["fused image"]),
    "rmr_fusion_bundle": ("image", 2, "pred", 6, ["background", "CSF", "GM", "WM", "WML"]),
}
TRAININGS = [name for name in ALL if name[1] in ("train", "train_autoencoder")]


def read(bundle, name):
    """Content of one file of configs/."""
    return json.loads((BUNDLES[bundle] / "configs" / f"{name}.json").read_text(encoding="utf-8"))


def references_in(part) -> set[str]:
    """Ids that the texts of a config refer to."""
    return {
        reference
        for text in walk(part)
        if isinstance(text, str) and text.startswith(("$", "@", "%"))
        for reference in ReferenceResolver.match_refs_pattern(text.replace("%", "@"))
    }


def workflow_of(bundle, names, kind, **keys):
    """An initialised workflow on the CPU."""
    keys = {"workflow_type": kind, "logging_file": False, "bundle_root": str(BUNDLES[bundle]), **keys}
    workflow = ConfigWorkflow(config_files(BUNDLES[bundle], names), **keys)
    workflow.initialize()
    return workflow


# --- metadata and files


@pytest.mark.parametrize("bundle", BUNDLES)
def test_metadata_keeps_to_the_schema_and_describes_the_network(bundle):
    metadata = read(bundle, "metadata")
    jsonschema.validate(metadata, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert metadata["schema"].endswith(SCHEMA.name)
    assert metadata["version"] == shared_networks.__version__ and metadata["version"] in metadata["changelog"]
    image, pred = (next(iter(metadata["network_data_format"][part].items())) for part in ("inputs", "outputs"))
    *expected, names = FORMATS[bundle]
    assert [image[0], image[1]["num_channels"], pred[0], pred[1]["num_channels"]] == expected
    assert list(pred[1]["channel_def"].values()) == names == read(bundle, "inference").get("class_names", names)
    # pip names; what a bundle needs beside MONAI must be what the repository installs.
    assert set(metadata["required_packages_version"]) <= set((ROOT / "requirements.txt").read_text().split())


@pytest.mark.parametrize(("bundle", "size"), [("gesenet_bundle", 1), ("gesenet_bundle", 33), ("rmr_fusion_bundle", 1)])
def test_network_takes_and_gives_what_metadata_says(bundle, size):
    """One voxel is the hardest size."""
    (metadata,), (config,) = (config_files(BUNDLES[bundle], name) for name in ("metadata", "inference"))
    verify_net_in_out("network_def", metadata, config, device="cpu", any=size, bundle_root=str(BUNDLES[bundle]))


@pytest.mark.parametrize("bundle", BUNDLES)
def test_files_that_a_release_needs(bundle):
    names = ["LICENSE", "docs/README.md", "docs/data_license.txt", "models/model.pt", "configs/logging.conf"]
    names += [f"configs/{name}.json" for name in ("evaluate", "multi_gpu_train", "multi_gpu_evaluate")]
    for name in names:
        assert (BUNDLES[bundle] / name).stat().st_size > 0, name
    text = (BUNDLES[bundle] / "sample_data" / "ATTRIBUTION.txt").read_text()
    assert "Creative Commons" in text and "10.1007/s12021-017-9348-7" in text and "Changes made" in text


# --- names and references


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_config_names_what_exists(path):
    locator = ComponentLocator()
    for part in walk(json.loads(path.read_text(encoding="utf-8"))):
        if isinstance(part, dict) and "_target_" in part:
            target = part["_target_"]
            if "." in target:
                assert callable(locate(target)), target
            else:
                assert locator.get_component_module_name(target), target
            if target.startswith("shared_networks."):
                # The code's version is checked on the way to the network, and needs the paths itself.
                assert part["_requires_"] in ("@import_paths", "@check_run", "@code_version"), target
        elif isinstance(part, str):
            assert not part.startswith(("/", "~")), part


@pytest.mark.parametrize(("bundle", "names"), ALL)
def test_every_reference_of_a_config_list_is_there(bundle, names):
    parser = parse(BUNDLES[bundle], names)
    references = references_in(parser.get())
    assert len(references) > (3 if names == "two_stage" else 40)
    missing = []
    for reference in references:
        try:
            parser[reference]
        except (KeyError, ValueError, IndexError, TypeError):
            missing.append(reference)
    assert missing == []


@pytest.mark.parametrize(("bundle", "names"), [(bundle, names) for bundle, names in ALL if "+" in names])
def test_an_overlay_names_keys_that_its_base_has_or_uses(bundle, names):
    """A mistyped id of an overlay would be a new item that nothing looks at."""
    base, _, overlay = names.rpartition("+")
    base, merged = parse(BUNDLES[bundle], base), parse(BUNDLES[bundle], names)
    references = references_in(merged.get())
    # One overlay may be for several programs.
    programs = [read(bundle, program) for program in ("train", "evaluate", "inference")]
    for key in read(bundle, overlay):
        key = key.removeprefix("+")
        parent = key.rpartition("#")[0]
        known = key in base or key in references or (parent and parent in base)
        known = known or any(key in program for program in programs)
        assert known or overlay.startswith(("multi_gpu", "evaluate")), key


@pytest.mark.parametrize("bundle", BUNDLES)
def test_references_are_those_that_tools_look_for(bundle):
    content = read(bundle, "inference")
    assert content["dataset"]["transform"] == "@preprocessing"
    assert content["evaluator"]["postprocessing"] == "@postprocessing"
    assert content["evaluator"]["val_handlers"] == "@handlers"
    assert all(isinstance(handler, dict) and "_target_" in handler for handler in content["handlers"])
    text = (BUNDLES[bundle] / "configs" / "inference.json").read_text()
    ours = re.findall(r'"_target_": "shared_networks[^"]*",\s*"([^"]*)"', text)
    assert ours and set(ours) == {"_requires_"}


@pytest.mark.parametrize(("bundle", "names"), [(bundle, names) for bundle, names in ALL if "+" not in names])
def test_program_can_be_run_by_either_id(bundle, names):
    config = read(bundle, names)
    assert config["inferring" if names == "inference" else "training"] == "%run"
    assert config["initialize"][:2] == ["@import_paths", "@stages" if names == "two_stage" else "@check_run"]
    assert {"run", "finalize"} <= config.keys()
    assert (config["bundle_root"], config["dataset_dir"]) == (".", "")
    assert not any("@network" in str(step) for step in config["initialize"])
    evaluation = read(bundle, "evaluate")
    assert evaluation["evaluating"] == "%run" and {"run", "finalize", "initialize"} <= evaluation.keys()
    # Every program finds the code in the same way, from whatever folder it is started.
    assert config["import_paths"] == read("gesenet_bundle", "inference")["import_paths"]


@pytest.mark.parametrize("bundle", BUNDLES)
def test_inference_builds_the_network_that_was_trained(bundle):
    inference, train = read(bundle, "inference"), read(bundle, "train")
    names = {"network_def", *({"roi_size", "percentiles"} if "rmr" in bundle else ())}
    seen = {"check_run"}  # what it asks for is another thing
    while names - seen:
        name = (names - seen).pop()
        seen.add(name)
        assert inference[name] == train[name], name
        names |= references_in(train[name])
    assert len(seen) > 6


@pytest.mark.parametrize("key", ["train#handlers", "validate#key_metric", "validate#additional_metrics"])
@pytest.mark.parametrize(("bundle", "names"), TRAININGS)
def test_what_clients_edit_is_literal(bundle, names, key):
    content = parse(BUNDLES[bundle], names)[key]
    assert content
    for item in content.values() if isinstance(content, dict) else content:
        assert "_target_" in item


# --- workflows


@pytest.mark.parametrize("names", ["inference", "inference+inference_trt"])
@pytest.mark.parametrize("bundle", BUNDLES)
def test_inference_parses_with_everything_empty_and_has_all_properties(bundle, names, tmp_path):
    workflow = workflow_of(bundle, names, "infer", device="cpu", output_dir=str(tmp_path))
    assert workflow.check_properties() == []
    assert isinstance(workflow.network_def, NETWORKS[bundle])
    if bundle == "gesenet_bundle":
        with pytest.raises(InputError, match="no images given"):
            len(workflow.dataset)
    else:
        assert len(workflow.dataset) == 0


TRAINED = ["train", "train+evaluate", "train+evaluate+evaluate_maximum", "train_semantic"]
TRAINED = [("gesenet_bundle", names) for names in TRAINED] + [
    ("rmr_fusion_bundle", names)
    for names in ("train", "train_autoencoder", "train+evaluate", "train+head_only+evaluate")
]


@pytest.mark.parametrize(("bundle", "names"), TRAINED)
def test_training_has_all_properties(bundle, names, pairs, write_brains, tmp_path):
    keys = {"device": "cpu", "ckpt_dir": str(tmp_path / "models"), "output_dir": str(tmp_path / "eval")}
    if names == "train_semantic":
        item = {"image": np.zeros((1, 96, 96), np.float32), "label": np.zeros((1, 96, 96), np.uint8), "modality": "CT"}
        keys |= {f"{part}#dataset#data": [item] for part in ("train", "validate")}
    elif bundle == "gesenet_bundle":
        keys |= {"dataset_dir": str(pairs), "validation_cases": {"CT": ["2"]}, "beta": 0}
    else:
        keys |= {"dataset_dir": str(write_brains(tmp_path / "brains", training=1, validation=1))}
    assert workflow_of(bundle, names, "train", **keys).check_properties() == []


@pytest.mark.parametrize(("bundle", "name"), TRAININGS)
def test_a_training_goes_on_with_several_processes(bundle, name):
    """What one process began is the same training to several."""
    origins = []
    for names in (name, f"{name}+multi_gpu_{name}"):
        parser = parse(BUNDLES[bundle], names, **{f"{part}#dataset#data": [] for part in ("train", "validate")})
        origins.append(parser.get_parsed_content("training_origin"))
    assert origins[0].state_dict()["settings"]["network_def"]
    assert origins[1].differences(origins[0].state_dict()) == []


@pytest.mark.parametrize(("bundle", "name"), TRAININGS)
def test_a_process_without_a_case_of_its_own_validates_on_another_ones(bundle, name, monkeypatch):
    monkeypatch.setattr("torch.distributed.get_world_size", lambda *_: 3)
    for rank in (0, 2):
        monkeypatch.setattr("torch.distributed.get_rank", lambda *_, rank=rank: rank)
        parser = parse(BUNDLES[bundle], f"{name}+multi_gpu_{name}", **{"validate#dataset": ["one case"]})
        assert list(parser.get_parsed_content("validate#sampler")) == [0]


@pytest.mark.parametrize("bundle", BUNDLES)
def test_an_evaluation_has_a_case_for_every_process(bundle):
    parser = parse(BUNDLES[bundle], "train+evaluate+multi_gpu_evaluate")
    assert parser["check_run#for_each_process"] == ["validate#dataset#data"]
    assert parser["validate#sampler#even_divisible"] is False  # none is scored twice


SOURCES = {
    "open_ms": ("open_ms_data", "Lesjak"),
    "mahdi_ms5": ("Sim-Vent-WMH-Seg", "2506.07123"),
    "mahdi_ms10": ("MRI_MS_Insights", "MRI_MS_Insights"),
    "NiChart": ("CBICA/NiChart_Project", "NiChart"),
}
"""Name in the documentation of RMR-Fusion -> names in the file of licences and in the metadata."""


def test_the_terms_of_every_training_source_are_told(rmr_bundle):
    text = (rmr_bundle / "docs" / "README.md").read_text(encoding="utf-8")
    data = text.partition("\n## Data\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"\b(\w+_ms\d*)-", data)) | ({"NiChart"} if "NiChart" in data else set())
    assert named == SOURCES.keys()
    terms = (rmr_bundle / "docs" / "data_license.txt").read_text(encoding="utf-8")
    source = json.loads((rmr_bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))["data_source"]
    for name in named:
        assert SOURCES[name][0] in terms and SOURCES[name][1] in source, name


@pytest.mark.parametrize(
    ("document", "pattern", "config", "key"),
    [
        ("inference.md", r"`--lesion_threshold` \((\S+)\)", "inference", "lesion_threshold"),
        ("inference.md", r"`--bright_lesion_threshold` \((\S+)\)", "inference", "bright_lesion_threshold"),
        ("inference.md", r"`--lesion_brightness` \((\S+)\)", "inference", "lesion_brightness"),
        ("inference.md", r"`--lesion_white_matter` \((\S+)\)", "inference", "lesion_white_matter"),
        ("inference.md", r"`--smallest_lesion_ml` \((\S+)\)", "inference", "smallest_lesion_ml"),
        ("differences.md", r"(\d+ %) of the versions of a case are degraded", "train", "degraded_share"),
        ("differences.md", r"one modality is missing in (\d+ %)", "train", "modality_dropout"),
        ("results.md", r"`mean_probability` below (\S+) ", "inference", "review_limits#mean_probability"),
    ],
)
def test_documents_name_the_values_that_the_configs_have(document, pattern, config, key, rmr_bundle):
    (said,) = re.findall(pattern, (rmr_bundle / "docs" / document).read_text(encoding="utf-8"))
    value = float(said.removesuffix(" %")) / (100 if said.endswith("%") else 1)
    assert value == parse(rmr_bundle, config)[key]


def test_inference_and_evaluation_have_the_same_rules_of_lesions(rmr_bundle):
    config = parse(rmr_bundle, "inference")
    certainty, split, *_ = config.get_parsed_content("postprocessing").transforms
    evaluated = parse(rmr_bundle, "train+evaluate").get_parsed_content("split")
    places = {"mask_key", "probability_key"}
    assert {name for name, value in vars(evaluated).items() if value != vars(split)[name]} <= places
    keys = ("bright_lesion_threshold", "lesion_brightness", "lesion_threshold", "smallest_lesion_ml")
    assert all(vars(split)[key] == config[key] for key in keys)
    # What is uncertain is what only one of the two thresholds takes.
    assert certainty.uncertain == (split.bright_lesion_threshold, split.lesion_threshold)


@pytest.mark.parametrize(
    ("names", "network"),
    [("train+evaluate", "network"), ("train+evaluate+evaluate_average+evaluate_gesenet", "picture_network")],
)
def test_an_evaluation_loads_its_weights_unless_it_is_told_not_to(names, network):
    for with_weights in (True, False):
        parser = parse(BUNDLES["rmr_fusion_bundle"], names, with_weights=with_weights)
        (number,) = (n for n, item in enumerate(parser["validate#handlers"]) if "load_path" in item)
        loader = parser.get_parsed_content(f"validate#handlers#{number}")
        assert loader.network is parser.get_parsed_content(network) if with_weights else loader is None


def test_no_handler_is_named_by_its_place():
    """One put before it would change what an overlay or a command means."""
    for path in (*CONFIGS, *ROOT.glob("*_bundle/docs/*.md")):
        assert not re.search(r"handlers#\d", path.read_text(encoding="utf-8")), path
