"""Networks, losses, metrics and transforms shared by the RMR-Fusion and GeSeNet bundles.

The import is light on purpose: sub-packages are imported where they are named, so that a bundle pays only for what its
configuration uses.
"""

__version__ = "0.1.0"
