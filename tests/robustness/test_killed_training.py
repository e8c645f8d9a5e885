"""A training that is killed, or finds the disk full, loses no checkpoint and ends with an undisturbed one's bits."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shared_networks.handlers import newest_checkpoint

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the trainings are forked")
ROOT = Path(__file__).resolve().parents[2]
MOMENTS = ("half written", "written", "renamed")
EPOCHS = 5


class Resident:
    """:mod:`tests.robustness.resident_trainer` in a process of its own."""

    def __init__(self, config, keys):
        self.keys = keys
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.robustness.resident_trainer", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )
        assert json.loads(self.process.stdout.readline()) == {"ready": True}

    def train(self, folder, more=None, **order):
        """One training, or one life of it; says how it ended."""
        keys = {**self.keys, "ckpt_dir": str(folder), "output_dir": str(folder / "eval"), **(more or {})}
        self.process.stdin.write(json.dumps({"keys": keys, "log": f"{folder}.log", **order}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def resident(gesenet_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    generator = np.random.default_rng(0)
    for patient in ("1", "2", "3"):
        for side in ("mri", "other"):
            coarse = Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8))
            coarse.resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"{patient}{side}.png")
    items = [{"mri": f"{n}mri.png", "other": f"{n}other.png", "modality": "CT", "case": n} for n in ("1", "2", "3")]
    (folder / "datalist.json").write_text(json.dumps({"training": items[:2], "validation": items[2:]}))
    keys = {"bundle_root": str(gesenet_bundle), "dataset_dir": str(folder), "validation_cases": {}}
    keys |= {"max_epochs": EPOCHS, "iterations_per_epoch": 2, "batch_size": 2, "patch_size": [24, 24]}
    # Without the losses that look through further networks: what is saved and drawn stays the same.
    keys |= {"beta": 0.0, "quality_weight": 0.0, "val_interval": 1, "validation_every": 1}
    resident = Resident(gesenet_bundle / "configs" / "train.json", keys | {"device": "$torch.device('cpu')"})
    yield resident
    resident.process.stdin.close()
    resident.process.wait(timeout=60)


@pytest.fixture(scope="module")
def whole(resident, tmp_path_factory):
    """Folder of the training that was left alone, and its seconds."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    answer = resident.train(folder)
    assert answer["code"] == 0, Path(f"{folder}.log").read_text(encoding="utf-8")[-2000:]
    return folder, answer["seconds"]


def load(path):
    return torch.load(path, weights_only=True)


def flat(content, name=""):
    """Every tensor and value of nested dictionaries and lists, under its place."""
    if isinstance(content, dict | list):
        parts = content.items() if isinstance(content, dict) else enumerate(content)
        return {key: value for part, inner in parts for key, value in flat(inner, f"{name}/{part}").items()}
    return {name: content}


def assert_same_end(whole, folder):
    """The last checkpoint (weights, optimiser, schedule, counters, best value) and the best weights are equal bits."""
    for name in (f"fusion_checkpoint_epoch={EPOCHS}.pt", "model.pt"):
        expected, found = flat(load(whole / name)), flat(load(folder / name))
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            same = torch.equal(value, found[key]) if isinstance(value, torch.Tensor) else value == found[key]
            assert same, (name, key)


def last_epoch(folder):
    """Epoch of the checkpoint that the next run goes on from; every file with a final name must be whole."""
    for path in folder.glob("[!.]*.pt"):
        load(path)
    newest = newest_checkpoint(str(folder), "fusion_checkpoint_*.pt")
    return int(Path(newest).stem.split("=")[1]) if newest else 0


def survive(resident, whole, place, orders):
    """Kill trainings by the orders, one after the other; says at which epochs they were killed."""
    number, epochs, reached = 0, [], 0
    folder = place / "0"
    for order in orders:
        answer = resident.train(folder, **order)
        # A short life may reach the end: then the next training begins.
        while answer.get("code") == 0:
            assert_same_end(whole, folder)
            number, reached = number + 1, 0
            folder = place / str(number)
            answer = resident.train(folder, **order)
        assert answer.get("signal") == signal.SIGKILL, Path(f"{folder}.log").read_text(encoding="utf-8")[-2000:]
        epoch = last_epoch(folder)
        assert epoch >= reached, f"{order}: epoch {reached} was saved, {epoch} is what is left"
        reached = epoch
        epochs.append(epoch)
    assert resident.train(folder)["code"] == 0
    assert_same_end(whole, folder)
    return epochs


def test_five_kills(resident, whole, tmp_path):
    seconds = whole[1]
    orders = [{"moment": moment, "number": 3, "seed": 0} for moment in MOMENTS]
    orders = [{"seconds": 0.6 * seconds}, *orders, {"seconds": 0.3 * seconds}]
    epochs = survive(resident, whole[0], tmp_path, orders)
    # Of two writings an epoch at most, the third comes after a checkpoint was saved.
    assert epochs[1] >= 1


@pytest.mark.full
def test_two_hundred_kills_at_random_moments(resident, whole, tmp_path):
    draw = random.Random(0)
    orders = []
    for number in range(200):
        if number % 2:
            orders.append({"seconds": draw.uniform(0, whole[1])})
        else:
            orders.append({"moment": draw.choice(MOMENTS), "number": draw.randint(1, 3), "seed": number})
    epochs = survive(resident, whole[0], tmp_path, orders)
    assert len(epochs) == 200
    assert set(epochs) >= set(range(EPOCHS))


@pytest.fixture
def one_epoch(resident, tmp_path):
    """Folder of a training of one epoch, and its files."""
    folder = tmp_path / "run"
    resident.keys["max_epochs"] = 1
    try:
        assert resident.train(folder)["code"] == 0
    finally:
        resident.keys["max_epochs"] = EPOCHS
    before = {path.name: path.read_bytes() for path in folder.glob("*.pt")}
    assert before.keys() == {"fusion_checkpoint_epoch=1.pt", "model.pt"}
    return folder, before


def end_of(resident, one_epoch, **order):
    """The last line of a second epoch that must fail and leave the files of the first."""
    folder, before = one_epoch
    assert resident.train(folder, **order)["code"] == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    return Path(f"{folder}.log").read_text(encoding="utf-8").splitlines()[-1]


def test_full_disk_leaves_the_checkpoint_before(resident, one_epoch):
    error = end_of(resident, one_epoch, file_size=700_000)
    assert error.startswith(f"error: {one_epoch[0]}") and "cannot be written (File too large)" in error


def test_a_loss_that_is_no_number_leaves_the_checkpoint_before(resident, one_epoch):
    # Another setting is another training, which would not go on here.
    more = {"loss_function#alpha": 1e300, "resume_from#origin": "$None"}
    error = end_of(resident, one_epoch, more=more)
    assert error.startswith("error: epoch 2, iteration 3: the loss is ")
    assert "(cases: CT_1" in error or "(cases: CT_2" in error


def test_damaged_newest_checkpoint_falls_back_to_the_one_before(resident, whole, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("fusion_checkpoint_epoch=4.pt", "fusion_checkpoint_epoch=5.pt", "model.pt"):
        (folder / name).write_bytes((whole[0] / name).read_bytes())
    stamps = {4: 1_000_000_000, 5: 2_000_000_000}
    for epoch, stamp in stamps.items():
        os.utime(folder / f"fusion_checkpoint_epoch={epoch}.pt", ns=(stamp, stamp))
    newest = folder / "fusion_checkpoint_epoch=5.pt"
    content = bytearray(newest.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)  # a page that never reached the disk
    newest.write_bytes(content)
    os.utime(newest, ns=(2_000_000_000, 2_000_000_000))
    assert resident.train(folder)["code"] == 0
    assert_same_end(whole[0], folder)
    log = Path(f"{folder}.log").read_text(encoding="utf-8")
    assert "epoch=5.pt: unreadable checkpoint is passed over (OSError" in log
