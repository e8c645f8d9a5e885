"""Read weights without running anything that a file may hold, and say how they differ from a network."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from shared_networks.errors import InputError, one_line
from shared_networks.utils.hashing import weights_entry

MANIFEST = "SHA256SUMS"
"""Name of the manifest inside a bundle; ``sha256sum --check`` reads it."""


def change_tensors(
    state: Mapping[str, torch.Tensor], change: Callable[[str, torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Change every tensor of a state dict, by ``change(name, tensor)``, once.

    Networks that know a layer by two names (DynUNet) share its tensors; so does the result, and a file of it.
    """
    changed: dict[tuple, torch.Tensor] = {}
    result = {}
    for name, value in state.items():
        same = (value.data_ptr(), value.shape, value.stride(), value.dtype)
        if same not in changed:
            changed[same] = change(name, value)
        result[name] = changed[same]
    return result


def read_weights(path: str | Path, map_location: Any = "cpu") -> Any:
    """Content of a .pt file, by ``torch.load(..., weights_only=True)``, or of a .safetensors file (needs that package).

    A file that the manifest of its bundle lists is compared with it. A .pt file with another SHA-256 only gives a
    warning in the log, because a training writes over the weights of its bundle; a .safetensors file is refused.
    Tensors that were stored in half precision (:mod:`shared_networks.utils.half_weights`) come back in single
    precision.

    Raises InputError, one line: missing, not readable, holds code, is not the file of the manifest.
    """
    path = Path(path)
    if str(map_location).startswith("cpu:"):  # a name of the CPU that torch.load does not know
        map_location = "cpu"
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; give the path of the weights.")
    is_safetensors = path.suffix.lower() == ".safetensors"
    listed = _listed_hash(path)
    if listed and weights_entry(path)["sha256"] != listed:
        fact = f"{path}: not the file that {MANIFEST} of its bundle lists"
        if is_safetensors:
            raise InputError(f"{fact}; download the bundle again.")
        logging.getLogger("read_weights").warning(f"{fact}: trained anew, or damaged")
    try:
        if is_safetensors:
            from safetensors.torch import load_file

            return _restored(load_file(path, device=str(map_location)))
        return _restored(torch.load(path, map_location=map_location, weights_only=True))
    except ImportError as error:
        raise InputError(f"{path}: needs the package safetensors: pip install safetensors") from error
    except Exception as error:
        reason = one_line(f"{type(error).__name__}: {error}")[:200]
        raise InputError(
            f"{path}: cannot be loaded with weights_only=True ({reason}); give a whole file that holds tensors only."
        ) from error


def weights_of(content: Any) -> Any:
    """The state dict of a checkpoint: under the key ``model`` as a training writes it, or the content itself."""
    return content.get("model", content) if isinstance(content, dict) else content


def load_weights(
    network: nn.Module,
    path: str | Path,
    refusal: str,
    unreadable: str = "",
    choose: Callable[[Any], Any] = weights_of,
    map_location: Any = "cpu",
    strict: bool = True,
) -> list[str]:
    """Fill a network from a checkpoint, with all of its weights and no others; on an error it is unchanged.

    Args:
        network: gets the weights.
        path: see :func:`read_weights`.
        refusal: what is said after the path when the weights do not fit; ``{fault}`` in it is the first difference.
        unreadable: is added to what is said of a file that cannot be read.
        choose: takes the state dict out of the file's content.
        map_location: device of the tensors that are read.
        strict: False takes what fits by name and shape, as long as anything does.

    Returns:
        Names of the network's weights that the file does not give.

    Raises:
        InputError: as :func:`read_weights`; and for weights of another network.
    """
    try:
        state = choose(read_weights(path, map_location))
    except InputError as error:
        raise (InputError(f"{error} {unreadable}") if unreadable else error) from error.__cause__
    expected = network.state_dict()
    fault = first_difference(state, expected)
    if fault and not strict and isinstance(state, Mapping):
        state = {name: state[name] for name in expected if _fits(state.get(name), expected[name])}
        fault = "" if state else fault
    if fault:
        raise InputError(f"{path}: {refusal.replace('{fault}', fault)}")
    network.load_state_dict(state, strict=strict)
    return [name for name in expected if name not in state]


def _fits(given: Any, expected: torch.Tensor) -> bool:
    return isinstance(given, torch.Tensor) and given.shape == expected.shape


def _restored(content: Any) -> Any:
    """Half-precision tensors of a state dict, also of one inside, as float32."""
    if isinstance(content, dict):
        return type(content)((key, _restored(value)) for key, value in content.items())
    is_half = isinstance(content, torch.Tensor) and content.dtype in (torch.float16, torch.bfloat16)
    return content.float() if is_half else content


def _listed_hash(path: Path) -> str:
    """SHA-256 of a file in the models folder of a bundle by the bundle's manifest; '' when it is not listed."""
    path = path.resolve()
    manifest = path.parents[1] / MANIFEST if len(path.parents) > 1 else Path(MANIFEST)
    if not manifest.is_file():
        return ""
    lines = (line.split("  ", 1) for line in manifest.read_text(encoding="utf-8").splitlines() if "  " in line)
    return {name: value for value, name in lines}.get(f"{path.parent.name}/{path.name}", "")


def first_difference(state: Any, expected: Mapping[str, torch.Tensor]) -> str:
    """Say the first difference between the content of a file, of any kind, and the names and shapes of a network, or
    ''.
    """
    if not isinstance(state, Mapping):
        return f"holds a {type(state).__name__}, expected named tensors"
    missing = [name for name in expected if not isinstance(state.get(name), torch.Tensor)]
    unknown = sorted(str(name) for name in state if name not in expected)
    for names, fact in ((missing, "missing"), (unknown, "unknown")):
        if names:
            return f"{names[0]} {f'and {len(names) - 1} more are' if len(names) > 1 else 'is'} {fact}"
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            return f"{name} has shape {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
    return ""
