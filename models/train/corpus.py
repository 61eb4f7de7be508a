"""The texts: the distillation corpus, the two intent sets, and tokenising."""

import gzip
import json
from pathlib import Path

import numpy as np

def read_corpus(data: Path, chars: int) -> list[str]:
    """Every distinct text of the corpus in file order, cut after `chars` characters."""
    seen: dict[str, None] = {}
    with gzip.open(data / "encoder" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"][:chars].strip()
            if text:
                seen.setdefault(text)
    return list(seen)


def read_intents(data: Path, name: str) -> dict[str, list]:
    """{"train": [[text, label]], "test": [[text, label]]}."""
    with gzip.open(data / "encoder" / f"{name}.json.gz", "rt", encoding="utf-8") as f:
        return json.load(f)


def sample(texts: list[str], count: int, held_out: int, seed: int) -> tuple[list[str], list[str]]:
    """`count` texts to train on and `held_out` others, drawn without replacement."""
    order = np.random.default_rng(seed).permutation(len(texts))[: count + held_out]
    picked = [texts[i] for i in order]
    return picked[held_out:], picked[:held_out]


def token_ids(tokenizer, texts: list[str], cap: int) -> list[list[int]]:
    """[CLS] ... [SEP] with at most `cap` tokens; the final [SEP] always stays."""
    return tokenizer(texts, truncation=True, max_length=cap)["input_ids"]


def length_batches(lengths: np.ndarray, size: int, rng: np.random.Generator | None = None, pool: int = 32):
    """Index batches of texts of like length, so that little is spent on padding.

    With `rng`: shuffled; lengths are sorted within pools of `pool` batches only.
    Without: sorted over everything (for inference).
    """
    if rng is None:
        order = np.argsort(lengths, kind="stable")
        yield from (order[i : i + size] for i in range(0, len(order), size))
        return
    order = rng.permutation(len(lengths))
    for start in range(0, len(order), size * pool):
        chunk = order[start : start + size * pool]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        batches = [chunk[i : i + size] for i in range(0, len(chunk), size)]
        for i in rng.permutation(len(batches)):
            yield batches[i]


def pad(ids: list[list[int]], pad_id: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(ids, mask), both int64 [batch, longest]."""
    width = max(map(len, ids))
    out = np.full((len(ids), width), pad_id, np.int64)
    mask = np.zeros((len(ids), width), np.int64)
    for row, line in enumerate(ids):
        out[row, : len(line)] = line
        mask[row, : len(line)] = 1
    return out, mask
