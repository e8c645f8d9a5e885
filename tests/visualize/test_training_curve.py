"""Scalars are read back as they were written, and drawn."""

import pytest
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from shared_networks.errors import InputError
from shared_networks.visualize.training_curve import draw_training_curve, read_scalars


def test_curves_of_a_resumed_run_are_joined(tmp_path):
    for first in (1, 3):
        with SummaryWriter(str(tmp_path)) as writer:
            for step in (first, first + 1):
                writer.add_scalar("L_total", 1.0 / step, step)
                writer.add_scalar("val_score", float(step), step)
    scalars = read_scalars(tmp_path)
    assert [step for step, _ in scalars["L_total"]] == [1, 2, 3, 4]
    assert [value for _, value in scalars["val_score"]] == [1.0, 2.0, 3.0, 4.0]
    draw_training_curve(tmp_path, tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size == (1210, 440)
        assert len(picture.convert("RGB").getcolors(100_000)) > 10


def test_a_folder_without_events_is_named(tmp_path):
    with pytest.raises(InputError, match="no TensorBoard scalars"):
        read_scalars(tmp_path)
