"""Whether the devices that a config names are there, before anything is put on them."""

import re

import torch
from monai.bundle import ConfigParser

from shared_networks.errors import InputError
from shared_networks.runner.one_line_errors import reason_of

_AUTOCAST = ("float16", "bfloat16")


def check_devices(parser: ConfigParser) -> None:
    """Put a number on every device that a top-level key (``device``, ``..._device``) names, and take it back.

    Raises:
        InputError: when a key names no device, or one that cannot be used on this machine; or when ``amp_dtype`` names
            no type that autocast computes in.
    """
    kind = parser.get_parsed_content("amp_dtype") if "amp_dtype" in parser else _AUTOCAST[0]
    if kind not in _AUTOCAST:
        raise InputError(f"amp_dtype must be {' or '.join(_AUTOCAST)}, got {kind!r}.")
    for key in parser.get():
        if key != "device" and not key.endswith("_device"):
            continue
        try:
            value = parser.get_parsed_content(key)
        except Exception as error:
            raise InputError(f"{key}: {reason_of(error)}; give {_usable()}.") from error
        if value in (None, ""):
            continue
        try:
            torch.zeros(1, device=value).cpu()
        # PyTorch has an error of its own for every way in which a device can be missing.
        except Exception as error:
            reason = re.split(r"[.,:] |\n", str(error))[0].rstrip(".")
            raise InputError(f"{key} {value} cannot be used here ({reason}); give {_usable()}.") from error


def _usable() -> str:
    names = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return " or ".join([*names, "mps"] if torch.backends.mps.is_available() else names)
