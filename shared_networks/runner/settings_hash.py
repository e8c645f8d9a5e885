"""SHA-256 of what decides a result in the config that is being resolved."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver

from shared_networks.runner.call_stack import calling_frames
from shared_networks.runner.config_keys import look_up, strings_of


def settings_hash(parts: Sequence[str], without: Sequence[str] = ()) -> str:
    """SHA-256 of parts of the config that is being resolved, overrides included, and of all that they refer to.

    A config uses it as a component (MONAI hands components nothing of the config, so it is found on the call stack)::

        {"_target_": "shared_networks.runner.settings_hash", "parts": ["network_def", "inferer"], "without": ["device"]}

    Args:
        parts: ids.
        without: ids of what does not change the result (places, what runs at a time); what only they refer to is left
            out too.

    Returns:
        Hexadecimal digits; '' when no config is being resolved.
    """
    found = collect_settings(parts, without)
    return hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest() if found else ""


def collect_settings(parts: Sequence[str], without: Sequence[str] = ()) -> dict[str, Any]:
    """Parts of the config that is being resolved, and all that they refer to, as they were written, by id.

    Parts that the config does not have are passed over; top-level ids ``without`` are left out, with what only they
    refer to. {} when no config is being resolved.
    """
    frame = calling_frames().get(ConfigParser.get_parsed_content.__code__)
    if frame is None:
        return {}
    config = frame.f_locals["self"].get()
    found: dict[str, Any] = {}
    waiting = list(parts)
    while waiting:
        key = waiting.pop()
        names = ReferenceResolver.split_id(key)
        if key in found or names[0] in without:
            continue
        found[key] = look_up(config, names)
        for text in strings_of(found[key]):
            waiting += ReferenceResolver.match_refs_pattern(text)
    return found
