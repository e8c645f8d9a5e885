"""What a run leaves beside the images: the table of cases, the page, colour tables, BIDS derivatives."""

from shared_networks.outputs.bids_derivatives import BidsDataset, SaveBidsDerivativesd
from shared_networks.outputs.case_page import CasePage
from shared_networks.outputs.case_table import CaseTable
from shared_networks.outputs.colour_tables import ColourTables
from shared_networks.outputs.preview import SavePreviewd
