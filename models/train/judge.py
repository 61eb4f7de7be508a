"""How good an encoder is: 1-NN and nearest-centroid accuracy on two intent sets."""

from pathlib import Path
from typing import Callable

import numpy as np

import corpus

SETS = ("banking77", "clinc150")


def score(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> dict[str, float]:
    """Vectors of unit length in, accuracies out."""
    nearest = train_labels[(test @ train.T).argmax(1)]
    labels = np.unique(train_labels)
    centroids = np.stack([train[train_labels == label].mean(0) for label in labels])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    closest = labels[(test @ centroids.T).argmax(1)]
    return {
        "1nn": round(float((nearest == test_labels).mean()), 4),
        "centroid": round(float((closest == test_labels).mean()), 4),
    }


def judge(data: Path, embed: Callable[[list[str]], np.ndarray]) -> dict[str, dict[str, float]]:
    scores = {}
    for name in SETS:
        rows = corpus.read_intents(data, name)
        texts = {part: [text for text, _ in rows[part]] for part in ("train", "test")}
        labels = {part: np.array([label for _, label in rows[part]]) for part in ("train", "test")}
        scores[name] = score(embed(texts["train"]), labels["train"], embed(texts["test"]), labels["test"])
    return scores


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The mean cosine of row pairs of unit length."""
    return float((a * b).sum(1).mean())
