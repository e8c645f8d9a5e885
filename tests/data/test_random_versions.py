"""Versions of cases: which are held when, that they depend on their number alone, and what is encoded."""

import numpy as np
import pytest
import torch
from monai.data.utils import MAX_SEED
from monai.transforms import Compose, RandScaleIntensityd

from shared_networks.data import RandomVersions

AUGMENT = Compose([RandScaleIntensityd("image", factors=0.5, prob=1.0)])


def versions(cases=3, **keys):
    reads = []

    def load(item):
        reads.append(item["number"])
        return {"image": torch.full((2, 3, 4, 5), 1.0 + item["number"]), "number": item["number"]}

    data = [{"number": number} for number in range(cases)]
    made = RandomVersions(data, load, keys.pop("augment", AUGMENT), keys.pop("crop", dict), **keys)
    made.reads = reads
    return made


def contents(dataset):
    return [
        (item["number"], item["image"][0, 0, 0, 0].item()) for item in map(dataset.__getitem__, range(len(dataset)))
    ]


def test_cases_take_turns_and_the_oldest_versions_go():
    dataset = versions(versions=4, renewed=1, seed=3)
    dataset.renew(1)
    first = contents(dataset)
    assert [number for number, _ in first] == [0, 1, 2, 0]
    assert first[0] != first[3], "two versions of one case are altered differently"
    dataset.renew(2)
    assert contents(dataset) == [*first[1:], contents(dataset)[3]]
    assert contents(dataset)[3][0] == 1
    assert dataset.reads == [0, 1, 2], "a case is read once"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_holds_what_an_uninterrupted_one_does(workers):
    dataset, resumed = (versions(versions=4, renewed=3, seed=1, workers=workers) for _ in range(2))
    for epoch in (1, 2, 3):
        dataset.renew(epoch)
    np.random.seed(0)
    resumed.renew(3)
    assert contents(dataset) == contents(resumed)
    other = versions(versions=4, renewed=3, seed=2)
    other.renew(3)
    assert contents(other) != contents(dataset)


def test_threads_alter_the_same_versions():
    dataset, threaded = (versions(versions=4, renewed=2, seed=1, workers=workers) for workers in (0, 3))
    for epoch in (1, 2, 4):
        dataset.renew(epoch)
        threaded.renew(epoch)
        assert contents(threaded) == contents(dataset)
    assert threaded.reads == [0, 1, 2], "a case is read once, by one thread"


def test_no_process_alters_as_one_of_another_seed_does_and_the_first_as_a_single_one():
    drawn = [
        versions(seed=seed, rank=rank)._altered(0)["image"][0, 0, 0, 0].item() for seed in (0, 1) for rank in (0, 1)
    ]
    assert len(set(drawn)) == 4
    # What a run of one process drew before there were ranks.
    state = int(np.random.SeedSequence([1, 0]).generate_state(1)[0]) % MAX_SEED
    expected = AUGMENT.set_random_state(seed=state)({"image": torch.ones(1)})["image"].item()
    assert drawn[2] == pytest.approx(expected)


def test_the_altered_image_is_encoded_and_cropped_with_its_features():
    def crop(item):
        return {key: value[..., 1:3] if isinstance(value, torch.Tensor) else value for key, value in item.items()}

    dataset = versions(versions=2, renewed=0, encode=lambda image: image.repeat(1, 2, 1, 1, 1) * 2, crop=crop)
    item = dataset[1]
    assert item["features"].dtype == torch.float16 and item["features"].shape == (4, 3, 4, 2)
    expected = (2 * item["image"]).half()
    assert torch.equal(item["features"][:2], expected) and torch.equal(item["features"][2:], expected)


def test_versions_do_not_change_what_was_read():
    def augment(item):
        item["image"] = item["image"] * 2
        return item

    augment = Compose([augment])
    dataset = versions(cases=1, versions=2, renewed=2, augment=augment)
    for epoch in (1, 2, 3):
        dataset.renew(epoch)
    assert contents(dataset) == [(0, 2.0), (0, 2.0)]


def test_nothing_to_hold_is_refused_and_no_data_is_empty():
    for keys in ({"versions": 0, "renewed": 0}, {"versions": 2, "renewed": 3}):
        with pytest.raises(ValueError, match="versions must be at least 1"):
            versions(**keys)
    assert len(versions(cases=0)) == 0
