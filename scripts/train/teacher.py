"""The ImageNet MobileNetV2 that the network learns features from, run by ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper
from torch import Tensor


class Teacher:
    """A quantised (QDQ) MobileNetV2 1.0 in ONNX with one uint8 N x H x W x 3 input, at any picture size."""

    def __init__(self, file: str, threads: int):
        model = onnx.load(file)
        graph = model.graph
        consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                consumers.setdefault(name, []).append(node)

        def dequantised(name: str) -> str:
            quantise = next(node for node in consumers[name] if node.op_type == "QuantizeLinear")
            return next(n for n in consumers[quantise.output[0]] if n.op_type == "DequantizeLinear").output[0]

        pool = next(node for node in graph.node if node.op_type == "GlobalAveragePool")
        ends: list[str] = []
        convolutions = 0
        for node in graph.node:
            if node.op_type == "Conv":
                convolutions += 1
                # the stem; two convolutions; then three a block; then the last one
                if convolutions == 1 or convolutions == 3 or (convolutions > 3 and convolutions % 3 == 0):
                    ends.append(node.output[0])
            elif node.op_type == "Add":
                ends[-1] = node.output[0]
            elif node is pool:
                break
        self.hidden = [dequantised(name) for name in ends] + [pool.input[0]]
        assert len(self.hidden) == 19, f"expected 19 block outputs, found {len(self.hidden)}"
        self.pooled = pool.output[0]
        self.logits = [node.output[0] for node in graph.node if node.op_type == "Conv"][-1]
        wanted = set(self.hidden) | {self.pooled, self.logits}
        kept = []
        needed = set(wanted)
        for node in reversed(graph.node):
            if needed & set(node.output):
                kept.append(node)
                needed |= set(node.input)
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted]
        source = helper.make_tensor_value_info(graph.input[0].name, TensorProto.UINT8, ["n", "h", "w", 3])
        initializers = [tensor for tensor in graph.initializer if tensor.name in needed]
        trunk = helper.make_graph(kept[::-1], "trunk", [source], outputs, initializers)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        trimmed = helper.make_model(trunk, opset_imports=model.opset_import, ir_version=model.ir_version)
        self.session = onnxruntime.InferenceSession(trimmed.SerializeToString(), options)

    def run(self, pixels: Tensor, names: list[str]) -> list[Tensor]:
        levels = (pixels * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
        return [torch.from_numpy(np.asarray(out)) for out in self.session.run(names, {self.session.get_inputs()[0].name: levels})]

    def blocks(self, pixels: Tensor) -> list[Tensor]:
        """What leaves the stem, each block and the last convolution."""
        return self.run(pixels, self.hidden)

    def features(self, pixels: Tensor, side: int) -> Tensor:
        """Pooled features of pictures enlarged to `side`: N x 1280."""
        return self.opinion(pixels, side)[0]

    def opinion(self, pixels: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Pooled features and logits (N x 1001) of pictures enlarged to `side`."""
        if pixels.shape[-1] != side:
            pixels = F.interpolate(pixels, (side, side), mode="bicubic", align_corners=False)
        features, logits = self.run(pixels, [self.pooled, self.logits])
        return features.flatten(1), logits.flatten(1)
