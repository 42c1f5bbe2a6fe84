"""MobileNetV2 as its paper's table 2 has it: Sandler et al., "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", CVPR 2018. Weights start at random."""

import torch
from torch import Tensor, nn

# expansion t, channels c, repeats n, stride s of the first repeat
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def channels(count: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth below `count`."""
    rounded = max(8, int(count + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * count else rounded


class Same(nn.Module):
    """Pads one row and column below and to the right, so that a 3x3 kernel with stride 2 halves an even size."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x, (0, 1, 0, 1))


def convolution(inputs: int, outputs: int, kernel: int, stride: int, groups: int, activate: bool) -> list[nn.Module]:
    """Convolution without bias, batch normalisation, and ReLU6 where `activate`."""
    shrinks = stride == 2
    layers: list[nn.Module] = [Same()] if shrinks else []
    padding = 0 if shrinks else kernel // 2
    layers += [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.02),
    ]
    return layers + ([nn.ReLU6(inplace=True)] if activate else [])


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project without activation; added to its input where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        self.layers = nn.Sequential(
            *(convolution(inputs, hidden, 1, 1, 1, True) if expansion > 1 else []),
            *convolution(hidden, hidden, 3, stride, hidden, True),
            *convolution(hidden, outputs, 1, 1, 1, False),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


class MobileNetV2(nn.Module):
    """
    Pictures (N x 3 x side x side, -1..1) to logits (N x classes). `blocks` are the stem, the 17 inverted residuals and
    the last 1x1 convolution, in order.
    """

    def __init__(self, width: float, classes: int):
        super().__init__()
        count = channels(32 * width)
        blocks = [nn.Sequential(*convolution(3, count, 3, 2, 1, True))]
        for expansion, base, repeats, stride in STAGES:
            for repeat in range(repeats):
                outputs = channels(base * width)
                blocks.append(InvertedResidual(count, outputs, stride if repeat == 0 else 1, expansion))
                count = outputs
        features = channels(1280 * max(1.0, width))
        blocks.append(nn.Sequential(*convolution(count, features, 1, 1, 1, True)))
        self.blocks = nn.ModuleList(blocks)
        self.classifier = nn.Linear(features, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def freeze(self, count: int) -> None:
        """Takes the first `count` blocks out of training, their normalisation included."""
        for block in self.blocks[:count]:
            block.eval().requires_grad_(False)

    def features(self, x: Tensor) -> Tensor:
        """The pooled features: N x 1280 (more for widths above 1)."""
        for block in self.blocks:
            x = block(x)
        return x.float().mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def multiply_adds(width: float, side: int, classes: int) -> int:
    """Multiply-adds of one picture."""
    network = MobileNetV2(width, classes).eval()
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        total += module.weight[0].numel() * output[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, side, side))
    return total


def mean(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of the weights of runs that began with the same ones (Wortsman et al., "Model soups", ICML 2022)."""
    return {name: sum(state[name].float() for state in states) / len(states) for name in states[0]}
