"""Who called: MONAI hands a config's components neither the overrides nor the config itself."""

import inspect
from types import CodeType, FrameType


def calling_frames() -> dict[CodeType, FrameType]:
    """The innermost frame of each function on the call stack."""
    frames: dict[CodeType, FrameType] = {}
    frame = inspect.currentframe()
    while frame is not None:
        frames.setdefault(frame.f_code, frame)
        frame = frame.f_back
    return frames
