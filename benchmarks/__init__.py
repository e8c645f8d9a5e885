"""Measurements, one command a table; each writes JSON and Markdown."""
