"""The files beside the model: the bandit's starting projection and the shared test vectors."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from export import Session

COMPONENTS = 64


def save_projection(vectors: np.ndarray, path: Path) -> float:
    """PCA of `vectors`; returns the share of the variance that the stored components explain."""
    vectors = vectors.astype(np.float64)
    mean = vectors.mean(0)
    centred = vectors - mean
    values, columns = np.linalg.eigh(centred.T @ centred / (len(vectors) - 1))
    order = np.argsort(values)[::-1][:COMPONENTS]
    rows = columns[:, order].T
    largest = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], 1)
    rows = rows * np.sign(largest)
    tensors = {"mean": mean, "components": rows}
    save_file({k: np.ascontiguousarray(v, np.float32) for k, v in tensors.items()}, path)
    path.chmod(0o644)
    return float(values[order].sum() / values.sum())


def _long_text(words: int) -> str:
    topics = ("the queue", "a cache", "our parser", "the index", "one worker", "this socket", "every shard")
    acts = ("drops", "rebuilds", "measures", "retries", "rejects", "batches", "explains", "compares")
    things = ("late packets", "stale rows", "odd tokens", "slow queries", "long prompts", "cold pages")
    made: list[str] = []
    turn = 0
    while len(made) < words:
        line = f"{topics[turn % 7]} {acts[turn % 8]} {things[turn % 6]} in round {turn},"
        made += line.split()
        turn += 1
    return " ".join(made[:words])


TEXTS = (
    "",
    " ",
    "Hi",
    "What is the capital of France?",
    "My card still hasn't arrived after two weeks, what should I do?",
    "Prove that the sum of two odd integers is even, then generalise the claim to n odd integers.",
    "fn main() {\n    let xs: Vec<u32> = (0..10).map(|x| x * x).collect();\n    println!(\"{xs:?}\");\n}",
    "SELECT name, COUNT(*) FROM orders WHERE total > 9.99 GROUP BY name HAVING COUNT(*) >= 3;",
    "Übersetze ins Französische: „Die Straße ist naß – schön, nicht?“ Çığ, naïve, Ελληνικά, русский",
    "请用三句话解释量子纠缠,并举一个例子。",
    "Summarise this 😀🚀👩‍💻 in one line 🙏🏽",
    "a\u0301e\u0300 zero\u200bwidth\ttab  double  space\u00a0nbsp [CLS] [MASK] [SEP] ##ing",
    "Pneumonoultramicroscopicsilicovolcanoconiosis antidisestablishmentarianism x" + "y" * 120,
    _long_text(300),
)


def save_vectors(session: Session, path: Path) -> None:
    """Texts with their token ids (cut at the session's cap) and their vectors, from onnxruntime."""
    rows = []
    for text in TEXTS:
        ids = session.ids(text)
        rows.append({"text": text, "ids": ids, "embedding": [float(f"{v:.8g}") for v in session.run(ids)]})
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
