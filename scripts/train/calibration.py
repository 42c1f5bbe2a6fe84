"""
What is made of logits when training is over: a temperature, so that scores say how often they are right (Guo et al., "On
Calibration of Modern Neural Networks", 2017), and an offset for a class that is found too seldom.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def temperature(logits: Tensor, label: Tensor) -> float:
    """The divisor of N x classes logits with the least negative log-likelihood, between 1/8 and 8."""
    candidates = torch.logspace(-3, 3, 601, base=2.0)
    losses = torch.stack([F.cross_entropy(logits / value, label) for value in candidates])
    return candidates[losses.argmin()].item()


def offset(logits: Tensor, label: Tensor, favoured: int, cost: float = 0.25) -> float:
    """
    What to add to the logits of a class: as much as costs at most so many points of right answers, of all in percent.
    0 to 2, in steps of 0.05.
    """
    shift = torch.zeros(logits.shape[1])
    shift[favoured] = 0.05
    right = torch.stack([100 * ((logits + step * shift).argmax(1) == label).float().mean() for step in range(41)])
    return 0.05 * int((right >= right[0] - cost).nonzero().max())


def corrections(logits: Tensor, label: Tensor, favoured: int) -> tuple[float, float]:
    """The offset of the class that is found too seldom, and then the temperature."""
    added = offset(logits, label, favoured)
    shift = torch.zeros(logits.shape[1])
    shift[favoured] = added
    return added, temperature(logits + shift, label)


def calibration_error(logits: Tensor, label: Tensor, bins: int = 15) -> float:
    """Expected calibration error: the mean distance between score and share of right answers, in bins of the score."""
    score, guess = logits.softmax(1).max(1)
    right = (guess == label).float()
    place = (score * bins).long().clamp(max=bins - 1)
    distance = torch.zeros(bins).index_add_(0, place, score - right)
    return (distance.abs().sum() / len(label)).item()
