"""Does stage 1 of RMR-Fusion see through degradations? Whole validation volumes, degraded by the paper's mixture.

``python -m benchmarks.rmr_autoencoder --dataset_dir FOLDER [--checkpoint FILE] [--section validation] [--device cpu]
[--seed 0] [--out FOLDER]``

For each case: PSNR and SSIM of the degraded volume and of its reconstruction against the clean volume, in the whole
volume and (PSNR) inside the brain; and how far the features of the degraded volume lie from those of the clean one,
for the trained network and for one with random weights. Features have no unit, so that their mean squared difference
is divided by the variance of the clean features, channel by channel. Writes ``rmr_autoencoder.json`` and ``.md``.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from monai.transforms import Compose, Orientationd
from monai.utils import set_determinism

from benchmarks import RMR
from benchmarks.machine import hardware
from benchmarks.options import make_parser, parse
from benchmarks.report import markdown_table, print_report, write_report
from shared_networks.data import resolve_cases
from shared_networks.inferers.encode_once import BLOCK_OVERLAP, ENCODER_WINDOW
from shared_networks.inferers.overlapping_blocks import block_size, in_overlapping_blocks
from shared_networks.losses import VolumeSimilarityLoss
from shared_networks.nets import DegradationAutoencoder
from shared_networks.transforms import DegradeMixtured, LoadModalitiesd


def psnr(estimate: torch.Tensor, target: torch.Tensor, where: torch.Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB for a range of 1; ``where`` (spatial mask) limits it to a region."""
    squares = (estimate - target).square()
    mean = squares.mean() if where is None else squares[..., where].mean()
    return float(-10 * mean.log10())


def feature_distance(degraded: torch.Tensor, clean: torch.Tensor) -> float:
    """Mean squared difference of features, B x C x spatial, over the variance of the clean ones, mean of the channels;
    one that is constant (variance below 1e-12) is left out.
    """
    axes = [0, *range(2, clean.dim())]
    variance = clean.var(dim=axes, correction=0)
    ratio = (degraded - clean).square().mean(dim=axes) / variance
    return float(ratio[variance > 1e-12].mean())


@torch.no_grad()
def measure(
    clean: torch.Tensor,
    degraded: torch.Tensor,
    brain: torch.Tensor,
    trained: DegradationAutoencoder,
    untrained: DegradationAutoencoder,
    most_voxels: int = 1_000_000,
) -> dict[str, float]:
    """The figures of one case: images 1 x 2 x X x Y x Z in [0, 1], brain X x Y x Z, stage 1 as trained and with random
    weights.

    Volumes of more than ``most_voxels`` are encoded in overlapping blocks.
    """
    block = block_size(clean.shape[2:], most_voxels, ENCODER_WINDOW, BLOCK_OVERLAP)

    def forward(network: DegradationAutoencoder, image: torch.Tensor) -> torch.Tensor:
        return in_overlapping_blocks(image, lambda x: network(x, return_features=True), block, BLOCK_OVERLAP)

    similarity = VolumeSimilarityLoss()
    of_clean, of_degraded = forward(trained, clean), forward(trained, degraded)
    figures = {}
    for name, estimate in (("degraded", degraded), ("reconstruction", of_degraded[:, :2]), ("clean", of_clean[:, :2])):
        figures[f"{name}_psnr"] = psnr(estimate, clean)
        figures[f"{name}_psnr_brain"] = psnr(estimate, clean, brain)
        figures[f"{name}_ssim"] = 1 - float(similarity(estimate, clean))
    figures["features_trained"] = feature_distance(of_degraded[:, 2:], of_clean[:, 2:])
    del of_clean, of_degraded
    figures["features_untrained"] = feature_distance(
        forward(untrained, degraded)[:, 2:], forward(untrained, clean)[:, 2:]
    )
    figures["images"] = feature_distance(degraded, clean)
    return figures


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("rmr_autoencoder", "BRAINS", "cpu")
    parser.add_argument("--section", default="validation")
    parser.add_argument("--checkpoint", type=Path, default=RMR / "models" / "autoencoder.pt")
    parser.add_argument("--seed", type=int, default=0, help="of the degradation and of the random weights")
    given = parse(parser, arguments)
    load = Compose(
        [
            LoadModalitiesd(keys="image", label_key=""),
            Orientationd(keys=["image", "brain"], axcodes="RAS", labels=None),
            DegradeMixtured(keys="image", seed=given.seed),
        ]
    )
    set_determinism(given.seed)
    untrained = DegradationAutoencoder().eval().to(given.device)
    set_determinism(None)
    trained = DegradationAutoencoder().load(given.checkpoint).eval().to(given.device)
    cases = {}
    for case in resolve_cases(dataset_dir=given.dataset_dir, section=given.section):
        item = load(case)
        clean, degraded = (item[key].as_tensor()[None].to(given.device) for key in ("image", "degraded"))
        brain = item["brain"].as_tensor()[0].bool().to(given.device)
        cases[case["case"]] = measure(clean, degraded, brain, trained, untrained)
    facts = {"hardware": hardware(given.device), "section": given.section, "cases": cases}
    return write_report("rmr_autoencoder", given.out, arguments, facts, table)


def table(result: dict) -> str:
    """Markdown of what :func:`main` returns."""
    titles = {"degraded": "degraded", "reconstruction": "its reconstruction", "clean": "reconstruction of clean"}
    rows = []
    for name, figures in result["cases"].items():
        distances = {
            "degraded": f"{figures['images']:.4f}",
            "reconstruction": f"{figures['features_trained']:.4f} ({figures['features_untrained']:.4f})",
        }
        for key, title in titles.items():
            psnrs = [f"{figures[f'{key}_psnr{where}']:.2f}" for where in ("", "_brain")]
            rows.append([name, title, *psnrs, f"{figures[f'{key}_ssim']:.4f}", distances.get(key, "")])
    distance = "distance to clean: images, features (untrained)"
    return markdown_table(["case", "volume", "PSNR, dB", "PSNR in the brain, dB", "SSIM", distance], rows)


if __name__ == "__main__":
    print_report(main, table)
