"""A student with fewer inner channels that starts where a trained one ended.

Left out are those whose part the others can best take over. Which these are, and how the weights that read the others
change: optimal brain surgeon (Hassibi, Stork 1993) on whole columns. With H the inputs' second moments and W the
columns that read them, leaving out column j costs |W_j|^2 / (H^-1)_jj, and W changes by -W_j (H^-1)_j / (H^-1)_jj.
"""

import numpy as np
import torch

import corpus
from student import Student

RIDGE = 1e-3  # of the mean second moment, so that it can be inverted


def inverse(moments: torch.Tensor) -> torch.Tensor:
    return torch.linalg.inv(moments + RIDGE * moments.diagonal().mean() * torch.eye(len(moments)))


def surgeon(weight: torch.Tensor, moments: torch.Tensor, keep: int) -> tuple[torch.Tensor, torch.Tensor]:
    """([outputs, keep], which `keep` of the inputs, rising) of `weight` [outputs, inputs]."""
    rest, kept = inverse(moments), torch.arange(len(moments))
    while len(kept) > keep:
        j = (weight.square().sum(0) / rest.diagonal()).argmin()
        row, others = rest[j] / rest[j, j], torch.arange(len(kept)) != j
        weight, rest = weight - weight[:, j, None] * row, rest - rest[:, j, None] * row
        weight, rest, kept = weight[:, others], rest[others][:, others], kept[others]
    return weight, kept


@torch.inference_mode()
def moments(wide: Student, ids: list[list[int]], batch: int = 64) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Means of outer products: of each layer's gated numbers by token, and of the standardised pooled ones by text."""
    wide.eval()
    inner, outer, tokens = [0.0] * wide.shape.layers, 0.0, 0
    for index in corpus.length_batches(np.array([len(x) for x in ids]), batch):
        rows, mask = corpus.pad([ids[i] for i in index])
        flat, there = torch.from_numpy(rows.ravel()), torch.from_numpy(mask.ravel()).bool()
        for i, gated in enumerate(wide.numbers(flat, [rows.shape])[1:-1:2]):
            inner[i] = inner[i] + gated[there].T @ gated[there]
        pooled = (wide.pool(flat, [rows.shape]) - wide.pooled.centre) / wide.pooled.spread
        outer, tokens = outer + pooled.T @ pooled, tokens + int(there.sum())
    return [x / tokens for x in inner], outer / len(ids)


@torch.no_grad()
def shrink(wide: Student, narrow: Student, ids: list[list[int]]) -> None:
    old, new = wide.shape, narrow.shape
    assert (old.hidden, old.layers, old.head) == (new.hidden, new.layers, new.head)
    inner, outer = moments(wide, ids)
    state, stay, at = wide.state_dict(), [], 0
    for i, seen in enumerate(inner):
        wi, wo = (f"encoder.layers.{i}.mlp.{name}.weight" for name in ("Wi", "Wo"))
        state[wo], kept = surgeon(state[wo], seen, new.intermediate)
        state[wi] = torch.cat([half[kept] for half in state[wi].chunk(2)])
        stay += [at + torch.arange(old.hidden), at + old.hidden + kept]
        at += old.hidden + old.intermediate
    stay = torch.cat([*stay, at + torch.arange(old.hidden)])
    # What is not pooled any more is foretold by what is, as well as a linear map can.
    covariance = outer[stay][:, stay]
    foretold = torch.linalg.solve(covariance + RIDGE * torch.eye(len(stay)), outer[stay]).T
    dense, projection = "head.dense.weight", "projection.weight"
    state[dense] = state[dense] @ foretold
    beside, behind = state[projection].split((old.pooled, old.head), 1)
    state[projection] = torch.cat((beside @ foretold, behind), 1)
    for name in ("pooled.centre", "pooled.spread"):
        state[name] = state[name][stay]
    narrow.load_state_dict(state)
