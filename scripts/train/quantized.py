"""
Quantisation-aware training (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018): the network computes as `lookout model quantize` will have it compute,
int8 weights with one scale for each channel and 8-bit activations, and gradients pass the rounding as if it were not there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from network import InvertedResidual, MobileNetV2, Same

# share of an activation's values that may lie beyond either end of its range
BEYOND = 1e-4
MOST_VALUES = 1_000_000


def rounded(x: Tensor, scale: Tensor | float) -> Tensor:
    return x + ((x / scale).round() * scale - x).detach()


class Quantized:
    """Runs a network with rounded weights and activations; the weights themselves stay as fine as they are."""

    def __init__(self, network: MobileNetV2):
        self.network = network
        # lowest and highest value of each activation, in the order in which they are made
        self.ranges: list[tuple[float, float]] = []

    @torch.no_grad()
    def calibrate(self, pictures: Tensor) -> None:
        """Takes the ranges from N x 3 x side x side pictures, -1..1."""
        self.ranges = []
        self.run(pictures, self.measure)

    def measure(self, x: Tensor, number: int) -> Tensor:
        values = x.flatten()
        values = values[:: max(1, len(values) // MOST_VALUES)].sort().values
        beyond = int(len(values) * BEYOND)
        low, high = min(0.0, values[beyond].item()), values[-1 - beyond].item()
        # zero is a level of its own
        scale = (high - low) / 255
        low = -round(-low / scale) * scale
        self.ranges.append((low, low + 255 * scale))
        return x

    def level(self, x: Tensor, number: int) -> Tensor:
        low, high = self.ranges[number]
        return rounded(x.clamp(low, high), (high - low) / 255)

    def features(self, x: Tensor) -> Tensor:
        """As MobileNetV2.features."""
        return self.run(x, self.level)

    def run(self, x: Tensor, activation) -> Tensor:
        number = 0
        for block in self.network.blocks:
            given = x
            layers = list(block.layers if isinstance(block, InvertedResidual) else block)
            for position, layer in enumerate(layers):
                if isinstance(layer, nn.Conv2d):
                    scale = layer.weight.detach().abs().amax((1, 2, 3), keepdim=True) / 127
                    weight = rounded(layer.weight, scale)
                    x = F.conv2d(x, weight, None, layer.stride, layer.padding, 1, layer.groups)
                else:
                    x = layer(x)
                last = position + 1 == len(layers) or isinstance(layers[position + 1], Same | nn.Conv2d)
                if last and not isinstance(layer, Same):
                    x = activation(x, number)
                    number += 1
            if isinstance(block, InvertedResidual) and block.adds:
                x = activation(given + x, number)
                number += 1
        return activation(x.float().mean((2, 3)), number)
