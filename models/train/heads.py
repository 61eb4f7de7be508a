"""One command from texts to `heads.safetensors`, and how good the heads are: see README.md.

Texts are embedded once by each encoder and cached; heads are fitted and judged on vectors alone.
"""

import argparse
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import PreTrainedTokenizerFast

import export
import head_texts as source
import teacher
from head_fit import Head, cue_flags, fit, temperature
from head_texts import DOMAINS, KINDS, Texts

HERE = Path(__file__).parent
CAP = 128
DEFAULT = HERE.parent / "dragoman-small"  # whose classes of a few texts are kept for the tests
INT8_NOISE = 0.063  # length of the difference of two unit vectors at a cosine of .998


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with encoder/corpus.jsonl.gz and routing/")
    parser.add_argument("--encoder", type=Path, default=DEFAULT, help="folder with model.onnx and tokenizer.json")
    parser.add_argument("--out", type=Path, help="by default ENCODER/heads.safetensors")
    parser.add_argument("--compare", action="store_true", help="judge the same domain head on the teacher's vectors")
    parser.add_argument("--test", type=Path, help="a file like data/feedback.jsonl to judge the feedback head on")
    parser.add_argument("--cache", type=Path, default=HERE / ".cache")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.out = options.out or options.encoder / "heads.safetensors"
    return options


class Vectors:
    """Texts to float32 [n, D], cached by their content."""

    def __init__(self, name: str, cache: Path, embed):
        self.name, self.cache, self.embed = name, cache, embed

    def __call__(self, texts: list[str]) -> np.ndarray:
        key = hashlib.sha256(json.dumps([self.name, texts]).encode()).hexdigest()[:16]
        return teacher.cached(self.cache / f"heads-{key}.npy", lambda: self.embed(texts).astype(np.float32))


def encoder_vectors(folder: Path, cache: Path) -> tuple[Vectors, str]:
    """The encoder's vectors and its model's SHA-256."""
    sha = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), cls_token="[CLS]", sep_token="[SEP]")
    return Vectors(sha, cache, export.Session(folder / "model.onnx", tokenizer, CAP).embed), sha


@dataclass
class Task:
    """A head to be: what it sees [n, columns], the texts' labels and weights, and how strongly it is held back."""

    x: np.ndarray
    texts: Texts
    scale: dict[str, float]
    rows: int
    ridge: float
    folds: dict[str, int]
    favoured: tuple[int, float] = (0, 1.0)

    def weights(self, keep: np.ndarray) -> np.ndarray:
        label, factor = self.favoured
        return self.texts.weights(self.scale, keep) * np.where(self.texts.labels == label, factor, 1.0)

    def fit(self, keep: np.ndarray) -> Head:
        return fit(self.x[keep], self.texts.labels[keep], self.weights(keep)[keep], self.rows, self.ridge)

    def unseen(self) -> np.ndarray:
        """Each text's logits by a head that has seen none of its group; NaN where it is always seen."""
        fold = np.array([self.folds.get(group, -1) for group in self.texts.groups])
        rows = (fold >= 0) & (self.texts.parts != "changed")
        out = np.full((len(fold), self.rows), np.nan, np.float32)
        for number in np.unique(fold[rows]):
            held = rows & (fold == number)
            out[held] = self.fit(fold != number).logits(self.x[held])
        return out

    def trained(self, unseen: np.ndarray) -> Head:
        """The head of all texts, its probabilities as cautious as those of texts it has not seen should be."""
        known = ~np.isnan(unseen[:, 0])
        weights = self.weights(known)[known]
        cooling = temperature(unseen[known], self.texts.labels[known], weights)
        return self.fit(np.ones(len(known), bool)).cooled(cooling)


def random_folds(groups: np.ndarray, count: int, seed: int) -> dict[str, int]:
    names = [name for name in np.unique(groups) if name]
    return dict(zip(names, np.random.default_rng(seed).integers(0, count, len(names)).tolist()))


def subject_folds() -> dict[str, int]:
    """Fold i holds out the i-th subject of every category."""
    return {s: i for names in source.SUBJECTS.values() for i, s in enumerate(names.split())}


def domain_task(texts: Texts, vectors: Vectors) -> Task:
    favoured = (DOMAINS.index("other"), source.OTHER_WEIGHT)
    x = vectors(texts.texts)
    return Task(x, texts, source.PART_WEIGHTS, len(DOMAINS), 1.5e-4, subject_folds(), favoured)


def subject_accuracy(task: Task, unseen: np.ndarray, questions: int) -> dict[str, float]:
    """Mean over subjects of the accuracy on each while it was held out, and over its questions."""
    out = {}
    for form, start in (("bare", 0), ("with choices", questions)):
        rows = slice(start, start + questions)
        right = unseen[rows].argmax(1) == task.texts.labels[rows]
        groups = task.texts.groups[rows]
        out[f"{form}, by subject"] = float(np.mean([right[groups == g].mean() for g in np.unique(groups)]))
        out[f"{form}, by question"] = float(right.mean())
    return rounded(out)


def rounded(values: dict) -> dict:
    return {key: round(float(value), 4) for key, value in values.items()}


def kind_accuracy(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    right = predicted == labels
    out = {KINDS[k]: right[labels == k].mean() for k in np.unique(labels)} | {"all": right.mean()}
    return rounded(out | ({"the four": right[labels > 0].mean()} if labels.any() else {}))


def int8_changes(head: Head, x: np.ndarray, size: int, seed: int) -> float:
    """The share of texts whose class another vector at the distance of the int8 encoder's would change."""
    noise = np.random.default_rng(seed).normal(size=(len(x), size))
    moved = x.copy()
    moved[:, :size] += INT8_NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return round(float((head.probabilities(x).argmax(1) != head.probabilities(moved).argmax(1)).mean()), 4)


CHECKED = (
    "What is the capital of France?", "Who was the first emperor of Rome?", "Explain Le Chatelier's principle.",
    "What is the derivative of x^2 sin x?", "def f(xs): return sorted(set(xs))", "Thanks, but that is wrong.",
    "Great, now it crashes.", "good, now make it shorter", "nice. what does line 3 mean?", "It works, thank you!",
    "I don’t understand.", "try again", "no", "谢谢", "das stimmt nicht", "Write a poem about the sea.",
    "How do I tune a PID controller?", "Can a landlord evict a tenant without notice?", "wrong  again\n", "hello",
)  # fmt: skip


def checks(heads: dict[str, Head], vectors: Vectors, cues: list[str]) -> list[dict]:
    """Texts with the likeliest class of each head and its probability, for whoever else computes them."""
    x = vectors(list(CHECKED))
    inputs = {"domain": x, "fact_check": x, "feedback": np.concatenate((x, cue_flags(list(CHECKED), cues)), 1)}
    p = {name: heads[name].probabilities(inputs[name]) for name in heads}

    def top(name: str, classes, row: int) -> list:
        return [classes[p[name][row].argmax()], round(float(p[name][row].max()), 3)]

    return [
        {"text": text, "domain": top("domain", DOMAINS, i), "feedback": top("feedback", KINDS, i),
         "fact_check": round(float(p["fact_check"][i, 1]), 3)}
        for i, text in enumerate(CHECKED)
    ]  # fmt: skip


def save(heads: dict[str, Head], cues: list[str], sha: str, path: Path) -> None:
    tensors = {f"{name}.weight": head.weight for name, head in heads.items()}
    tensors |= {f"{name}.bias": head.bias for name, head in heads.items()}
    metadata = {"format": "1", "feedback.cues": json.dumps(cues, ensure_ascii=False), "model.onnx.sha256": sha}
    save_file({k: np.ascontiguousarray(v, np.float32) for k, v in tensors.items()}, path, metadata)
    path.chmod(0o644)


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    vectors, sha = encoder_vectors(options.encoder, options.cache)
    sources, mmlu = source.read_sources(options.data), source.read_mmlu(options.data)
    results: dict = {}

    domain = domain_task(source.domain_texts(sources, mmlu, options.seed), vectors)
    unseen = domain.unseen()
    results["domain, unseen subjects"] = subject_accuracy(domain, unseen, len(mmlu))
    heads = {"domain": domain.trained(unseen)}
    if options.compare:
        rival = domain_task(domain.texts, Vectors("teacher", options.cache, lambda t: teacher.Teacher().embed(t, CAP)))
        results["domain, the teacher's vectors"] = subject_accuracy(rival, rival.unseen(), len(mmlu))

    texts = source.fact_texts(sources, mmlu, options.seed)
    folds = random_folds(texts.groups, 5, options.seed)
    facts = Task(vectors(texts.texts), texts, source.FACT_WEIGHTS, 1, 1e-4, folds)
    unseen = facts.unseen()
    right = (unseen[:, 0] > 0) == (texts.labels == 1)
    results["fact_check, unseen"] = rounded({part: right[texts.parts == part].mean() for part in source.FACT_WEIGHTS})
    heads["fact_check"] = facts.trained(unseen)

    texts = source.feedback_texts(sources, options.seed)
    cues = source.cues(texts)
    x = np.concatenate((vectors(texts.texts), cue_flags(texts.texts, cues)), 1)
    folds = random_folds(texts.groups, 5, options.seed)
    feedback = Task(x, texts, source.FEEDBACK_WEIGHTS, len(KINDS), 1e-4, folds, (0, source.NONE_WEIGHT))
    unseen = feedback.unseen()
    for name, prefix in (("general", "block"), ("topical", "topic"), ("others", "other"), ("corpus", "task")):
        rows = np.char.startswith(texts.groups, prefix) & (texts.parts != "changed")
        results[f"feedback, unseen, {name}"] = kind_accuracy(unseen[rows].argmax(1), texts.labels[rows])
    heads["feedback"] = feedback.trained(unseen)
    if options.test:
        rows = [json.loads(line) for line in options.test.read_text("utf-8").splitlines()]
        told = [row["text"] for row in rows]
        p = heads["feedback"].probabilities(np.concatenate((vectors(told), cue_flags(told, cues)), 1))
        results["feedback, test file"] = kind_accuracy(p.argmax(1), np.array([KINDS.index(row["kind"]) for row in rows]))

    inputs = {"domain": domain.x, "fact_check": facts.x, "feedback": feedback.x}
    results["changed by int8"] = {
        name: int8_changes(heads[name], x, domain.x.shape[1], options.seed) for name, x in inputs.items()
    }
    save(heads, cues, sha, options.out)
    if options.encoder.samefile(DEFAULT):
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in checks(heads, vectors, cues))
        (HERE / "data" / "heads_check.json").write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    results["cues"], results["bytes"] = len(cues), options.out.stat().st_size
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
