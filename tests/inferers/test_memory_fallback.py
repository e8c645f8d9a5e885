"""A GPU that is too small: each step is tried and logged, and the result stays the same. The errors are injected."""

import logging

import pytest
import torch
from torch import nn

from shared_networks.inferers import EncodeOnceInferer, FusionInferer
from shared_networks.inferers.memory_fallback import first_that_fits, on_processor
from shared_networks.utils.memory import is_gpu_memory_error, is_memory_error

ERRORS = {
    "pytorch": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "driver": RuntimeError("CUDA error: out of memory"),
    "library": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
}


class Small(nn.Module):
    """Fuses voxel by voxel; "on the GPU" it fails above so many voxels; ``to("cpu")`` takes it off the GPU."""

    def __init__(self, most, error):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.most, self.error, self.is_on_gpu, self.moves = most, error, True, []

    def to(self, device):
        self.moves.append(str(device))
        self.is_on_gpu = len(self.moves) % 2 == 0
        return self

    def check(self, x):
        if self.is_on_gpu and x[:, 0].numel() > self.most:
            raise self.error

    def forward(self, x):
        self.check(x)
        return (x[:, :1] + x[:, 1:2]) * self.weight

    def encode_fuse(self, x):
        self.check(x)
        return torch.cat([x, x[:, :1] * x[:, 1:2]], dim=1)

    def decode(self, features):
        self.check(features)
        return features[:, 2:] * 0.5

    def semantic_head(self, features):
        self.check(features)
        return features[:, :2] - features[:, 2:]


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize(
    ("shape", "most", "steps"),
    [
        ((1, 2, 4, 4, 6), 16 * 4, ["with 3 at a time"]),
        ((1, 2, 4, 4, 6), 16, ["with 3 at a time", "with 1 at a time"]),
        (
            (1, 2, 4, 4, 6),
            0,
            ["with 3 at", "with 1 at", "with one at a time, put together in main memory", "on the CPU"],
        ),
        ((3, 2, 4, 4), 16, ["with 1 at a time"]),
        ((3, 2, 4, 4), 0, ["with 1 at a time", "with one at a time, put together in main memory", "on the CPU"]),
    ],
)
def test_slices_and_pictures(shape, most, steps, error, caplog):
    image, network = torch.rand(shape), Small(most, error)
    with torch.no_grad(), caplog.at_level(logging.WARNING):
        output = FusionInferer(sw_batch_size=6)(image, network)
        expected = Small(10**9, error)(image)
    assert torch.equal(output, expected)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(steps)
    assert all(line.startswith(f"GPU memory is full: going on {step}") for line, step in zip(said, steps, strict=True))
    # The network goes to the CPU last of all, and back.
    assert network.moves == (["cpu", "cpu"] if most == 0 else [])


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize(
    ("most", "last"),
    [
        (10**9, None),
        (60_000, "in blocks of"),
        (2 * 16**3 - 1, "in blocks of"),
        (16**3 - 1, "on the CPU, which is slower"),
    ],
)
def test_encode_once(most, last, error, caplog):
    image, network = torch.rand(1, 2, 90, 31, 30), Small(most, error)
    # Blocks cannot be smaller than 56 x 31 x 30 voxels, so that the smallest memory takes the processor.
    inferer = EncodeOnceInferer((16, 16, 16), sw_batch_size=4)
    with torch.no_grad(), caplog.at_level(logging.WARNING):
        output = inferer(image, network)
        expected = EncodeOnceInferer((90, 31, 30))(image, Small(10**9, error))
    assert torch.allclose(output, expected, atol=1e-5)
    said = [record.getMessage() for record in caplog.records]
    if last is None:
        assert said == []
    else:
        assert any(f"going on {last}" in line for line in said)
    assert network.moves == (["cpu", "cpu"] if most < 56 * 31 * 30 else [])


def test_windows_are_halved_then_put_together_in_main_memory(caplog):
    """One window fits only when the result is elsewhere."""
    image, network, devices = torch.rand(1, 2, 20, 16, 16), Small(16**3, ERRORS["pytorch"]), []
    inferer = EncodeOnceInferer((16, 16, 16), sw_batch_size=4)
    slide = inferer._slide(image, network, (16, 16, 16), image.device)
    assert torch.allclose(slide, Small(10**9, ERRORS["pytorch"])(image), atol=1e-5)
    assert "with 2 windows at a time" in caplog.text and "with 1 windows at a time" in caplog.text

    def only_in_main_memory(x):
        devices.append(x.device)
        if len(devices) < 3:
            raise ERRORS["pytorch"]
        return x[:, :1] * 1.0

    assert torch.allclose(
        EncodeOnceInferer((8, 8, 8), 2)._slide(image, only_in_main_memory, (20, 16, 16), image.device), image[:, :1]
    )
    assert "with one window at a time, put together in main memory" in caplog.text


def test_other_errors_are_not_caught():
    with pytest.raises(RuntimeError, match="size mismatch"):
        FusionInferer()(torch.rand(1, 2, 4, 4, 4), Small(0, RuntimeError("size mismatch")))
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        FusionInferer()(torch.rand(1, 2, 4, 4, 4), Small(0, RuntimeError("DefaultCPUAllocator: can't allocate memory")))


def test_the_last_error_is_raised_and_the_network_goes_home():
    def fail():
        raise ERRORS["driver"]

    with pytest.raises(RuntimeError, match="CUDA error: out of memory"):
        first_that_fits([("", fail), ("again", fail)], logging.getLogger("test"))
    network = nn.Linear(2, 2).to(torch.float64)
    with pytest.raises(KeyError), on_processor(network):
        raise KeyError
    assert network.weight.device.type == "cpu" and network.weight.dtype == torch.float64


@pytest.mark.parametrize(
    ("error", "gpu", "any_kind"),
    [
        (ERRORS["pytorch"], True, True),
        (ERRORS["library"], True, True),
        (MemoryError(), False, True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory"),
            False,
            True,
        ),
        (RuntimeError("shapes differ"), False, False),
        (ValueError("out of memory"), False, False),
    ],
)
def test_errors_are_told_apart(error, gpu, any_kind):
    assert (is_gpu_memory_error(error), is_memory_error(error)) == (gpu, any_kind)
    wrapped = RuntimeError("applying transform")
    wrapped.__cause__ = error
    assert is_memory_error(wrapped) == any_kind
