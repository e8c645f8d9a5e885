"""A picture of a training: losses and validation metrics over the epochs.

``python -m shared_networks.visualize.training_curve LOG_FOLDER OUT.png``
"""

import sys
from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from shared_networks.errors import InputError
from shared_networks.visualize.small_png import save_small


def read_scalars(folder: str | Path) -> dict[str, list[tuple[int, float]]]:
    """Scalars of all TensorBoard event files of a folder, by name: (step, value) in the order of steps.

    Raises:
        InputError: when the folder holds no event file with scalars.
    """
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for path in sorted(Path(folder).glob("events.out.tfevents.*")):
        events = EventAccumulator(str(path), size_guidance={"scalars": 0})
        events.Reload()
        for name in events.Tags()["scalars"]:
            found[name] += [(event.step, event.value) for event in events.Scalars(name)]
    if not found:
        raise InputError(f"{folder}: no TensorBoard scalars here; give the training's output_dir.")
    return {name: sorted(values) for name, values in found.items()}


def draw_training_curve(folder: str | Path, path: str | Path, window: int = 50) -> None:
    """Draw losses (moving average over ``window`` iterations) on the left, validation metrics on the right.

    ``folder`` holds the training's TensorBoard events. Raises InputError, see :func:`read_scalars`.
    """
    scalars = read_scalars(folder)
    figure = Figure(figsize=(11, 4), layout="constrained")
    losses, metrics = figure.subplots(1, 2)
    for name, points in scalars.items():
        steps, values = zip(*points, strict=True)
        if name.startswith("L_"):
            recent = [values[max(0, end - window) : end] for end in range(1, len(values) + 1)]
            losses.plot(steps, [sum(part) / len(part) for part in recent], label=name)
        elif name.startswith("val_"):
            metrics.plot(steps, values, marker="o", label=name)
    losses.set(xlabel="iteration", ylabel=f"loss, mean of {window}", title="training")
    metrics.set(xlabel="epoch", title="validation (selection data)")
    for axes in (losses, metrics):
        axes.grid(alpha=0.3)
        axes.legend()
    save_small(figure, path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m shared_networks.visualize.training_curve LOG_FOLDER OUT.png")
    try:
        draw_training_curve(sys.argv[1], sys.argv[2])
    except InputError as problem:
        sys.exit(str(problem))
