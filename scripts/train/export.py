"""
Writes a checkpoint as a float ONNX model that `lookout model quantize` takes: batch normalisation folded into the
convolutions, scores calibrated by a temperature that is folded into the classifier.

    python export.py --checkpoint runs/w1.0/whole.pt --data DIR --out runs/w1.0/lookout.onnx --pictures runs/pictures
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from augment import squashed
from calibration import calibration_error, corrections
from dataset import ANIMAL, LABELS, Pictures, load
from description import description
from network import InvertedResidual, MobileNetV2, Same, mean


class Graph:
    """ONNX nodes and constants, one layer after the other."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: Tensor) -> str:
        self.constants.append(numpy_helper.from_array(values.detach().numpy().astype(np.float32), name))
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def convolution(self, at: str, name: str, weight: Tensor, bias: Tensor, stride: int, pads: list[int], groups: int) -> str:
        inputs = [at, self.constant(f"{name}_weights", weight), self.constant(f"{name}_bias", bias)]
        kernel = list(weight.shape[2:])
        return self.node("Conv", inputs, name, kernel_shape=kernel, strides=[stride] * 2, pads=pads, group=groups)

    def layers(self, at: str, name: str, layers: nn.Sequential) -> str:
        """Convolutions with their normalisation folded in, padding and activations."""
        pads: list[int] | None = None
        folded = 0
        modules = list(layers)
        for position, module in enumerate(modules):
            if isinstance(module, Same):
                pads = [0, 0, 1, 1]
            elif isinstance(module, nn.Conv2d):
                norm = modules[position + 1]
                assert isinstance(norm, nn.BatchNorm2d)
                factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                folded += 1
                at = self.convolution(
                    at,
                    f"{name}_conv{folded}",
                    module.weight * factor[:, None, None, None],
                    norm.bias - norm.running_mean * factor,
                    module.stride[0],
                    pads or [module.padding[0]] * 4,
                    module.groups,
                )
                pads = None
            elif isinstance(module, nn.ReLU6):
                bounds = [self.constant(f"{at}_{bound}", torch.tensor(bound)) for bound in (0.0, 6.0)]
                at = self.node("Clip", [at, *bounds], f"{at}_relu6")
        return at


def to_onnx(network: MobileNetV2, side: int, divisor: float, metadata: str) -> onnx.ModelProto:
    """`divisor`: temperature of the scores."""
    graph = Graph()
    at = "image"
    for number, block in enumerate(network.blocks):
        name = f"block{number}"
        if isinstance(block, InvertedResidual):
            end = graph.layers(at, name, block.layers)
            at = graph.node("Add", [at, end], f"{name}_sum") if block.adds else end
        else:
            at = graph.layers(at, name, block)
    at = graph.node("GlobalAveragePool", [at], "features")
    classifier = network.classifier
    weight = (classifier.weight / divisor)[:, :, None, None]
    at = graph.convolution(at, "classifier", weight, classifier.bias / divisor, 1, [0] * 4, 1)
    at = graph.node("Flatten", [at], "logits", axis=1)
    graph.node("Softmax", [at], "probabilities", axis=1)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "lookout",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, side, side])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, len(LABELS)])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
        producer_name="lookout",
    )
    helper.set_model_props(model, {"lookout": metadata})
    onnx.checker.check_model(model)
    return model


@torch.no_grad()
def logits_of(network: MobileNetV2, pictures: Pictures, side: int) -> Tensor:
    batches = torch.arange(len(pictures)).split(64)
    return torch.cat([network(squashed(pictures, index, side) * 2 - 1) for index in batches])


def chosen_on_val(network: MobileNetV2, data: Path, side: int) -> tuple[float, float]:
    """The offset for `animal` and the temperature."""
    val = load(data, "val")
    logits = logits_of(network, val, side)
    favour, divisor = corrections(logits, val.label, ANIMAL)
    logits[:, ANIMAL] += favour
    right = 100 * (logits.argmax(1) == val.label).float().mean().item()
    before, after = (calibration_error(logits / value, val.label) for value in (1.0, divisor))
    print(f"val: {right:.2f} % right, animal + {favour:.2f}, temperature {divisor:.4f}, calibration error {before:.4f} -> {after:.4f}")
    return favour, divisor


def write_pictures(folder: Path, pictures: Pictures, count: int) -> None:
    """Some pictures for `lookout model quantize --calibrate`, classes in turn."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    places = [(pictures.label == label).nonzero()[:, 0] for label in range(len(LABELS))]
    for number in range(count):
        of_class = places[number % len(places)]
        index = int(of_class[number // len(places) * 7919 % len(of_class)])
        height, width = pictures.size[index].tolist()
        pixels = pictures.canvas[index, :, :height, :width].permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / f"{number:04}-{pictures.ids[index]}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkpoint", type=Path, nargs="*", default=[], help="of several the mean; by default random weights, to try the way"
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument(
        "--corrections", type=float, nargs=2, metavar=("OFFSET", "TEMPERATURE"), help="by default chosen on val"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, help="also write pictures for calibration into this folder")
    parser.add_argument("--count", type=int, default=440, help="how many pictures")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    network = MobileNetV2(options.width, len(LABELS)).eval()
    if options.checkpoint:
        network.load_state_dict(mean([torch.load(file, weights_only=True)["average"] for file in options.checkpoint]))
    favour, divisor = options.corrections or chosen_on_val(network, options.data, options.side)
    with torch.no_grad():
        network.classifier.bias[ANIMAL] += favour

    pixels = {"order": "rgb", "mean": [127.5] * 3, "scale": [1 / 127.5] * 3}
    name = f"lookout_mobilenet_v2_{options.width:g}_{options.side}"
    model = to_onnx(network, options.side, divisor, description(name, input=pixels))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(model.SerializeToString())
    print(f"{options.out}: {options.out.stat().st_size} bytes")
    check(options.out, network, divisor, options.side)
    if options.pictures:
        write_pictures(options.pictures, load(options.data, "train"), options.count)


def check(file: Path, network: MobileNetV2, divisor: float, side: int) -> None:
    """The file must answer what the network answers."""
    import onnxruntime

    picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected = (network(picture) / divisor).softmax(1).numpy()
    (found,) = onnxruntime.InferenceSession(str(file)).run(None, {"image": picture.numpy()})
    assert np.abs(found - expected).max() < 1e-3, f"{file} answers otherwise than the network"


if __name__ == "__main__":
    main()
