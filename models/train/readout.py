"""The readout fitted by itself, the encoder below it as it is.

What the encoder pools of a text is then the same at every step, so it is reckoned once, and a step is two small
matrices. That reaches what training everything together does not: see README.md.
"""

import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import corpus
import distil
from student import Student

BATCH = 1024
RATE, WARM_UP = 1e-3, 50
KEPT = 0.4  # of where it began: tells intents apart better than the fit alone, at hardly any cosine less


class Readout(nn.Module):
    """The part of a student behind its standardised pooled numbers, sharing its weights."""

    def __init__(self, student: Student):
        super().__init__()
        self.dense, self.projection = student.head["dense"], student.projection

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """float32 [texts, pooled] -> float32 [texts, output] of unit length."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.training):
            out = self.projection(torch.cat((pooled, F.gelu(self.dense(pooled))), -1))
        return F.normalize(out.float(), dim=-1)


@torch.inference_mode()
def pooled(student: Student, ids: list[list[int]], path: Path, batch: int = 256) -> np.ndarray:
    """float16 [len(ids), shape.pooled] in a file: the pooled numbers of every text, standardised."""
    student.eval()
    out = np.lib.format.open_memmap(path, "w+", np.float16, (len(ids), student.shape.pooled))
    for index in corpus.length_batches(np.array([len(x) for x in ids]), batch):
        rows, _ = corpus.pad([ids[i] for i in index])
        numbers = student.pool(torch.from_numpy(rows.ravel()), [rows.shape])
        out[index] = ((numbers - student.pooled.centre) / student.pooled.spread).numpy()
    return out


def fit(student: Student, ids: list[list[int]], targets: np.ndarray, cache: Path, options) -> None:
    """`targets` float16 [len(ids), output]. `options`: readout (steps), seed, similarity_weight, neighbour_weight."""
    path = cache / "pooled.npy"
    began = time.monotonic()
    numbers = pooled(student, ids, path)
    print(f"{len(ids)} texts pooled  {time.monotonic() - began:.0f} s", flush=True)
    readout = Readout(student).train()
    start = {name: value.clone() for name, value in readout.state_dict().items()}
    adam = torch.optim.AdamW(readout.parameters(), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    rng, order, cosines = np.random.default_rng([options.seed, 8]), np.empty(0, int), []
    for step in range(options.readout):
        if len(order) < BATCH:
            order = rng.permutation(len(ids))
        index, order = np.sort(order[:BATCH]), order[BATCH:]
        for group in adam.param_groups:
            group["lr"] = RATE * distil.share_of_rate(step, options.readout, WARM_UP)
        mine = readout(torch.from_numpy(numbers[index].astype(np.float32)))
        loss, cosine = distil.loss_of(mine, torch.from_numpy(targets[index].astype(np.float32)), options)
        readout.zero_grad()
        loss.backward()
        adam.step()
        cosines.append(cosine.item())
        if (step + 1) % 100 == 0:
            seconds, mean = time.monotonic() - began, np.mean(cosines[-100:])
            print(f"readout {step + 1}/{options.readout}  {seconds:.0f} s  cosine {mean:.4f}", flush=True)
    with torch.no_grad():
        for name, value in readout.state_dict().items():
            value.lerp_(start[name], KEPT)
    student.eval()
    path.unlink()
