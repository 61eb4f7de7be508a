"""The training loop: the student learns the teacher's vectors and the similarities between them."""

import math
import time

import numpy as np
import torch

import corpus
from student import Student


def learning_rate(step: int, steps: int, peak: float, warm_up: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    return peak * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))


def loss_of(mine: torch.Tensor, target: torch.Tensor, similarity_weight: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss, cosine): one minus the cosine to the target, plus the squared error of the pairwise similarities."""
    cosine = (mine * target).sum(-1).mean()
    similarities = (mine @ mine.T - target @ target.T).square().mean()
    return 1 - cosine + similarity_weight * similarities, cosine.detach()


def train(student: Student, ids: list[list[int]], targets: np.ndarray, options) -> None:
    """`options`: epochs, batch, rate, warm_up, similarity_weight, seed, bf16."""
    lengths = np.array([len(x) for x in ids])
    rng = np.random.default_rng(options.seed)
    table = student.encoder.embeddings.tok_embeddings.weight
    rest = [p for p in student.parameters() if p is not table]
    groups = [{"params": [table], "share": 0.5, "weight_decay": 0.0}, {"params": rest, "share": 1.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.rate, betas=(0.9, 0.98), fused=True)
    per_epoch = sum(1 for _ in corpus.length_batches(lengths, options.batch, np.random.default_rng(0)))
    steps, step, began = per_epoch * options.epochs, 0, time.monotonic()
    student.train()
    for _ in range(options.epochs):
        for index in corpus.length_batches(lengths, options.batch, rng):
            for group in optimizer.param_groups:
                group["lr"] = group["share"] * learning_rate(step, steps, options.rate, options.warm_up)
            x, mask = corpus.pad([ids[i] for i in index])
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
                mine = student(torch.from_numpy(x), torch.from_numpy(mask))
            loss, cosine = loss_of(mine.float(), torch.from_numpy(targets[index]), options.similarity_weight)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            step += 1
            if step % 50 == 0:
                seconds = time.monotonic() - began
                print(f"step {step}/{steps}  {seconds:.0f} s  cosine {cosine.item():.4f}", flush=True)
    student.eval()


@torch.inference_mode()
def embed(student: Student, tokenizer, texts: list[str], cap: int, batch: int = 128) -> np.ndarray:
    """float32 [len(texts), output] from the student in torch."""
    student.eval()
    ids = corpus.token_ids(tokenizer, texts, cap)
    out = np.zeros((len(texts), student.shape.output), np.float32)
    for index in corpus.length_batches(np.array([len(x) for x in ids]), batch):
        x, mask = corpus.pad([ids[i] for i in index])
        out[index] = student(torch.from_numpy(x), torch.from_numpy(mask)).numpy()
    return out
