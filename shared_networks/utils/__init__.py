"""Weights, files, memory, packages: what every room may use."""

from shared_networks.utils.atomic import atomic_path
from shared_networks.utils.backends import set_backends
from shared_networks.utils.code_version import check_code_version
from shared_networks.utils.memory import keep_freed_memory
from shared_networks.utils.optional_packages import missing_for_tensorrt
from shared_networks.utils.own_outputs import own_outputs
