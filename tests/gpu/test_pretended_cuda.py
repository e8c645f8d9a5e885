"""The pretended device behaves as CUDA does, where the tests that use it rely on that."""

import pytest
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from torch import nn


def test_values_are_those_of_the_cpu_and_devices_do_not_mix(gpu):
    image = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    there = image.to("cuda")
    assert there.device == torch.device("cuda:0") and there.is_cuda and not image.is_cuda
    assert torch.equal((there.exp().sum(dim=1) * 2).cpu(), image.exp().sum(dim=1) * 2)
    assert torch.zeros(3, device="cuda").device == torch.zeros_like(there).device == there.device
    for wrong in (
        lambda: there + image,
        lambda: torch.cat([there, image]),
        lambda: F.conv2d(there, image[:, :, :3, :3]),
    ):
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            wrong()
    with pytest.raises(TypeError, match="can't convert cuda:0"):
        there.numpy()
    # A number from the CPU may take part.
    assert torch.equal((there * torch.tensor(2.0)).cpu(), image * 2)


def test_waits_and_uploads_are_counted_by_line(gpu):
    x = torch.arange(6.0).to("cuda")
    assert (sum(gpu.uploads.values()), sum(gpu.waits.values())) == (1, 0)
    y = (x * 2 + 1).clamp(max=5)
    assert not gpu.waits
    assert y.max().item() == 5.0 and bool((y > 0).all())
    assert y[y > 2].shape == (5,)
    assert y.cpu().tolist() == [1, 3, 5, 5, 5, 5]
    assert sum(gpu.waits.values()) == 4
    assert all("test_pretended_cuda.py" in line for line in (*gpu.waits, *gpu.uploads))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_takes_the_precisions_that_cuda_takes(gpu, dtype):
    x = torch.rand(1, 2, 8, 8).to("cuda")
    convolution = nn.Conv2d(2, 2, 3).to("cuda")
    with torch.autocast("cuda", dtype=dtype):
        low = convolution(x)
        assert low.dtype == dtype
        assert (low * 2).dtype == dtype and (low.softmax(1)).dtype == torch.float32
        assert low.sum().dtype == low.pow(2).dtype == low.log().dtype == torch.float32
        assert torch.cat([low, low.float()]).dtype == torch.float32
        with torch.autocast("cuda", enabled=False):
            assert convolution(x).dtype == torch.float32
    assert convolution(x).dtype == torch.float32
    # What a half precision does to values: too large, too small.
    limits = torch.tensor([70000.0, 1e-12]).to("cuda").to(torch.float16)
    assert limits.cpu().tolist() == [float("inf"), 0.0]


def test_networks_learn_and_their_parameters_stay_the_same_objects(gpu):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    assert all(a is b for a, b in zip(parameters, network.to("cuda").parameters(), strict=True))
    assert all(parameter.is_cuda and isinstance(parameter, nn.Parameter) for parameter in parameters)
    x = torch.rand(16, 4).to("cuda")
    values = []
    for _ in range(5):
        loss = (network(x) - x.sum(dim=1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.detach())
    values = torch.stack(values).tolist()
    assert values == sorted(values, reverse=True) and values[0] > values[-1]


def test_checkpoints_travel_between_the_devices(gpu, tmp_path):
    network = nn.Linear(2, 2).to("cuda")
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    on_cpu = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert type(on_cpu["weight"]) is torch.Tensor
    there = torch.load(tmp_path / "weights.pt", map_location="cuda", weights_only=True)
    assert there["weight"].is_cuda
    network.load_state_dict(on_cpu)


def test_meta_data_stays_with_a_tensor(gpu):
    affine = torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0], dtype=torch.float64))
    volume = MetaTensor(torch.rand(1, 4, 5, 6), affine=affine, meta={"case": "a"})
    there = volume.to("cuda") * 2
    assert isinstance(there, MetaTensor) and there.is_cuda and there.meta["case"] == "a"
    back = there.cpu()
    assert torch.equal(back.affine, affine) and torch.equal(back.as_tensor(), volume.as_tensor() * 2)
    assert there.as_tensor().is_cuda and not isinstance(there.as_tensor(), MetaTensor)


def test_memory_can_be_too_small(gpu):
    gpu.most_elements = 100
    assert torch.zeros(10, 10, device="cuda").numel() == 100
    with pytest.raises(torch.cuda.OutOfMemoryError, match="CUDA out of memory"):
        torch.zeros(10, 11, device="cuda")


def test_nothing_is_left_behind():
    assert not torch.cuda.is_available() or torch.cuda.get_device_name() != "pretended GPU"
    assert not torch.__future__.get_swap_module_params_on_conversion()
