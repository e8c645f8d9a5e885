"""Measurements, one command a table; each writes JSON and Markdown."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GESENET, RMR = ROOT / "gesenet_bundle", ROOT / "rmr_fusion_bundle"
