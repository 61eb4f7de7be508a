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


def split(texts: list[str], held_out: int, seed: int) -> tuple[list[str], list[str]]:
    """(texts to train on, shuffled; `held_out` others to judge with)."""
    picked = [texts[i] for i in np.random.default_rng(seed).permutation(len(texts))]
    return picked[held_out:], picked[:held_out]


def token_ids(tokenizer, texts: list[str], cap: int) -> list[list[int]]:
    """[CLS] ... [SEP] with at most `cap` tokens; the final [SEP] always stays."""
    return tokenizer(texts, truncation=True, max_length=cap)["input_ids"]


def length_batches(lengths: np.ndarray, size: int):
    """Index batches of texts of like length, so that little is spent on padding."""
    order = np.argsort(lengths, kind="stable")
    yield from (order[i : i + size] for i in range(0, len(order), size))


def pad(ids: list[list[int]], width: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(ids, mask), both int64 [batch, width], by default as wide as the longest."""
    width = width or max(map(len, ids))
    out = np.zeros((len(ids), width), np.int64)
    mask = np.zeros((len(ids), width), np.int64)
    for row, line in enumerate(ids):
        out[row, : len(line)] = line
        mask[row, : len(line)] = 1
    return out, mask
