"""Saves and loads a trained network: the weights, and the parameters file for cloudseg."""

from pathlib import Path

import torch
import yaml
from loop import MEAN, STD, Recipe

from cloudseg_ops.engine.network.networks import UNet

MAX_SIDE = 512


def save(network: UNet, recipe: Recipe, path: Path) -> Path:
    """Write `<name>.pt`, a plain state dict, and `params-<name>.yaml` next to it.

    Kernels are stored as float16, which halves the size; `load_state_dict` converts them to float32. Biases and batch
    statistics stay float32.

    Returns:
        The path of the parameters.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.half().contiguous() if tensor.ndim > 1 else tensor.clone()
        for name, tensor in network.state_dict().items()
    }
    torch.save(state, path)
    params = path.with_name(f"params-{path.stem}.yaml")
    params.write_text(yaml.safe_dump({"model": _model(recipe)}, sort_keys=False, default_flow_style=None))
    return params


def _model(recipe: Recipe) -> dict[str, object]:
    return {
        "architecture": "unet",
        "arguments": {"width": recipe.width, "depth": recipe.depth},
        "in_channels": 3,
        "n_classes": 1,
        "classes": ["clear sky", "cloud"],
        "normalize": {"mean": list(MEAN), "std": list(STD)},
        "max_side": MAX_SIDE,
    }


def load(path: Path, width: int, depth: int) -> UNet:
    """Read the weights of `save` into a network that is ready to predict."""
    network = UNet(3, 1, width=width, depth=depth)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()
