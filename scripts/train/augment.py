"""
What a camera may do to a picture. Every distortion is drawn independently of class and source, so that sharpness,
colour, frame or compression do not tell what is shown.
"""

import io

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from dataset import CANVAS, NOTHING, Pictures

# share of the pictures that a bad camera has seen
DEGRADED = 0.6


class Augment:
    """Draws batches of distorted pictures."""

    def __init__(self, pictures: Pictures, side: int, seed: int):
        self.pictures = pictures
        self.side = side
        self.random = torch.Generator().manual_seed(seed)
        self.nothing = (pictures.label == NOTHING).nonzero()[:, 0]
        self.weights = pictures.weights()

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """
        `count` pictures drawn by weight: (clean, seen, label). `clean` is cropped and placed only; of `seen` most have
        also lost light, colour and sharpness. Both N x 3 x side x side, 0..1.
        """
        index = torch.multinomial(self.weights, count, replacement=True, generator=self.random)
        clean = self.place(index)
        seen = clean.clone()
        worse = self.chance(count, DEGRADED)
        seen[worse] = self.degrade(seen[worse])
        return clean, seen, self.pictures.label[index]

    def uniform(self, count: int, low: float, high: float) -> Tensor:
        return torch.rand(count, generator=self.random) * (high - low) + low

    def chance(self, count: int, probability: float) -> Tensor:
        return (torch.rand(count, generator=self.random) < probability).nonzero()[:, 0]

    def crop(self, index: Tensor, zoom: Tensor, off: Tensor) -> tuple[Tensor, Tensor]:
        """
        Cuts `zoom` (1 = the whole picture; more = with room around) by `off` (in sides of the picture) with a random
        aspect, turn and mirror. Returns the pixels and a mask of those that lie inside the picture.
        """
        count = len(index)
        height, width = self.pictures.size[index].float().unbind(1)
        aspect = torch.exp(self.uniform(count, -0.25, 0.25))
        angle = torch.where(self.uniform(count, 0, 1) < 0.3, self.uniform(count, -0.2, 0.2), torch.zeros(count))
        mirror = torch.where(self.uniform(count, 0, 1) < 0.5, -1.0, 1.0)
        wide, high = width * zoom * aspect.sqrt() / 2, height * zoom / aspect.sqrt() / 2
        middle = torch.stack([width * (0.5 + off[:, 0]), height * (0.5 + off[:, 1])], 1)
        matrix = torch.stack(
            [
                torch.stack([wide * mirror * angle.cos(), -high * angle.sin(), middle[:, 0]], 1),
                torch.stack([wide * mirror * angle.sin(), high * angle.cos(), middle[:, 1]], 1),
            ],
            1,
        )
        grid = F.affine_grid(matrix, [count, 1, self.side, self.side], align_corners=False)
        limit = torch.stack([width, height], 1)[:, None, None, :]
        inside = ((grid >= 0) & (grid <= limit)).all(3).unsqueeze(1)
        reach = grid.clamp(min=0.5).minimum(limit - 0.5) / CANVAS * 2 - 1
        pixels = F.grid_sample(
            self.pictures.canvas[index].float() / 255, reach, mode="bilinear", padding_mode="border", align_corners=False
        )
        return pixels, inside

    def place(self, index: Tensor) -> Tensor:
        """Crops; or sets the picture, smaller, onto a scene with nothing in it, a flat colour, or its own edges."""
        count = len(index)
        zoom = self.uniform(count, 0.35, 1.0).sqrt()
        room = (1 - zoom) / 2
        off = torch.stack([self.uniform(count, -1, 1) * room, self.uniform(count, -1, 1) * room], 1)
        far = self.chance(count, 0.3)
        zoom[far] = self.uniform(len(far), 1.05, 2.2)
        free = (zoom[far] - 1) / 2
        off[far] = torch.stack([self.uniform(len(far), -1, 1) * free, self.uniform(len(far), -1, 1) * free], 1)
        pixels, inside = self.crop(index, zoom, off)
        fill = self.uniform(far.numel(), 0, 1)
        scenes = far[fill < 0.6]
        if len(scenes):
            pixels[scenes] = torch.where(inside[scenes], pixels[scenes], self.scene(len(scenes)))
        flat = far[(fill >= 0.6) & (fill < 0.8)]
        colour = self.uniform(len(flat) * 3, 0, 1).view(-1, 3, 1, 1)
        pixels[flat] = torch.where(inside[flat], pixels[flat], colour)
        return self.occlude(pixels)

    def scene(self, count: int) -> Tensor:
        """Crops of pictures with nothing in them."""
        index = self.nothing[torch.randint(len(self.nothing), (count,), generator=self.random)]
        return self.crop(index, self.uniform(count, 0.4, 1.0), torch.zeros(count, 2))[0]

    def occlude(self, pixels: Tensor) -> Tensor:
        """Hides a part of some pictures behind a piece of an empty scene."""
        hidden = self.chance(len(pixels), 0.15)
        if len(hidden) == 0:
            return pixels
        cover = self.scene(len(hidden))
        for position, patch in zip(hidden.tolist(), cover):
            high, wide = (self.uniform(2, 0.15, 0.5) * self.side).long().tolist()
            top = int(self.uniform(1, 0, self.side - high).item())
            left = int(self.uniform(1, 0, self.side - wide).item())
            area = (slice(None), slice(top, top + high), slice(left, left + wide))
            pixels[position][area] = patch[area]
        return pixels

    def degrade(self, pixels: Tensor) -> Tensor:
        count = len(pixels)
        shape = (-1, 1, 1, 1)
        for side in (32, 48, 64, 80):
            soft = self.chance(count, 0.09)
            if len(soft):
                small = F.interpolate(pixels[soft], (side, side), mode="area")
                pixels[soft] = F.interpolate(small, (self.side, self.side), mode="bilinear", align_corners=False)
        for kernel in (self.line(5), self.line(9), gaussian(1.2), gaussian(2.0)):
            blurred = self.chance(count, 0.04)
            if len(blurred):
                padded = F.pad(pixels[blurred], [kernel.shape[1] // 2] * 2 + [kernel.shape[0] // 2] * 2, mode="replicate")
                pixels[blurred] = F.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3)
        lit = self.chance(count, 0.7)
        contrast = torch.exp(self.uniform(len(lit), -0.45, 0.45)).view(shape)
        mean = pixels[lit].mean((1, 2, 3), keepdim=True)
        pixels[lit] = (pixels[lit] - mean) * contrast + mean + self.uniform(len(lit), -0.15, 0.15).view(shape)
        cast = self.chance(count, 0.5)
        pixels[cast] *= torch.exp(self.uniform(len(cast) * 3, -0.25, 0.25)).view(-1, 3, 1, 1)
        luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        faded = self.chance(count, 0.5)
        grey = (pixels[faded] * luma).sum(1, keepdim=True)
        pixels[faded] = torch.lerp(grey.expand(-1, 3, -1, -1), pixels[faded], self.uniform(len(faded), 0.3, 1.5).view(shape))
        infrared = self.chance(count, 0.2)
        if len(infrared):
            mix = self.uniform(len(infrared) * 3, 0.1, 1).view(-1, 3, 1, 1)
            grey = (pixels[infrared] * mix / mix.sum(1, keepdim=True)).sum(1, keepdim=True)
            tint = 1 + self.uniform(len(infrared) * 3, -0.06, 0.06).view(-1, 3, 1, 1)
            pixels[infrared] = grey * tint * self.vignette(len(infrared))
        pixels.clamp_(0, 1)
        dark = self.chance(count, 0.15)
        pixels[dark] = pixels[dark] ** self.uniform(len(dark), 1, 2.2).view(shape) * self.uniform(len(dark), 0.2, 0.8).view(shape)
        noisy = self.chance(count, 0.3)
        noise = torch.randn(pixels[noisy].shape, generator=self.random)
        pixels[noisy] += noise * self.uniform(len(noisy), 0, 0.08).view(shape)
        pixels.clamp_(0, 1)
        for position in self.chance(count, 0.25).tolist():
            pixels[position] = recompressed(pixels[position], int(self.uniform(1, 20, 85).item()))
        return pixels

    def line(self, length: int) -> Tensor:
        """The kernel of a camera that moves across or up and down."""
        kernel = torch.full((1, length), 1 / length)
        return kernel if self.uniform(1, 0, 1).item() < 0.5 else kernel.T

    def vignette(self, count: int) -> Tensor:
        """An infrared lamp lights the middle more than the corners."""
        axis = torch.linspace(-1, 1, self.side)
        distance = axis[None, :] ** 2 + axis[:, None] ** 2
        return 1 - self.uniform(count, 0, 0.35).view(-1, 1, 1, 1) * distance


def gaussian(sigma: float) -> Tensor:
    axis = torch.arange(-4, 5).float()
    kernel = torch.exp(-(axis**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    return kernel[:, None] * kernel[None, :]


def recompressed(pixels: Tensor, quality: int) -> Tensor:
    """Through JPEG and back."""
    array = (pixels.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float() / 255


def squashed(pictures: Pictures, index: Tensor, side: int) -> Tensor:
    """Whole pictures at the network's size, as the product resizes them: N x 3 x side x side, 0..1."""
    return torch.cat(
        [
            F.interpolate(
                pictures.canvas[i : i + 1, :, : int(pictures.size[i, 0]), : int(pictures.size[i, 1])].float() / 255,
                (side, side),
                mode="bilinear",
                antialias=True,
                align_corners=False,
            )
            for i in index.tolist()
        ]
    )
