"""Helpers that several packages of tests share; those of one package lie beside its tests."""
