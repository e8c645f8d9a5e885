"""Run as a program by the tests: use a built bundle by MONAI's clients where nothing of the repository can be imported.

``python alone.py BUNDLE_FOLDER SETTINGS_JSON`` in an empty folder; prints ``all steps done`` when every step went well.
``python alone.py JSON``, a list of ``[bundle folder, overrides]``, infers with one after the other in one process.
"""

import contextlib
import importlib.util
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# An editable installation would supply the repository's package: this is about the one in the zip.
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder)]
sys.path[:] = [path for path in sys.path if path and Path(path).resolve() not in (REPOSITORY, Path(__file__).parent)]


def main(bundle: Path, settings: dict) -> None:
    """Go through the steps of ``settings``."""
    import torch
    from monai.bundle import ckpt_export, load, run, verify_metadata, verify_net_in_out

    def run_to_the_end(*arguments: str, **keys: object) -> None:
        # ``finalize`` of the inference ends with sys.exit only when a case was refused.
        run(*arguments, **{"logging_file": False, "bundle_root": str(bundle), **keys})

    configs = {path.stem: str(path) for path in (bundle / "configs").glob("*.json")}
    inference, metadata = configs["inference"], configs["metadata"]
    verify_metadata(meta_file=metadata, filepath=settings["schema"])
    verify_net_in_out("network_def", metadata, inference, device="cpu", bundle_root=str(bundle), **settings["sizes"])
    import shared_networks

    assert Path(shared_networks.__file__).is_relative_to(bundle), shared_networks.__file__

    run_to_the_end("inferring", config_file=inference, output_dir="infer", **settings["infer"])
    names = [path.name for path in Path("infer").rglob("*") if path.is_file()]
    assert set(settings["results"]) <= set(names), names

    weights = bundle / "models" / "model.pt"
    ckpt_export(
        "network_def", "exported.ts", str(weights), metadata, inference, bundle_root=str(bundle), **settings["export"]
    )
    # ckpt_export adds the metadata; what the network computes must not change.
    exported = torch.jit.load("exported.ts").eval()
    network = load(bundle.name, bundle_dir=str(bundle.parent), net_override={}, args_file=settings["arguments"])
    network = network.eval()
    for size in settings["exported_sizes"]:
        image = torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            assert torch.allclose(exported(image), network(image), atol=1e-4), size

    for names, keys in settings["run"].items():
        files = [configs[name] for name in names.split("+")]
        run_to_the_end("evaluating" if "evaluate" in names else "training", config_file=files, **keys)
    missing = [name for name in settings["made"] if not Path(name).is_file()]
    assert not missing, missing


def infer_with_each(runs: list) -> None:
    """Infer with several unpacked bundles."""
    from monai.bundle import run

    for folder, overrides in runs:
        config = str(Path(folder, "configs", "inference.json"))
        run("inferring", config_file=config, bundle_root=folder, logging_file=False, **overrides)


if __name__ == "__main__":
    assert importlib.util.find_spec("shared_networks") is None
    with contextlib.redirect_stdout(sys.stderr):
        if len(sys.argv) == 2:
            infer_with_each(json.loads(sys.argv[1]))
        else:
            main(Path(sys.argv[1]), json.loads(sys.argv[2]))
    print("all steps done")
