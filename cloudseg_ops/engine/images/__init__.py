"""Photographs and masks as arrays."""
