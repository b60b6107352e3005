"""Helpers that several packages of tests share; those of one package are next to its tests."""
