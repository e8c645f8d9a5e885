"""Outputs that stay what they are when the network is called again."""

from typing import Any, TypeVar

import torch
from torch.utils._pytree import tree_map

_Network = TypeVar("_Network", bound=torch.nn.Module)


def own_outputs(network: _Network, submodule: str = "") -> _Network:
    """Copy every output of a network (or of the module of that name inside it) before it is handed out, and return it.

    A TensorRT engine writes each result into the same memory, so that the next call would change the results that a
    caller has kept, e.g. of several windows or slices.
    """
    network.get_submodule(submodule).register_forward_hook(_copy)
    return network


def _copy(module: torch.nn.Module, inputs: tuple, output: Any) -> Any:
    return tree_map(lambda value: value.clone() if isinstance(value, torch.Tensor) else value, output)
