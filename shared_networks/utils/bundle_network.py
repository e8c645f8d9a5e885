"""The network of a bundle's folder with its shipped weights, as every client builds it from ``inference.json``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from torch import nn

import shared_networks
from shared_networks.errors import InputError
from shared_networks.utils.weights import load_weights


def read_metadata(bundle: Path) -> dict[str, Any]:
    """Content of ``configs/metadata.json``.

    Raises:
        InputError: when the file is missing or is not JSON.
    """
    return _read_json(bundle / "configs" / "metadata.json")


def check_version(bundle: Path, metadata: Mapping[str, Any]) -> None:
    """Refuse a bundle that was made with another version of this package.

    Raises:
        InputError: when ``metadata`` states another version.
    """
    version = metadata.get("version")
    if version != shared_networks.__version__:
        raise InputError(
            f"{bundle}: metadata.json says version {version}, shared_networks {shared_networks.__version__}; both are "
            "released together: raise the one that is behind."
        )


def read_inference_config(bundle: Path) -> ConfigParser:
    """``configs/inference.json``, with the bundle as its root.

    Raises:
        InputError: when the file is missing or is not JSON.
    """
    parser = ConfigParser(_read_json(bundle / "configs" / "inference.json"))
    parser["bundle_root"] = str(bundle)
    return parser


def load_network(bundle: Path) -> nn.Module:
    """The item ``network_def`` of ``inference.json`` with the weights ``models/model.pt``, on the CPU in evaluation
    mode.

    Raises InputError when a file is missing, the weights cannot be loaded with ``weights_only=True``, or they do not
    fit the network exactly.
    """
    weights = bundle / "models" / "model.pt"
    network = read_inference_config(bundle).get_parsed_content("network_def").eval()
    if not weights.is_file():
        raise InputError(f"{weights}: not found; download the weights of this bundle, or train it.")
    refusal = "{fault}: not the weights of the network of inference.json; train or configure anew."
    load_weights(network, weights, refusal, choose=lambda content: content)
    return network


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the folder of a bundle.") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}).") from error
