"""Pictures of what a network did."""

from shared_networks.visualize.side_by_side import fullest_slice, side_by_side, upright_slice
