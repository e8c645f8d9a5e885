"""Moving by whole pixels is exact; the field has the size of the picture, and its parameters are few."""

import torch

from shared_networks.blocks.offset_field import OffsetField, move


def test_whole_pixels_are_exact_and_the_border_repeats():
    picture = torch.rand(2, 3, 9, 11)
    offsets = torch.zeros(2, 2, 9, 11)
    torch.testing.assert_close(move(picture, offsets), picture)
    offsets[:, 0], offsets[:, 1] = 2.0, -1.0
    moved = move(picture, offsets)
    torch.testing.assert_close(moved[:, :, 1:, :-2], picture[:, :, :-1, 2:])
    torch.testing.assert_close(moved[:, :, 1:, -1], picture[:, :, :-1, -1])


def test_half_a_pixel_is_the_mean_of_neighbours():
    picture = torch.rand(1, 1, 6, 6)
    offsets = torch.zeros(1, 2, 6, 6)
    offsets[:, 0] = 0.5
    torch.testing.assert_close(move(picture, offsets)[..., :-1], (picture[..., :-1] + picture[..., 1:]) / 2)


@torch.no_grad()
def test_any_size_and_few_parameters():
    field = OffsetField().eval()
    assert sum(parameter.numel() for parameter in field.parameters()) == 75_170
    for height, width in ((33, 47), (16, 21), (64, 64)):
        offsets = field(torch.rand(2, 2, height, width))
        assert offsets.shape == (2, 2, height, width) and offsets.isfinite().all()


def test_the_dead_zone_leaves_small_offsets_out():
    image = torch.rand(1, 2, 32, 32)
    plain, dead = OffsetField(rounds=1), OffsetField(rounds=1, dead_zone=0.5)
    dead.load_state_dict(plain.state_dict())
    with torch.no_grad():
        for network in (plain, dead):
            network.offsets.weight.zero_()
            network.offsets.bias.fill_(0.05)  # 4 * 0.05 pixels
        torch.testing.assert_close(plain(image), torch.full_like(image, 0.2))
        expected = 0.2 - 0.5 * torch.tanh(torch.tensor(0.4)).item()
        torch.testing.assert_close(dead(image), torch.full_like(image, expected))


def test_a_step_on_known_offsets_lowers_their_error():
    torch.manual_seed(0)
    field = OffsetField(rounds=1)
    optimizer = torch.optim.Adam(field.parameters(), 1e-3)
    image, known = torch.rand(2, 2, 32, 32), torch.full((2, 2, 32, 32), 2.0)
    errors = []
    for _ in range(8):
        error = (field(image) - known).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.9 * errors[0]
