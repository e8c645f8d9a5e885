"""How exactly, and how repeatably, a GPU computes."""

import torch


def set_backends(tf32: bool, cudnn_benchmark: bool, deterministic: bool) -> None:
    """Set PyTorch's switches for CUDA; on a CPU they change nothing.

    To be called after ``monai.utils.set_determinism``, which has settings of its own.

    Args:
        tf32: let convolutions and matrix products of float32 tensors run in TensorFloat-32 (10 bits of mantissa).
            PyTorch's own default is TF32 for convolutions, so that float32 is not float32 on a GPU unless this is off.
        cudnn_benchmark: let cuDNN try its algorithms for every new size and take the fastest.
        deterministic: only those algorithms of cuDNN that give the same bits in every run.
    """
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = cudnn_benchmark
    torch.backends.cudnn.deterministic = deterministic
