"""Networks to export, and what their programs are like."""

import io

import torch
from torch import fx, nn

from cloudseg_ops.engine.network.program_graphs import graph_modules
from tests.support.programs import exported

CPU = torch.device("cpu")
IMAGES = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def opened(network: nn.Module) -> fx.GraphModule:
    """Export a network and open the program, as the engine does."""
    program: fx.GraphModule = torch.export.load(io.BytesIO(exported(network))).module()
    return program


def operations(program: nn.Module) -> list[str]:
    (module,) = graph_modules(program)
    return [str(node.target).removeprefix("aten.") for node in module.graph.nodes if node.op == "call_function"]


def run(program: nn.Module, images: torch.Tensor = IMAGES) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = program(images.contiguous(memory_format=torch.channels_last))
    return logits


def trained(network: nn.Module) -> nn.Module:
    """Give batch norms statistics and weights that are not those of a new network."""
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            assert module.running_var is not None
            module.running_mean.uniform_(-1, 1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 2, generator=generator)
                nn.init.uniform_(module.bias, -1, 1, generator=generator)
    return network.eval()


class Chain(nn.Sequential):
    """Convolutions with and without bias, transposed, depthwise, each with a batch norm; residual and dropout."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1, stride=2, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, padding="same", groups=8),
            nn.BatchNorm2d(8, affine=False),
            nn.ReLU6(inplace=True),
            nn.Dropout(0.5),
            nn.ConvTranspose2d(8, 4, 2, stride=2),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 1, 1),
        )


class Attention(nn.Module):
    """Views of a convolution's result that channels last does not support, and conversions to channels first."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 8), nn.Conv2d(8, 1, 1)
        self.norm = nn.LayerNorm(8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.embed(images.contiguous())
        count, channels, height, width = features.shape
        tokens = self.norm(features.view(count, channels, -1).transpose(1, 2))
        tokens = tokens + self.mix(tokens)
        grid = tokens.reshape(count, height, width, channels).permute(0, 3, 1, 2).contiguous()
        logits: torch.Tensor = self.head(grid)
        return logits
