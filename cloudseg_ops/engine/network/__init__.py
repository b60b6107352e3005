"""The network on its device: loading, precision, prediction and tiling."""
