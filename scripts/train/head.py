"""
Trains the head: a linear classifier of the 11 classes on the pooled features of the ImageNet MobileNetV2, which stays
as it is.

    python head.py --data DIR --backbone mobilenet_v2_1.0_224_int8.onnx --demo crops.bin \
        --published SHA256 --features FOLDER --out models/heads/mobilenet_v2_imagenet.onnx
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from augment import Augment, squashed
from calibration import calibration_error, corrections, temperature
from dataset import ANIMAL, LABELS, Pictures, join, load, load_demo
from description import description
from teacher import Teacher

SIDE = 224
# distorted at this size, then enlarged: the pictures themselves are hardly larger
DISTORTED_SIDE = 160
BATCH = 32


def plain(teacher: Teacher, pictures: Pictures) -> tuple[Tensor, Tensor]:
    """Features and labels of the pictures as they are."""
    batches = torch.arange(len(pictures)).split(BATCH)
    features = [teacher.features(squashed(pictures, index, SIDE), SIDE).half() for index in batches]
    return torch.cat(features), pictures.label


def distorted(teacher: Teacher, pictures: Pictures, seed: int) -> tuple[Tensor, Tensor]:
    """Features and labels of as many distorted pictures, drawn by weight."""
    augment = Augment(pictures, DISTORTED_SIDE, seed)
    features, labels = [], []
    for _ in range(len(pictures) // BATCH):
        _, seen, label = augment.batch(BATCH)
        features.append(teacher.features(seen, SIDE).half())
        labels.append(label)
    return torch.cat(features), torch.cat(labels)


def kept(file: Path, compute: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Computes once, and reads the file from then on."""
    if not file.exists():
        begun = time.monotonic()
        result = compute()
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(result, file.with_suffix(".tmp"))
        file.with_suffix(".tmp").replace(file)
        print(f"{file}: {len(result[1])} pictures in {time.monotonic() - begun:.0f} s", flush=True)
    features, label = torch.load(file, weights_only=True)
    return features.float(), label


def fit(features: Tensor, label: Tensor, decay: float, seed: int) -> torch.nn.Linear:
    """Multinomial regression on standardised features by AdamW; the standardisation is folded into the weights."""
    torch.manual_seed(seed)
    mean, spread = features.mean(0), features.std(0) + 0.05
    scaled = (features - mean) / spread
    layer = torch.nn.Linear(features.shape[1], len(LABELS))
    optimizer = torch.optim.AdamW(layer.parameters(), lr=2e-3, weight_decay=decay)
    rounds = 12
    steps = rounds * (len(label) // 512)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(rounds):
        for index in torch.randperm(len(label)).split(512)[: len(label) // 512]:
            optimizer.zero_grad()
            F.cross_entropy(layer(scaled[index]), label[index], label_smoothing=0.02).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        layer.weight /= spread
        layer.bias -= layer.weight @ mean
    return layer


def shares(logits: Tensor, label: Tensor) -> dict[str, float]:
    right = (logits.argmax(1) == label).float()
    classes = torch.stack([right[label == index].mean() for index in range(len(LABELS))])
    return {
        "top1": round(100 * right.mean().item(), 2),
        "balanced": round(100 * classes.mean().item(), 2),
        "worst class": round(100 * classes.min().item(), 2),
        "ece": round(calibration_error(logits, label), 4),
    }


def leave_one_out(features: Tensor, label: Tensor, train: Pictures, test: tuple[Tensor, Tensor], sources: list[str]) -> None:
    """
    For each source that shares its classes with others: how well its test pictures are told by a classifier that has
    seen it, and by one that has not (on the pictures as they are). Prints Markdown.
    """
    names = {name for name in train.source if name != "demo"}
    print("| source left out | test images | seen | not seen |\n|---|---|---|---|")
    with_all = fit(features, label, 0.1, 1)
    for name in sorted(names):
        kept = torch.tensor([source != name for source in train.source])
        known = torch.bincount(label[kept], minlength=len(LABELS)) >= 50
        picked = torch.tensor([source == name for source in sources]) & known[test[1]]
        if not picked.any():
            continue
        without = fit(features[kept], label[kept], 0.1, 1)
        with torch.no_grad():
            right = [
                (layer(test[0][picked]).argmax(1) == test[1][picked]).float().mean().item() for layer in (with_all, without)
            ]
        print(f"| {name} | {int(picked.sum())} | {100 * right[0]:.1f} % | {100 * right[1]:.1f} % |", flush=True)


def write(layer: torch.nn.Linear, backbone: dict[str, str], out: Path) -> None:
    """`features` (1 x 1280 x 1 x 1) to `probabilities`, with what it was trained on in the metadata."""
    features = layer.in_features
    weights = layer.weight.detach().numpy().reshape(len(LABELS), features, 1, 1).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["features", "weights", "bias"], ["scores"], kernel_shape=[1, 1]),
            helper.make_node("Flatten", ["scores"], ["logits"], axis=1),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "head",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, features, 1, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, len(LABELS)])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(layer.bias.detach().numpy(), "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="lookout")
    helper.set_model_props(
        model, {"lookout": description(f"lookout_on_{backbone['name']}"), "lookout_backbone": json.dumps(backbone)}
    )
    onnx.checker.check_model(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(model.SerializeToString())
    print(f"{out}: {out.stat().st_size} bytes, sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", required=True, help="the ImageNet MobileNetV2 as QDQ ONNX")
    parser.add_argument("--name", default="mobilenet_v2_imagenet", help="what the catalogue calls it")
    parser.add_argument("--published", required=True, help="sha256 of the file that the catalogue names")
    parser.add_argument("--demo", type=Path, required=True, help="crops of the demo scene, from demo-crops.ts")
    parser.add_argument("--without", default="", help="leave these sources out of training, comma-separated")
    parser.add_argument("--features", type=Path, required=True, help="folder in which features are kept between runs")
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--leave-one-out", action="store_true", help="also say what a source costs that was never seen")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    teacher = Teacher(options.backbone, options.threads)
    left_out = set(filter(None, options.without.split(",")))

    @cache
    def train() -> Pictures:
        pictures = join(load(options.data, "train"), load_demo(options.demo))
        return pictures.where([source not in left_out for source in pictures.source])

    folder = options.features
    val = kept(folder / "val.pt", lambda: plain(teacher, load(options.data, "val")))
    test = kept(folder / "test.pt", lambda: plain(teacher, load(options.data, "test")))
    parts = [kept(folder / "train.pt", lambda: plain(teacher, train()))]
    for number in range(options.passes):
        seed = options.seed + number
        parts.append(kept(folder / f"distorted-{seed}.pt", lambda: distorted(teacher, train(), seed)))
    features, label = (torch.cat(tensors) for tensors in zip(*parts))

    fitted = []
    for decay in (0.1, 0.5, 2.0, 4.0, 8.0):
        layer = fit(features, label, decay, options.seed)
        with torch.no_grad():
            loss = F.cross_entropy(layer(val[0]) / temperature(layer(val[0]), val[1]), val[1]).item()
            print(f"decay {decay}: val {shares(layer(val[0]), val[1])} nll {loss:.4f}", flush=True)
        fitted.append((loss, decay, layer))
    _, decay, layer = min(fitted, key=lambda entry: entry[0])
    with torch.no_grad():
        favour, divisor = corrections(layer(val[0]), val[1], ANIMAL)
        layer.bias[ANIMAL] += favour
        layer.weight /= divisor
        layer.bias /= divisor
        print(f"decay {decay}, animal + {favour:.2f}, temperature {divisor:.3f}: val {shares(layer(val[0]), val[1])}")
        print(f"test {shares(layer(test[0]), test[1])}")
    if options.leave_one_out:
        leave_one_out(*parts[0], train(), test, load(options.data, "test").source)
    if options.out:
        write(layer, {"name": options.name, "sha256": options.published}, options.out)


if __name__ == "__main__":
    main()
