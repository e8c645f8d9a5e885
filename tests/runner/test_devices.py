"""A device that is not there is refused in one line, before the run."""

import pytest
import torch
from monai.bundle import ConfigParser

from shared_networks.errors import InputError
from shared_networks.runner.devices import check_devices


def refusal(**config):
    with pytest.raises(InputError) as caught:
        check_devices(ConfigParser(config))
    return str(caught.value)


@pytest.mark.parametrize("value", [None, "", "cpu", "$torch.device('cpu')", "$'cpu'"])
def test_devices_that_are_there(value):
    check_devices(ConfigParser({"device": value, "stitching_device": value, "other": "cuda:99"}))


@pytest.mark.parametrize("value", ["cuda:99", "gpu", "cuda:x", "meta", 99, "xpu:7", "cpu "])
@pytest.mark.parametrize("key", ["device", "stitching_device"])
def test_devices_that_are_not(key, value):
    said = refusal(**{key: value})
    assert said.startswith(f"{key} {str(value).strip()}") and "cannot be used" in said and "give cpu" in said
    assert len(said) < 250


def test_an_expression_that_fails():
    assert refusal(device="$torch.device('gpu')").startswith("device: RuntimeError: Expected one of cpu")
    assert refusal(device="$1 / 0").startswith("device: ZeroDivisionError: division by zero (in $1 / 0); give")


def test_the_type_of_autocast():
    assert refusal(amp_dtype="float17") == "amp_dtype must be float16 or bfloat16, got 'float17'."
    check_devices(ConfigParser({"amp_dtype": "$'bfloat16'"}))


def test_cuda_where_there_is_none():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert refusal(device="cuda").endswith("give cpu or mps." if torch.backends.mps.is_available() else "give cpu.")
