"""Linear heads: phrases as features, softmax regression, temperature."""

import numpy as np
import torch
from torch.nn import functional as F

CUE_CHARS = 300
# Scripts without spaces between words (or, Korean, with particles hung on them) have no word boundaries.
NO_BOUNDARIES = ((0xE00, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1100, 0x11FF), (0x2E80, 0xD7FF),
                 (0xF900, 0xFAFF), (0x20000, 0x10FFFF))  # fmt: skip


def _joins(c: str) -> bool:
    """Whether the character makes one word with such neighbours, as in `core/src/signals/phrases.rs`."""
    if any(low <= ord(c) <= high for low, high in NO_BOUNDARIES):
        return False
    return c.isalnum() or c == "_" or "\u0300" <= c <= "\u036f"


def folded(text: str) -> str:
    """What cues are looked for in."""
    return " ".join(text[:CUE_CHARS].lower().replace("’", "'").split())


def _occurs(cue: str, text: str) -> bool:
    place = text.find(cue)
    while place >= 0:
        end = place + len(cue)
        inside = place > 0 and _joins(text[place - 1]) and _joins(cue[0])
        if not inside and not (end < len(text) and _joins(cue[-1]) and _joins(text[end])):
            return True
        place = text.find(cue, place + 1)
    return False


def cue_flags(texts: list[str], cues: list[str]) -> np.ndarray:
    """float32 [texts, cues]: 1 where the cue occurs as whole words in the text's first 300 characters."""
    out = np.zeros((len(texts), len(cues)), np.float32)
    for row, text in enumerate(texts):
        start = folded(text)
        out[row] = [cue in start and _occurs(cue, start) for cue in cues]
    return out


def balanced(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Weights [n] that sum to 1 for each label; within it a group counts by the square root of its size."""
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    weights = np.where(groups == "", 1.0, sizes[place] ** -0.5)
    for label in np.unique(labels):
        weights[labels == label] /= weights[labels == label].sum()
    return weights


class Head:
    """`weight` [rows, columns], `bias` [rows]; one row means a logistic function, more a softmax."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray):
        self.weight, self.bias = weight, bias

    def logits(self, x: np.ndarray) -> np.ndarray:
        return x @ self.weight.T + self.bias

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """[n, rows]; for a logistic head [n, 2] with "no" first."""
        z = torch.from_numpy(np.ascontiguousarray(two_sided(self.logits(x)), np.float32))
        return torch.softmax(z, 1).numpy()

    def cooled(self, temperature: float) -> "Head":
        return Head(self.weight / temperature, self.bias / temperature)


def two_sided(z: np.ndarray) -> np.ndarray:
    return np.concatenate((np.zeros_like(z), z), 1) if z.shape[1] == 1 else z


def fit(x: np.ndarray, labels: np.ndarray, weights: np.ndarray, rows: int, ridge: float | np.ndarray) -> Head:
    """The least of cross-entropy (weighted mean) + sum(ridge * weight^2); `ridge` one number or one per column."""
    x, y = torch.from_numpy(np.ascontiguousarray(x, np.float32)), torch.from_numpy(labels)
    w = torch.from_numpy((weights / weights.sum()).astype(np.float32))
    penalty = torch.from_numpy(np.broadcast_to(np.float32(ridge), x.shape[1]).copy())
    weight = torch.zeros(rows, x.shape[1], requires_grad=True)
    bias = torch.zeros(rows, requires_grad=True)
    search = torch.optim.LBFGS([weight, bias], max_iter=300, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        z = x @ weight.T + bias
        z = torch.cat((torch.zeros_like(z), z), 1) if rows == 1 else z
        value = w @ F.cross_entropy(z, y, reduction="none") + (penalty * weight * weight).sum()
        value.backward()
        return value

    search.step(loss)
    return Head(weight.detach().numpy(), bias.detach().numpy())


def temperature(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """What to divide logits of texts that were not trained on by, for the least cross-entropy (Guo et al. 2017)."""
    z, y, w = torch.from_numpy(two_sided(logits)), torch.from_numpy(labels), torch.from_numpy(weights / weights.sum())
    tried = np.geomspace(0.3, 5, 60)
    return float(min(tried, key=lambda t: float(w @ F.cross_entropy(z / t, y, reduction="none").double())))
