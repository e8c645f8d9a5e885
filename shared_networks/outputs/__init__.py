"""What a run leaves beside the images: the table of cases, the page, colour tables, BIDS derivatives."""

from shared_networks.outputs.case_table import CaseTable

__all__ = ["CaseTable"]
