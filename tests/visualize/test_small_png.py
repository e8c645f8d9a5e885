"""Pictures of the documents become smaller and stay what they are."""

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from shared_networks.visualize.small_png import save_small, shrink_png


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_a_plot_of_any_colours_is_smaller_and_looks_the_same(tmp_path):
    figure = Figure(figsize=(5, 3))
    axes = figure.subplots()
    for number in range(4):
        axes.plot(np.sin(np.arange(50) / 5 + number), alpha=0.6)
    figure.savefig(tmp_path / "whole.png", dpi=110)
    save_small(figure, tmp_path / "small.png")
    whole, small = pixels(tmp_path / "whole.png"), pixels(tmp_path / "small.png")
    assert small.shape == whole.shape == (330, 550, 3)
    assert np.abs(small - whole).mean() < 0.2
    assert (tmp_path / "small.png").stat().st_size < 0.6 * (tmp_path / "whole.png").stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.png", "whole.png"]


def test_few_colours_are_kept_and_what_is_clear_becomes_white(tmp_path):
    drawn = np.zeros((40, 60, 4), np.uint8)
    drawn[:, :20] = (250, 10, 20, 255)
    drawn[:, 20:40] = (5, 6, 200, 255)
    path = tmp_path / "a.png"
    Image.fromarray(drawn).save(path, compress_level=0)
    shrink_png(path)
    assert [tuple(pixels(path)[0, column]) for column in (0, 30, 50)] == [(250, 10, 20), (5, 6, 200), (255, 255, 255)]
    with Image.open(path) as picture:
        assert picture.mode == "P"


def test_a_picture_that_would_grow_stays_as_it_is(tmp_path):
    path = tmp_path / "a.png"
    Image.new("1", (8, 8)).save(path)
    content = path.read_bytes()
    shrink_png(path)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]
