"""Temperature: makes scores say how often they are right (Guo et al., "On Calibration of Modern Neural Networks", 2017)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def temperature(logits: Tensor, label: Tensor) -> float:
    """The divisor of N x classes logits with the least negative log-likelihood, between 1/8 and 8."""
    candidates = torch.logspace(-3, 3, 601, base=2.0)
    losses = torch.stack([F.cross_entropy(logits / value, label) for value in candidates])
    return candidates[losses.argmin()].item()


def calibration_error(logits: Tensor, label: Tensor, bins: int = 15) -> float:
    """Expected calibration error: the mean distance between score and share of right answers, in bins of the score."""
    score, guess = logits.softmax(1).max(1)
    right = (guess == label).float()
    place = (score * bins).long().clamp(max=bins - 1)
    distance = torch.zeros(bins).index_add_(0, place, score - right)
    return (distance.abs().sum() / len(label)).item()
