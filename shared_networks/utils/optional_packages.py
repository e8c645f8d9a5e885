"""Packages that only some commands need, and that the requirements therefore leave out."""

from collections.abc import Mapping
from importlib.util import find_spec

import torch


def missing_packages(packages: Mapping[str, str]) -> list[str]:
    """What has to be given to ``pip install``, by module -> pip's name of its package, for each that is missing."""
    return [name for module, name in packages.items() if not _is_installed(module)]


def missing_for_tensorrt(device: torch.device | str) -> list[str]:
    """What ``monai.networks.trt_compile``, which otherwise only warns and does nothing, lacks for a device; one text
    each.
    """
    missing = []
    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        missing.append(f"an NVIDIA GPU that PyTorch can use (the device is {device})")
    packages = missing_packages(
        {
            # MONAI's compiler sets options that TensorRT 11 no longer has.
            "tensorrt": "'tensorrt<11'",
            "polygraphy": "polygraphy",
            "cuda.bindings.runtime": "cuda-python",
            "onnx": "onnx",
            "onnxscript": "onnxscript",
        }
    )
    if packages:
        missing.append(f"packages (pip install {' '.join(packages)})")
    return missing


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is a part of
        return False
