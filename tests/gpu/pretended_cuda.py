"""A CUDA device that is not there: tensors that say ``cuda:0`` and compute, with real values, on the CPU.

``with pretended_cuda() as gpu:`` makes PyTorch and MONAI believe in a GPU. What goes wrong on a real one goes wrong
here: operands on different devices, ``.numpy()`` of a CUDA tensor, constants that a half precision cannot hold, values
that overflow under autocast, memory that is too small. ``gpu.waits`` counts what makes the host wait for the device,
by the line of code, and ``gpu.uploads`` the copies to it.

Not imitated: NCCL, TensorRT, kernels' own rounding, asynchronous errors. Made for PyTorch 2.11 to 2.13: the wrapper
needs ``Tensor._make_subclass`` with keys of another device, because autograd of a CPU build has no queue for CUDA; to
C++ the tensors are therefore on the device ``meta``.
"""

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
import torch._dynamo  # looks for CUDA when it is imported, which must not be within the context
from monai.data import MetaTensor
from monai.data.meta_obj import MetaObj
from torch.utils._python_dispatch import TorchDispatchMode

from shared_networks.utils.constant_cache import forget_constants
from tests.gpu.cuda_autocast import CudaFunctions, leaves, mapped

CUDA = torch.device("cuda", 0)
aten = torch.ops.aten
HALVES = (torch.float16, torch.bfloat16)

# The host waits for these: their result is a number or has a size that depends on the data.
WAITING = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.equal.default,
    aten.bincount.default,
    aten._unique2.default,
    aten.unique_dim.default,
    aten.unique_consecutive.default,
}
# CUDA multiplies halves but adds up in float32; the CPU has no or slow kernels for halves.
MATRIX_PRODUCTS = {
    aten.convolution.default,
    aten.convolution_backward.default,
    aten.mm.default,
    aten.bmm.default,
    aten.addmm.default,
    aten.baddbmm.default,
}
COPIES = {aten.copy_.default, aten._to_copy.default}
# Indices may stay on the CPU; they are uploaded.
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}

_current: list["Gpu"] = []


class PretendedTensor(torch.Tensor):
    """A tensor of the pretended device; its values are a CPU tensor."""

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> "PretendedTensor":
        with torch._C._DisableTorchDispatch():
            shell = torch.empty_strided(values.shape, values.stride(), dtype=values.dtype, device="meta")
            made = torch.Tensor._make_subclass(cls, shell, device_for_backend_keys=CUDA)
        made._values = values
        if cls is PretendedMeta:
            MetaObj.__init__(made)
        return made

    def __init__(self, values: torch.Tensor) -> None:
        pass

    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)
    is_meta = property(lambda self: False)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if not _current:
            raise RuntimeError("a tensor of the pretended GPU was used when that had gone")
        return _current[-1].run(func, args, kwargs or {})

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **(kwargs or {}))
        if not issubclass(cls, MetaTensor) or func in torch.overrides.get_default_nowrap_functions():
            return result
        return mapped(lambda value: value.as_subclass(MetaTensor) if type(value) in PLAIN else value, result)

    def as_subclass(self, cls):
        if issubclass(cls, MetaTensor) == isinstance(self, MetaTensor):
            return self
        # An alias stays in the graph of autograd.
        kind = PretendedMeta if issubclass(cls, MetaTensor) else PretendedTensor
        with _current[-1].making(kind), torch._C.DisableTorchFunctionSubclass():
            return aten.alias.default(self)

    def tolist(self):
        return self.cpu().tolist()

    def numpy(self, *, force=False):
        if force:
            return self.cpu().numpy()
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    def __array__(self, dtype=None):
        return self.numpy()

    def __deepcopy__(self, memo):
        copy = self.detach().clone()
        return copy.requires_grad_(self.requires_grad)

    def __reduce_ex__(self, protocol):
        return self._values.detach().__reduce_ex__(protocol)

    def __repr__(self, *, tensor_contents=None):
        return f"cuda:0 {self._values!r}"


class PretendedMeta(MetaTensor, PretendedTensor):
    """The same with MONAI's meta data."""

    # MetaTensor replaces the __dict__ of its tensors.
    __slots__ = ("_values",)
    __new__ = PretendedTensor.__new__

    def __init__(self, x, *arguments, **keywords):
        if arguments or keywords or isinstance(x, PretendedTensor):
            MetaTensor.__init__(self, x, *arguments, **keywords)

    def __deepcopy__(self, memo):
        return self.clone()

    @property
    def device(self):
        return CUDA


PLAIN = (torch.Tensor, PretendedTensor)


class Gpu:
    """The pretended device: runs every operation on its tensors, and counts.

    Attributes:
        waits: line of code -> how often the host waited for the device there.
        uploads: line of code -> how often something was copied to the device there.
        most_elements: a tensor with more elements is out of memory; None for no limit.
    """

    def __init__(self) -> None:
        self.waits: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()
        self.most_elements: int | None = None
        self._kind: type[PretendedTensor] = PretendedTensor

    @contextmanager
    def making(self, kind: type[PretendedTensor]) -> Iterator[None]:
        """Results are of this class meanwhile."""
        before, self._kind = self._kind, kind
        yield
        self._kind = before

    def run(self, func, args, kwargs):
        """What CUDA would do with an operation."""
        every = list(leaves((args, kwargs)))
        mine = [leaf for leaf in every if isinstance(leaf, PretendedTensor)]
        device = kwargs.get("device")
        # Where C++ makes a tensor like another one, it asks for ``meta``.
        makes = device is not None and torch.device(device).type in ("cuda", "meta")
        if not mine and not makes:
            return func(*args, **kwargs)
        others = [leaf for leaf in every if isinstance(leaf, torch.Tensor) and not isinstance(leaf, PretendedTensor)]
        if func in COPIES:
            return self._copy(func, args, kwargs, makes)
        if any(other.ndim for other in others) and func not in INDEXING:
            shapes = [tuple(leaf.shape) for leaf in (*mine, *others)]
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
                f"({func}, {shapes})"
            )
        if func in INDEXING:
            self._index(args)
        if func in WAITING:
            self.waits[_line()] += 1
        if func is aten._fused_sdp_choice.default:
            return 0  # written out: matrix products and softmax
        if func is aten.is_pinned.default:
            return False
        values, options = mapped(_values_of, (args, kwargs))
        if makes:
            options["device"] = "cpu"
        options.pop("pin_memory", None)
        return self._wrapped(func, args, kwargs, _compute(func, values, options))

    def _copy(self, func, args, kwargs, makes):
        if func is aten.copy_.default:
            target, source = args[:2]
            if not isinstance(target, PretendedTensor):
                self.waits[_line()] += 1
            elif not isinstance(source, PretendedTensor):
                self.uploads[_line()] += 1
            _values_of(target).copy_(_values_of(source))
            return target
        options = {key: value for key, value in kwargs.items() if key not in ("device", "non_blocking", "pin_memory")}
        source = args[0].as_tensor() if type(args[0]) is MetaTensor else args[0]
        values = aten._to_copy.default(_values_of(source), **options)
        device = kwargs.get("device")
        if not isinstance(source, PretendedTensor):
            self.uploads[_line()] += 1
        elif device is not None and not makes:
            self.waits[_line()] += 1
            return values
        return self._made(values)

    def _index(self, args):
        indices = [index for index in args[1] if isinstance(index, torch.Tensor)]
        if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            self.waits[_line()] += 1
        if any(not isinstance(index, PretendedTensor) for index in indices):
            self.uploads[_line()] += 1

    def _wrapped(self, func, args, kwargs, result):
        """The operands that were changed in place, new tensors for the rest."""
        named = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
        written = [
            named[argument.name]
            for argument in func._schema.arguments
            if argument.alias_info is not None and argument.alias_info.is_write and argument.name in named
        ]
        returns = func._schema.returns
        if not returns:
            return None
        if written and returns[0].alias_info is not None and returns[0].alias_info.is_write:
            return written[0] if len(returns) == 1 else tuple(written)
        return mapped(lambda value: self._made(value) if isinstance(value, torch.Tensor) else value, result)

    def _made(self, values):
        if self.most_elements is not None and values.numel() > self.most_elements:
            raise torch.cuda.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {values.numel()} elements.")
        return self._kind(values)


def _values_of(value):
    if isinstance(value, PretendedTensor):
        return value._values
    return value.as_tensor() if isinstance(value, MetaTensor) else value


def _compute(func, args, kwargs):
    """Compute on the CPU; where that would lose more than CUDA does, or is not written for halves, in float32."""
    dtypes = {leaf.dtype for leaf in leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
    half = next((dtype for dtype in HALVES if dtype in dtypes), None)
    if half is None or func not in MATRIX_PRODUCTS:
        try:
            return func(*args, **kwargs)
        except RuntimeError as error:
            if half is None or "not implemented for" not in str(error):
                raise
    args, kwargs = mapped(
        lambda value: value.float() if isinstance(value, torch.Tensor) and value.dtype in HALVES else value,
        (args, kwargs),
    )
    return mapped(
        lambda value: value.to(half) if isinstance(value, torch.Tensor) and value.dtype == torch.float32 else value,
        func(*args, **kwargs),
    )


def _line() -> str:
    """The innermost line of code outside PyTorch and this folder."""
    for frame in reversed(traceback.extract_stack(limit=60)):
        name = frame.filename.replace("\\", "/")
        if "/torch/" not in name and "/tests/gpu/pretended" not in name and "/tests/gpu/cuda_auto" not in name:
            return f"{name.split('site-packages/')[-1]}:{frame.lineno} {frame.name}"
    return "?"


class _Operations(TorchDispatchMode):
    """Factories and copies to the device, which have no pretended tensor among their arguments."""

    def __init__(self, gpu: Gpu) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self.gpu.run(func, args, kwargs or {})


def _load_to_the_device(load):
    def to_the_device(file, map_location=None, **keywords):
        wanted = map_location is not None and torch.device(map_location).type == "cuda"
        content = load(file, map_location="cpu" if wanted else map_location, **keywords)
        if not wanted:
            return content
        return mapped(lambda value: value.to(CUDA) if isinstance(value, torch.Tensor) else value, content)

    return to_the_device


@contextmanager
def pretended_cuda() -> Iterator[Gpu]:
    """Make PyTorch believe in one CUDA device; everything is as before afterwards."""
    gpu = Gpu()
    answers = {
        "is_available": True,
        "is_initialized": True,
        "device_count": 1,
        "current_device": 0,
        "set_device": None,
        "empty_cache": None,
        "manual_seed": None,
        "manual_seed_all": None,
        "is_bf16_supported": True,
        "get_device_name": "pretended GPU",
        "get_device_capability": (9, 0),
        "is_current_stream_capturing": False,
        "max_memory_allocated": 0,
        "memory_allocated": 0,
        "reset_peak_memory_stats": None,
        "mem_get_info": (2**36, 2**36),
        "_lazy_init": None,
        "_is_compiled": True,
    }
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, lambda *_, _answer=answer, **__: _answer))
        stack.enter_context(mock.patch.object(torch.cuda, "synchronize", lambda *_: gpu.waits.update([_line()])))
        stack.enter_context(mock.patch.object(torch, "load", _load_to_the_device(torch.load)))
        swap = torch.__future__.get_swap_module_params_on_conversion()
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swap)
        # Module.to() then keeps the identity of the parameters, as on a real device.
        torch.__future__.set_swap_module_params_on_conversion(True)
        _current.append(gpu)
        stack.callback(_current.pop)
        stack.callback(forget_constants)
        stack.enter_context(_Operations(gpu))
        stack.enter_context(CudaFunctions(CUDA, PretendedTensor))
        yield gpu
