"""Benchmarks for a few minutes on a GPU machine: the engine's speed compared with what the GPU can do."""
