"""Uses a few minutes on a GPU machine fully: what the engine reaches there, of what the GPU could do."""
