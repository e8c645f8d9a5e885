"""Small helpers of the runner's configs."""

from shared_networks.utils.atomic import atomic_path
from shared_networks.utils.memory import keep_freed_memory

__all__ = ["atomic_path", "keep_freed_memory"]
