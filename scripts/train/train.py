"""
Trains the built-in model. Two stages, each resumed from its last checkpoint when started again:

  blocks  each block learns, from what the teacher's block before it gives, what the teacher's block gives (FitNets,
          Romero et al., ICLR 2015, one hint per block); only where the network is as wide as the teacher
  whole   the network learns the labels, and what the teacher makes of the undistorted picture: its pooled features, its
          1001 classes, and our classes as a classifier on the teacher's features tells them (Hinton et al., "Distilling
          the Knowledge in a Neural Network", 2015)

    python train.py blocks --data DIR --teacher mobilenet_v2_1.0_224_int8.onnx --demo crops.bin --out runs/w1.0
    python train.py whole  …the same… --epochs 24
"""

import argparse
import ctypes
import json
import math
import os
import time
from collections import deque
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from augment import Augment, squashed
from dataset import LABELS, Pictures, join, load, load_demo
from network import MobileNetV2, mean
from quantized import Quantized
from teacher import Teacher

SAVE_EVERY = 50
# a block by itself learns as well from so many places; the early blocks have thousands in every picture
PLACES = 16384
# batches between a picture and its mirrored second use
ECHO_AFTER = 16
# pooled features and classes of the teacher
TEACHER_FEATURES = 1280
IMAGENET = 1001
# softens the answers that are learnt
TEMPERATURE = 2.0
# steps after which the classifier on the teacher's features is worth listening to
GUIDED_AFTER = 400


def keep_memory() -> None:
    """Has glibc keep large blocks that are freed: page faults took a third of each step."""
    m_trim_threshold, m_mmap_max = -1, -4
    libc = ctypes.CDLL(None)
    libc.mallopt(m_mmap_max, 0)
    libc.mallopt(m_trim_threshold, 2**31 - 1)


class Batches(IterableDataset):
    """
    Distorted pictures with what the teacher says of them, made in another process. Making one costs half as much as
    learning from it, so the last stage sees each twice, the second time mirrored and some batches later (data echoing,
    Choi et al., arXiv 1907.05550).
    """

    def __init__(self, pictures: Pictures, options: argparse.Namespace, step: int):
        self.pictures = pictures
        self.options = options
        self.step = step

    def __iter__(self):
        options = self.options
        os.nice(10)
        torch.set_num_threads(1)
        augment = Augment(self.pictures, options.side, options.seed + self.step)
        teacher = Teacher(options.teacher, 1)
        used: deque[tuple[Tensor, Tensor, tuple[Tensor, Tensor]]] = deque()
        while True:
            clean, seen, label = augment.batch(options.batch)
            if options.stage == "blocks":
                yield seen, label, teacher.blocks(seen)
                continue
            opinion = teacher.opinion(clean, options.teacher_side)
            yield seen, label, opinion
            used.append((seen.flip(3), label, opinion))
            if len(used) > ECHO_AFTER:
                yield used.popleft()


class Average:
    """An exponential moving average of a network's weights and statistics: what is evaluated and exported."""

    def __init__(self, network: MobileNetV2, decay: float):
        self.decay = decay
        self.state = {name: value.clone() for name, value in network.state_dict().items()}

    def update(self, network: MobileNetV2, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


class Guide(nn.Module):
    """What is learnt beside the network and not kept: the teacher's classes from our features, ours from the teacher's."""

    def __init__(self, features: int):
        super().__init__()
        self.imagenet = nn.Linear(features, IMAGENET)
        self.own = nn.Linear(TEACHER_FEATURES, len(LABELS))

    def losses(self, features: Tensor, logits: Tensor, label: Tensor, opinion: tuple[Tensor, Tensor]) -> list[Tensor]:
        """Of the labels, of our classes as the teacher has them, of its classes, of its features, and its own."""
        target, imagenet = opinion
        own = self.own(target)
        soft = (own.detach() / TEMPERATURE).softmax(1)
        losses = [
            F.cross_entropy(logits, label, label_smoothing=0.05),
            F.kl_div((logits / TEMPERATURE).log_softmax(1), soft, reduction="batchmean") * TEMPERATURE**2,
            F.kl_div(self.imagenet(features).log_softmax(1), imagenet.softmax(1), reduction="batchmean"),
        ]
        likeness = F.mse_loss(features, target) / target.var() if features.shape == target.shape else torch.zeros(())
        return [*losses, likeness, F.cross_entropy(own, label)]


def rate_at(step: int, steps: int, peak: float) -> float:
    """Rises over 100 steps, then falls along a cosine to a hundredth."""
    if step < 100:
        return peak * (step + 1) / 100
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * (step - 100) / max(1, steps - 100))) / 2)


def normalised(pixels: Tensor) -> Tensor:
    return (pixels * 2 - 1).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def match_scales(network: MobileNetV2, targets: list[Tensor]) -> None:
    """Lets the last normalisation of every block begin with the mean and spread of what the block should give."""
    given = None
    for block, target in zip(network.blocks, targets):
        wanted = target - given if given is not None and getattr(block, "adds", False) else target
        last = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)][-1]
        last.weight.copy_(wanted.std((0, 2, 3)))
        last.bias.copy_(wanted.mean((0, 2, 3)))
        given = target


def block_losses(network: MobileNetV2, seen: Tensor, targets: list[Tensor]) -> Tensor:
    """Squared error of each block over the variance of what it should give: 19 numbers."""
    given = normalised(seen)
    losses = []
    for block, target in zip(network.blocks, targets):
        count = min(len(target), max(1, PLACES // target[0, 0].numel()))
        made = block(given[:count].contiguous(memory_format=torch.channels_last))
        losses.append(F.mse_loss(made, target[:count]) / target[:count].var())
        given = target
    return torch.stack(losses)


@torch.no_grad()
def evaluate(network: MobileNetV2, pictures: Pictures, side: int) -> dict[str, float]:
    """Share of right answers: of all, of the classes' mean, and of each class, in percent."""
    network.eval()
    right = torch.zeros(len(LABELS))
    count = torch.zeros(len(LABELS))
    for start in range(0, len(pictures), 128):
        index = torch.arange(start, min(start + 128, len(pictures)))
        guess = network(normalised(squashed(pictures, index, side))).argmax(1)
        label = pictures.label[index]
        right.index_add_(0, label, (guess == label).float())
        count.index_add_(0, label, torch.ones(len(index)))
    share = 100 * right / count.clamp(min=1)
    named = {name: round(value, 1) for name, value in zip(LABELS, share.tolist())}
    return {"all": round((100 * right.sum() / count.sum()).item(), 2), "classes": round(share.mean().item(), 2), **named}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["blocks", "whole"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--demo", type=Path, required=True, help="crops of the demo scene, from demo-crops.ts")
    parser.add_argument("--without", default="", help="leave these sources out of training, comma-separated")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--start", type=Path, nargs="*", default=[], help="begin with this checkpoint's weights, or the mean of several"
    )
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--teacher-side", type=int, default=160)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=float, default=24)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--features", type=float, default=4.0, help="weight of the feature loss")
    parser.add_argument("--frozen", type=int, default=0, help="leave the first blocks as they are")
    parser.add_argument("--quantized", action="store_true", help="train the network as it will compute in int8")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    keep_memory()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    pictures = load(options.data, "train")
    left_out = set(filter(None, options.without.split(",")))
    pictures = pictures.where([source not in left_out for source in pictures.source])
    pictures = join(pictures, load_demo(options.demo))
    val = load(options.data, "val")
    network = MobileNetV2(options.width, len(LABELS)).to(memory_format=torch.channels_last)
    started = [torch.load(file, weights_only=True) for file in options.start]
    if started:
        network.load_state_dict(mean([state["average"] for state in started]))
    average = Average(network, 0.998)
    guide = Guide(network.classifier.in_features)
    guided_after = GUIDED_AFTER
    for state in started:
        if "guide" in state:
            guide.load_state_dict(state["guide"])
            guided_after = 0
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    # scales and offsets of features have further to go than weights
    speed = {"blocks": 5.0, "whole": 1.0}[options.stage]
    groups = [
        {"params": decayed, "weight_decay": 0.02, "speed": 1.0},
        {"params": others, "weight_decay": 0.0, "speed": speed},
        {"params": guide.parameters(), "weight_decay": 0.02, "speed": 2.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=options.rate, foreach=True)
    parts_of_state = {"network": network, "optimizer": optimizer}
    if options.stage == "whole":
        parts_of_state["guide"] = guide
    checkpoint = options.out / f"{options.stage}.pt"
    step = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        for name, part in parts_of_state.items():
            part.load_state_dict(saved[name])
        average.state = saved["average"]
        step = saved["step"]
    batches = DataLoader(Batches(pictures, options, step), batch_size=None, num_workers=1, prefetch_factor=4)
    an_epoch = len(pictures) // options.batch
    steps = int(options.epochs * an_epoch)
    print(f"{len(pictures)} pictures, {steps} steps, from {step}", flush=True)

    compute = network.features
    if options.quantized:
        quantized = Quantized(network)
        index = torch.randperm(len(val), generator=torch.Generator().manual_seed(options.seed))[:256]
        network.eval()
        quantized.calibrate(normalised(squashed(val, index, options.side)))
        compute = quantized.features
    network.train()
    network.freeze(options.frozen)
    compare, compute = torch.compile(block_losses), torch.compile(compute)
    begun, begun_at = time.monotonic(), step
    sums = torch.zeros(2 if options.stage == "blocks" else 5)
    for seen, label, target in batches:
        for group in optimizer.param_groups:
            group["lr"] = group["speed"] * rate_at(step, steps, options.rate)
        if options.stage == "blocks":
            if step == 0:
                match_scales(network, target)
            losses = compare(network, seen, target)
            loss = losses.sum()
            sums += torch.stack([losses.mean(), losses[-1]]).detach()
        else:
            features = compute(normalised(seen))
            parts = guide.losses(features, network.classifier(features), label, target)
            heard = 0.5 if step >= guided_after else 0.0
            weights = [1 - heard, heard, 0.5, options.features, 1.0]
            loss = sum(weight * part for weight, part in zip(weights, parts))
            sums += torch.stack(parts).detach()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        step += 1
        average.update(network, step)
        if step % SAVE_EVERY == 0 or step == steps:
            rate = (step - begun_at) * options.batch / (time.monotonic() - begun)
            line = {"step": step, "epoch": round(step / an_epoch, 2), "pictures_per_s": round(rate, 1)}
            print(json.dumps({**line, "losses": [round(s / SAVE_EVERY, 4) for s in sums.tolist()]}), flush=True)
            if options.stage == "blocks":
                print("  by block", [round(value, 3) for value in losses.tolist()], flush=True)
            sums.zero_()
            state = {name: part.state_dict() for name, part in parts_of_state.items()}
            torch.save({**state, "average": average.state, "step": step}, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)
        if options.stage == "whole" and (step % an_epoch == 0 or step == steps):
            trained = MobileNetV2(options.width, len(LABELS))
            trained.load_state_dict(average.state)
            print(json.dumps({"val": evaluate(trained, val, options.side)}), flush=True)
        if step >= steps:
            break


if __name__ == "__main__":
    main()
