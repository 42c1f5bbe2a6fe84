"""The pictures, decoded once and kept in memory on canvases of one size."""

import csv
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

LABELS = (
    "person", "car", "truck", "bicycle", "motorcycle", "cat", "dog", "bird", "deer", "animal", "nothing",
)  # fmt: skip
ANIMAL = LABELS.index("animal")
NOTHING = LABELS.index("nothing")
# classes of all that is none of the others, and how many times as often they are drawn
REST = {"animal": 1.7, "nothing": 1.3}
CANVAS = 180
DEMO_SIDE = 128


@dataclass
class Pictures:
    """`canvas`: N x 3 x 180 x 180 uint8, each picture in the upper left; `size`: N x 2, height and width."""

    canvas: Tensor
    size: Tensor
    label: Tensor
    source: list[str]
    ids: list[str]

    def __len__(self) -> int:
        return len(self.label)

    def where(self, keep: list[bool]) -> "Pictures":
        index = torch.tensor([i for i, kept in enumerate(keep) if kept])
        return Pictures(
            self.canvas[index],
            self.size[index],
            self.label[index],
            [self.source[i] for i in index],
            [self.ids[i] for i in index],
        )

    def weights(self) -> Tensor:
        """
        How often each picture is drawn: classes equally often, but those that stand for all the rest more often, and
        the sources of a class by the square root of their number, so that no collection stands for a class by its mass.
        """
        names = [f"{int(label)}/{source}" for label, source in zip(self.label, self.source)]
        count: dict[str, int] = {}
        for name in names:
            count[name] = count.get(name, 0) + 1
        weight = torch.tensor([count[name] ** -0.5 for name in names], dtype=torch.float64)
        for label in range(len(LABELS)):
            weight[self.label == label] *= REST.get(LABELS[label], 1.0) / weight[self.label == label].sum()
        return weight


def load(folder: Path, split: str) -> Pictures:
    """One split (train, val, test) of a folder with labels.csv and tars of <class>/<id>.jpg."""
    with open(folder / "labels.csv", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file) if row["split"] == split}
    files: list[tuple[str, bytes]] = []
    for tar in sorted(folder.glob(f"{split}*.tar")):
        with tarfile.open(tar) as archive:
            for member in archive:
                if member.isfile() and Path(member.name).stem in rows:
                    content = archive.extractfile(member)
                    assert content
                    files.append((Path(member.name).stem, content.read()))
    files.sort()
    canvas = torch.zeros(len(files), 3, CANVAS, CANVAS, dtype=torch.uint8)
    size = torch.zeros(len(files), 2, dtype=torch.int64)

    def decode(index: int) -> None:
        pixels = np.array(Image.open(io.BytesIO(files[index][1])).convert("RGB"))
        height, width = pixels.shape[:2]
        canvas[index, :, :height, :width] = torch.from_numpy(pixels).permute(2, 0, 1)
        size[index] = torch.tensor([height, width])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(decode, range(len(files))))
    return Pictures(
        canvas,
        size,
        torch.tensor([LABELS.index(rows[name]["class"]) for name, _ in files]),
        [rows[name]["source"] for name, _ in files],
        [name for name, _ in files],
    )


def load_demo(file: Path) -> Pictures:
    """Crops of the demo scene as demo-crops.ts writes them: a byte of label, then 128 x 128 x 3 bytes RGB, each."""
    record = 1 + DEMO_SIDE * DEMO_SIDE * 3
    data = torch.from_numpy(np.fromfile(file, np.uint8).reshape(-1, record))
    canvas = torch.zeros(len(data), 3, CANVAS, CANVAS, dtype=torch.uint8)
    canvas[:, :, :DEMO_SIDE, :DEMO_SIDE] = data[:, 1:].reshape(-1, DEMO_SIDE, DEMO_SIDE, 3).permute(0, 3, 1, 2)
    size = torch.full((len(data), 2), DEMO_SIDE)
    return Pictures(canvas, size, data[:, 0].long(), ["demo"] * len(data), [f"demo-{i}" for i in range(len(data))])


def join(first: Pictures, second: Pictures) -> Pictures:
    return Pictures(
        torch.cat([first.canvas, second.canvas]),
        torch.cat([first.size, second.size]),
        torch.cat([first.label, second.label]),
        first.source + second.source,
        first.ids + second.ids,
    )
