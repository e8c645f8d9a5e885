"""The zip of a bundle: what is in it, that it is the same every time, and what is refused."""

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

import shared_networks
from shared_networks import release
from shared_networks.errors import InputError
from shared_networks.release import MANIFEST, build_release, check_release, release_files
from shared_networks.verify_release import verify_release


@pytest.fixture
def bundle(gesenet_bundle, tmp_path):
    """A copy of the bundle without its large side weights, below a hidden folder."""
    copy = tmp_path / ".hidden" / "gesenet_bundle"
    skipped = shutil.ignore_patterns("semantic.pt", "eval", "__pycache__")
    return Path(shutil.copytree(gesenet_bundle, copy, ignore=skipped))


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_zip_holds_the_bundle_and_its_code_and_the_manifest_names_every_byte(bundle, tmp_path):
    (bundle / "models" / "fusion_checkpoint_epoch=1.pt").write_bytes(b"left by a training")
    (bundle / "models" / "model.pt_tf32.plan").write_bytes(b"left by TensorRT")
    (bundle / "configs" / "__pycache__").mkdir()
    (bundle / "configs" / "__pycache__" / "a.pyc").write_bytes(b"cache")
    (bundle / "docs" / ".DS_Store").write_bytes(b"hidden")
    path = build_release(bundle, tmp_path / "dist")
    assert path == tmp_path / "dist" / f"gesenet_bundle_v{shared_networks.__version__}.zip"
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert {name.split("/")[0] for name in contents} == {"gesenet_bundle"}
    contents = {name.removeprefix("gesenet_bundle/"): content for name, content in contents.items()}
    assert not [name for name in contents if re.search(r"_checkpoint_|\.plan|pycache|/\.", name)]
    code = {path.relative_to(release._PACKAGE) for path in release._PACKAGE.rglob("*.*") if path.suffix != ".pyc"}
    assert {Path(name) for name in contents if name.startswith("shared_networks/")} == {
        Path("shared_networks") / name for name in code
    }
    for name in ("LICENSE", "configs/train.json", "models/model.pt", "docs/README.md", "sample_data/ATTRIBUTION.txt"):
        assert contents[name] == (bundle / name).read_bytes()
    assert contents["README.md"].startswith(b"---\nlicense: apache-2.0\nlibrary_name: monai\n")
    lines = contents.pop(MANIFEST).decode().splitlines()
    hashes = dict(reversed(line.split("  ")) for line in lines)
    assert hashes == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    assert verify_release(path) == {f"gesenet_bundle/{name}": value for name, value in hashes.items()}


def test_same_input_same_bytes(bundle, tmp_path):
    first = build_release(bundle, tmp_path / "1").read_bytes()
    for path in bundle.rglob("*"):
        path.touch()
    assert build_release(bundle, tmp_path / "2").read_bytes() == first
    (bundle / "docs" / "README.md").write_text("other")
    assert build_release(bundle, tmp_path / "3").read_bytes() != first


def weights(change):
    """Weights of the network, changed."""

    def harm(bundle):
        path = bundle / "models" / "model.pt"
        state = torch.load(path, weights_only=True)
        torch.save(change(state, "decoder.0.weight"), path)

    return harm


def metadata(change):
    return lambda bundle: edit_json(bundle / "configs" / "metadata.json", change)


def large_file(bundle):
    with (bundle / "docs" / "large.bin").open("wb") as file:
        file.truncate(release.LARGEST_FILE + 1)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            weights(lambda state, name: {key: state[key] for key in state if key != name}),
            r"model.pt: decoder.0.weight is missing: not the weights of the network",
        ),
        (
            weights(lambda state, name: state | {name: state[name][:3]}),
            r"decoder.0.weight has shape \(3, .*not the weights of the network",
        ),
        (weights(lambda state, name: {"code": Path}), r"cannot be loaded with weights_only=True"),
        (
            metadata(lambda m: m.update(version="99.0.0", changelog=m["changelog"] | {"99.0.0": "?"})),
            r"metadata.json says version 99.0.0, shared_networks \d",
        ),
        (metadata(lambda m: m.update(version="9")), "not in the changelog"),
        (
            metadata(lambda m: m["network_data_format"]["outputs"]["pred"].update(num_channels=5)),
            "the network gives 1 channels, metadata.json says 5",
        ),
        (
            metadata(lambda m: m.update(description="$print(1)")),
            r"metadata.json holds '\$print\(1\)', which MONAI would evaluate; write plain text",
        ),
        (large_file, "larger than 25 MB; list it"),
        (lambda b: (b / "docs" / "link.md").symlink_to(b / "docs" / "README.md"), "link.md: a link"),
        (lambda b: (b / "LICENSE").unlink(), "LICENSE missing"),
        (lambda b: (b / "configs" / "metadata.json").write_text("{"), "metadata.json: not JSON"),
        (lambda b: (b / "large_files.yml").write_text("large_files: [{path: models/model.pt}]"), "no https url"),
        (lambda b: (b / "large_files.yml").write_text("- 3"), "expected a list large_files"),
    ],
)
def test_what_does_not_belong_together_is_refused_and_nothing_is_written(bundle, tmp_path, harm, message):
    harm(bundle)
    with pytest.raises(InputError, match=message):
        build_release(bundle, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_a_large_file_stays_elsewhere_when_it_is_listed(bundle, tmp_path):
    large_file(bundle)
    digest = hashlib.sha256((bundle / "docs" / "large.bin").read_bytes()).hexdigest()
    entry = f"{{path: docs/large.bin, url: 'https://example.org/large.bin', hash_type: sha256, hash_val: {digest}}}"
    (bundle / "large_files.yml").write_text(f"large_files: [{entry}]\n")
    files = release_files(bundle)
    assert "large_files.yml" in files and "docs/large.bin" not in files
    (bundle / "docs" / "large.bin").write_bytes(b"another")
    with pytest.raises(InputError, match=r"its sha256 is not the one in large_files.yml"):
        check_release(bundle)
    # Weights that are not here cannot be compared with the network.
    weights = (bundle / "models" / "model.pt").read_bytes()
    (bundle / "models" / "model.pt").unlink()
    digest = hashlib.md5(weights).hexdigest()
    entry = f"{{path: models/model.pt, url: 'https://example.org/model.pt', hash_type: md5, hash_val: {digest}}}"
    (bundle / "large_files.yml").write_text(f"large_files: [{entry}]\n")
    assert check_release(bundle)["version"] == shared_networks.__version__


def test_command_line_says_where_the_zip_is_or_one_line(bundle, tmp_path, run_module):
    code, printed, _ = run_module("shared_networks.release", bundle, "--out", tmp_path / "dist")
    assert code == 0 and Path(printed.split()[-1]).is_file()
    code, _, errors = run_module("shared_networks.release", tmp_path / "nowhere", "--out", tmp_path / "dist")
    assert code == 1 and errors.strip().splitlines()[-1].startswith("error: ")
