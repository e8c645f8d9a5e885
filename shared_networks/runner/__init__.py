"""What knows about MONAI's runner and its configs."""

from shared_networks.runner.run_check import check_run
from shared_networks.runner.settings_hash import settings_hash
from shared_networks.runner.two_stage import TwoStages
from shared_networks.runner.typed_arguments import typed_command
