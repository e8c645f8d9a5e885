"""CUDA's part of PyTorch's Python interface: what ``"cuda"`` means, and what autocast does to the arguments."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# "CUDA Ops that can autocast to float16", "... to float32" and "... that promote to the widest input type" of
# https://docs.pytorch.org/docs/stable/amp.html
TO_HALF = """
    __matmul__ __rmatmul__ addbmm addmm addmv addr baddbmm bmm chain_matmul conv1d conv2d conv3d conv_transpose1d
    conv_transpose2d conv_transpose3d einsum linear matmul mm multi_dot mv prelu scaled_dot_product_attention
"""
TO_FLOAT = """
    __pow__ __rdiv__ __rpow__ __rtruediv__ acos asin binary_cross_entropy_with_logits cdist cosh cosine_similarity
    cross_entropy cumprod cumsum dist erfinv exp expm1 group_norm huber_loss kl_div l1_loss layer_norm log log10
    log1p log2 log_softmax logsumexp mse_loss nll_loss norm normalize pow prod reciprocal renorm rsqrt sinh
    smooth_l1_loss softmax softmin softplus sum tan vector_norm
"""
TO_WIDEST = """
    addcdiv addcmul atan2 bilinear cat cross dot grid_sample index_put scatter_add stack tensordot
"""
_TO_HALF, _TO_FLOAT, _TO_WIDEST = (frozenset(names.split()) for names in (TO_HALF, TO_FLOAT, TO_WIDEST))
FLOATS = (torch.float16, torch.bfloat16, torch.float32)


def mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """``change`` of everything inside tuples, lists and dictionaries (PyTorch's own tree_map takes longer than many
    of the operations here)."""
    kind = type(value)
    if kind is tuple or kind is list:
        return kind(mapped(change, inner) for inner in value)
    if isinstance(value, dict):
        return {key: mapped(change, inner) for key, inner in value.items()}
    return change(value)


def leaves(value: Any) -> Iterator[Any]:
    """Everything inside tuples, lists and dictionaries."""
    if isinstance(value, (tuple, list)):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))
    else:
        yield value


class CudaFunctions(TorchFunctionMode):
    """Calls as they are on a machine with CUDA.

    Args:
        device: what ``"cuda"`` stands for.
        kind: class of the device's tensors.
    """

    def __init__(self, device: torch.device, kind: type[torch.Tensor]) -> None:
        super().__init__()
        self.device = device
        self.kind = kind

    def __torch_function__(self, func, types, args=(), kwargs=None):
        args = tuple(self._indexed(value) for value in args)
        kwargs = {key: self._indexed(value) for key, value in (kwargs or {}).items()}
        name = getattr(func, "__name__", "")
        if name in ("tensor", "as_tensor", "asarray") and kwargs.get("device") == self.device:
            return func(*args, **{**kwargs, "device": None}).to(self.device)
        if name == "new_tensor" and isinstance(args[0], self.kind):
            return torch.tensor(args[1], dtype=kwargs.get("dtype", args[0].dtype)).to(self.device)
        if name == "cuda":
            return args[0].to(self.device)
        if name == "pin_memory":
            return args[0]
        if torch.is_autocast_enabled("cuda"):
            args, kwargs = self._cast(name, args, kwargs)
        return func(*args, **kwargs)

    def _indexed(self, value):
        is_cuda = isinstance(value, (str, torch.device)) and str(value) in ("cuda", "cuda:0")
        return self.device if is_cuda else value

    def _cast(self, name, args, kwargs):
        if name in _TO_HALF:
            goal = torch.get_autocast_dtype("cuda")
        elif name in _TO_FLOAT:
            goal = torch.float32
        elif name in _TO_WIDEST:
            found = {value.dtype for value in leaves((args, kwargs)) if self._casts(value)}
            goal = torch.float32 if torch.float32 in found else None
        else:
            goal = None
        if goal is None:
            return args, kwargs
        return mapped(lambda value: value.to(goal) if self._casts(value) else value, (args, kwargs))

    def _casts(self, value):
        return isinstance(value, self.kind) and value.dtype in FLOATS
