"""From what a scanner gives to what the networks take, and back: DICOM, registration, bias field, brain mask."""

from shared_networks.clinical.prepare_pair import PreparePair
