"""How a network is run over pictures and volumes."""

from shared_networks.inferers.autocast import AutocastInferer
from shared_networks.inferers.background_skipping import BackgroundSkipping
from shared_networks.inferers.encode_once import EncodeOnceInferer
from shared_networks.inferers.fusion_inferer import FusionInferer
