"""Photographs and masks as NumPy arrays."""
