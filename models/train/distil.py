"""The training loop: the student learns the teacher's vectors and the similarities between them."""

import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import corpus
from batches import Batches
from muon import Muon
from student import Student

WARM_UP, HOLD = 100, 0.2  # steps of rising rate; share of the steps at full rate, before it falls to zero
TEMPERATURE = 0.05
SAVE_EVERY = 200
STANDARDISE = (0, 100, 300)  # steps before which the pooled numbers are measured: they change most in the beginning


def share_of_rate(step: int, steps: int, warm_up: int = WARM_UP) -> float:
    """Linear warm-up, full rate, then straight down to zero."""
    return min(1.0, (step + 1) / warm_up, (steps - step) / (steps * (1 - HOLD)))


def loss_of(mine: torch.Tensor, target: torch.Tensor, options) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss, cosine). One minus the cosine to the target; the squared error of the pairwise similarities; and
    KL(teacher's || student's) of each text's softmax over its similarities to the others of the batch: who is
    nearest counts for more than how far the far ones are."""
    cosine = (mine * target).sum(-1).mean()
    similar, wanted = mine @ mine.T, target @ target.T
    loss = 1 - cosine + options.similarity_weight * (similar - wanted).square().mean()
    itself = torch.eye(len(mine)) * -1e4
    near, nearest = ((s / TEMPERATURE + itself).log_softmax(-1) for s in (similar, wanted))
    return loss + options.neighbour_weight * F.kl_div(near, nearest, log_target=True, reduction="batchmean"), cosine


def optimizers(student: Student, options) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for the rest; the table has a rate of its own."""
    matrices = []
    for layer in student.encoder["layers"]:
        attention, mlp = layer["attn"], layer["mlp"]
        matrices += [(attention["Wqkv"].weight, 3), (attention["Wo"].weight, 1)]
        matrices += [(mlp["Wi"].weight, 2), (mlp["Wo"].weight, 1)]
    table = student.encoder["embeddings"]["tok_embeddings"].weight
    taken = {id(table), *(id(weight) for weight, _ in matrices)}
    rest = [p for p in student.parameters() if id(p) not in taken]
    groups = [{"params": [table], "lr": options.table_rate, "weight_decay": 0.0}, {"params": rest, "lr": options.rate}]
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    return [Muon(matrices, options.muon_rate), adam]


def train(student: Student, batches: Batches, checkpoint: Path, options) -> None:
    """`options`: steps, rate, table_rate, muon_rate, similarity_weight, neighbour_weight, resume, stop_after."""
    made = optimizers(student, options)
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in made]
    first, began, cosines = 0, time.monotonic(), []
    if options.resume and checkpoint.exists():
        stored = torch.load(checkpoint)
        first = stored["step"]
        student.load_state_dict(stored["student"])
        for optimizer, state in zip(made, stored["optimizers"]):
            optimizer.load_state_dict(state)

    def save(step: int) -> None:
        part = checkpoint.with_suffix(".part")
        states = [optimizer.state_dict() for optimizer in made]
        torch.save({"step": step, "student": student.state_dict(), "optimizers": states}, part)
        part.rename(checkpoint)

    compute = torch.compile(lambda ids, target: loss_of(student(ids, batches.groups), target, options))
    student.train()
    for step in range(first, options.steps):
        for optimizer, peaks in zip(made, rates):
            for group, peak in zip(optimizer.param_groups, peaks):
                group["lr"] = peak * share_of_rate(step, options.steps)
        ids, target = batches.at(step)
        if step in STANDARDISE:
            student.standardise(ids, batches.groups)
        loss, cosine = compute(ids, target)
        student.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        for optimizer in made:
            optimizer.step()
        cosines.append(cosine.item())
        if (step + 1) % 50 == 0:
            seconds, mean = time.monotonic() - began, np.mean(cosines[-50:])
            done = f"step {step + 1}/{options.steps}  {seconds:.0f} s"
            print(f"{done}  loss {loss.item():.4f}  cosine {mean:.4f}", flush=True)
        if (step + 1) % SAVE_EVERY == 0:
            save(step + 1)
    save(options.steps)
    student.standardise(batches.at(options.steps)[0], batches.groups)
    student.eval()


@torch.inference_mode()
def embed(student: Student, tokenizer, texts: list[str], cap: int, batch: int = 128) -> np.ndarray:
    """float32 [len(texts), output] from the student in torch."""
    student.eval()
    ids = corpus.token_ids(tokenizer, texts, cap)
    out = np.zeros((len(texts), student.shape.output), np.float32)
    for index in corpus.length_batches(np.array([len(x) for x in ids]), batch):
        rows, _ = corpus.pad([ids[i] for i in index])
        out[index] = student(torch.from_numpy(rows.ravel()), [rows.shape]).numpy()
    return out
