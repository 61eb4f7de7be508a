"""Which part of a prompt that is longer than the token cap should be read? Judged by routing with full information.

    python bench/excerpts.py DATA [--paste CORPUS] [--model FOLDER] [--caps 128,64,32] [--out FOLDER]

DATA is a folder with pareto_train, pareto_val, routellm_mmlu (.jsonl.gz). Every way cuts the same token
ids to the same cap; prompts within the cap are the same for all. What a way is worth is what a ridge regression per arm,
told every arm's reward, makes of its embeddings and the prompt's lengths: predictions for rows it has not seen (5 folds,
REPEATS times). Three numbers, each for all rows and for those above the cap alone, each minus that of `head` with the
standard error of the mean over rows (paired; rows are what a data set has a sample of):

    r2      explained share of what arms differ by, of one prompt
    reward  of choosing by prediction − λ·price, λ such that the mean cost is the budget; APGR's area where costs are unknown

The benchmarks' prompts are questions, with a question's end at the end; nobody pasted a document before or after them. With
CORPUS (.jsonl.gz of {"text"}) each prompt of the first set gets some 300 tokens of unrelated text as well, before it or
after it by a coin's fall: made up, but that is what one half of a long prompt is worth when the other half says nothing.

Needs numpy, onnxruntime and tokenizers (bench/peers/requirements.txt).
"""

import argparse
import gzip
import json
import pathlib
import re
import sys

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

SETS = {"pareto": ["pareto_train", "pareto_val"], "mmlu": ["routellm_mmlu"]}
PASTED = "pareto with pasted text"
BUDGETS = (3.0e-4, 6.6e-4, 1.9e-3)
FOLDS, REPEATS = 5, 4
RIDGES = np.logspace(-2, 3, 11)
PASTE = 1200  # characters
LENGTH = 3.0  # weight of the length features beside an embedding of length 1


# --- Ways to read at most `room` tokens of a text; `whole` is its ids without special tokens ---


def head(whole, room, _sentences):
    return whole[:room]


def ends(share):
    """Head and tail; `share` of the room is the tail's."""

    def way(whole, room, _sentences):
        tail = round(share * room)
        return whole[: room - tail] + (whole[-tail:] if tail else [])

    return way


def windows(count):
    """Equal windows, evenly spread from the first token to the last."""

    def way(whole, room, _sentences):
        starts = np.linspace(0, len(whole) - room // count, count).astype(int)
        return [i for s in starts for i in whole[s : s + room // count]]

    return way


def sentences(_whole, room, parts):
    """Whole sentences: the first, the last, then always the one in the middle of the widest gap, in the text's order."""
    order, gaps = [0, len(parts) - 1], [(0, len(parts) - 1)]
    while gaps:
        left, right = gaps.pop(0)
        if right - left > 1:
            order.append(middle := (left + right) // 2)
            gaps += [(left, middle), (middle, right)]
    taken = {}
    for at in dict.fromkeys(order):
        if room <= 0:
            break
        taken[at] = parts[at][:room]
        room -= len(taken[at])
    return [i for at in sorted(taken) for i in taken[at]]


WAYS = {
    "head": head,
    "tail": ends(1.0),
    "head 3/4 + tail 1/4": ends(0.25),
    "head 1/2 + tail 1/2": ends(0.5),
    "head 1/4 + tail 3/4": ends(0.75),
    "3 windows": windows(3),
    "4 windows": windows(4),
    "sentences": sentences,
}
WHOLE = "whole (512)"


class Encoder:
    def __init__(self, folder):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", options)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.cls, self.sep = self.tokenizer.encode("").ids

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def sentences(self, text):
        parts = [self.ids(s) for s in re.split(r"(?<=[.!?\n])\s+", text)]
        return [p for p in parts if p] or [[]]

    def embed(self, ids):
        row = np.array([[self.cls, *ids, self.sep]], dtype=np.int64)
        return self.session.run(None, {"input_ids": row})[0][0]


def read(path):
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def pasted(prompts, corpus):
    """The prompts with unrelated text before or after each."""
    rng, made = np.random.default_rng(7), []
    for prompt in prompts:
        paste = ""
        while len(paste) < PASTE:
            paste += corpus[rng.integers(len(corpus))] + "\n"
        made.append(f"{paste}\n{prompt}" if rng.random() < 0.5 else f"{prompt}\n\n{paste}")
    return made


class Rows:
    def __init__(self, paths, encoder, corpus=None):
        rows = [row for path in paths for row in read(path)]
        self.texts = [r["prompt"] for r in rows]
        if corpus:
            self.texts = pasted(self.texts, corpus)
        self.arms = sorted(rows[0]["arms"])
        self.rewards = np.array([[r["arms"][a]["reward"] for a in self.arms] for r in rows])
        costs = [[r["arms"][a]["cost"] for a in self.arms] for r in rows]
        self.costs = None if costs[0][0] is None else np.array(costs, dtype=float)
        self.whole = [encoder.ids(t) for t in self.texts]
        lengths = np.array([[len(w), len(t), t.count("\n")] for w, t in zip(self.whole, self.texts)])
        self.facts = np.log1p(lengths) / 10.0 * LENGTH
        self.lengths = lengths[:, 0]

    def embeddings(self, way, cap, encoder, known):
        """[rows, dims]; `known` keeps those of the same ids."""
        room, found = cap - 2, []
        for text, whole in zip(self.texts, self.whole):
            ids = whole if len(whole) <= room else way(whole, room, encoder.sentences(text) if way is sentences else None)
            key = tuple(ids)
            if key not in known:
                known[key] = encoder.embed(ids)
            found.append(known[key])
        return np.array(found, dtype=np.float64)


# --- Judging ---


def predictions(features, targets, seed):
    """Of rows not seen, by ridge regression; its strength by leave-one-out on the rows seen."""
    out = np.empty_like(targets)
    fold = np.random.default_rng(seed).permutation(len(targets)) % FOLDS
    for number in range(FOLDS):
        seen = fold != number
        mean, offset = features[seen].mean(0), targets[seen].mean(0)
        x, y = features[seen] - mean, targets[seen] - offset
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        uy = u.T @ y

        def error(ridge):
            shrink = s**2 / (s**2 + ridge)
            left = y - u @ (shrink[:, None] * uy)
            leverage = ((u * shrink) * u).sum(1) + 1 / len(y)
            return ((left / (1 - leverage)[:, None]) ** 2).mean()

        ridge = min(RIDGES, key=error)
        weights = vt.T @ ((s / (s**2 + ridge))[:, None] * uy)
        out[~seen] = (features[~seen] - mean) @ weights + offset
    return out


def chosen(predicted, costs, budget):
    """The arm of each row under the budget: the smallest price of a dollar that keeps to it."""
    prices = costs.mean(0)
    low, high = 0.0, 1e5
    for _ in range(50):
        middle = (low + high) / 2
        pick = (predicted - middle * prices).argmax(1)
        spent = costs[np.arange(len(pick)), pick].mean()
        low, high = (middle, high) if spent > budget else (low, middle)
    return (predicted - high * prices).argmax(1)


def measures(rows, features):
    """name -> a value for each row, its mean over rows being the measure; of all repeats the mean."""
    total = {}
    differ = rows.rewards - rows.rewards.mean(1, keepdims=True)
    base = ((differ - differ.mean(0)) ** 2).sum(1)
    for seed in range(REPEATS):
        predicted = predictions(features, rows.rewards, seed)
        guess = predicted - predicted.mean(1, keepdims=True)
        one = {"r2": (base - ((differ - guess) ** 2).sum(1)) / base.mean()}
        if rows.costs is not None:
            for budget in BUDGETS:
                pick = chosen(predicted, rows.costs, budget)
                one[f"${budget:.1e}"] = rows.rewards[np.arange(len(pick)), pick]
        else:
            one["area"] = area(rows.rewards, predicted)
        for name, values in one.items():
            total[name] = total.get(name, 0) + values / REPEATS
    return total


def area(rewards, predicted):
    """RouteLLM's APGR row by row: over all shares of calls to the strong arm, how much of its lead is won. A row's part is
    its own lead times the share of thresholds at which it goes to the strong arm."""
    weak, strong = rewards.mean(0).argsort()
    rank = (predicted[:, strong] - predicted[:, weak]).argsort().argsort() / (len(predicted) - 1)
    lead = rewards[:, strong] - rewards[:, weak]
    return rank * lead / lead.mean()


def judge(rows, cap, encoder):
    """A line for each way: name -> (value, difference to head, its standard error), for all rows and the long ones."""
    known, results = {}, {}
    for name, way in {**WAYS, WHOLE: head}.items():
        print(f"  cap {cap}: {name} …", file=sys.stderr)
        vectors = rows.embeddings(way, 512 if name == WHOLE else cap, encoder, known)
        results[name] = measures(rows, np.hstack([vectors, rows.facts]))
    long = rows.lengths > cap - 2
    lines = []
    for name, result in results.items():
        for group, mask in (("all", np.ones(len(long), bool)), ("long", long)):
            for measure, values in result.items():
                gain = (values - results["head"][measure])[mask]
                error = gain.std(ddof=1) / np.sqrt(len(gain))
                lines.append({"way": name, "rows": group, "measure": measure, "value": values[mask].mean(),
                              "gain": gain.mean(), "se": error})
    return lines, int(long.sum())


def table(title, lines):
    columns = list(dict.fromkeys((x["rows"], x["measure"]) for x in lines))
    text = [title, f"  {'':22}" + "".join(f"{f'{g} {m}':>24}" for g, m in columns)]
    for way in dict.fromkeys(x["way"] for x in lines):
        cells = [next(x for x in lines if (x["way"], x["rows"], x["measure"]) == (way, *c)) for c in columns]
        shown = "".join(f"{c['value']:>9.4f} {c['gain']:>+7.4f}±{c['se']:.4f}" for c in cells)
        text.append(f"  {way:22}{shown}")
    return "\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--paste", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, default=pathlib.Path("models/dragoman-small"))
    parser.add_argument("--caps", default="128,64,32")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    encoder, tables = Encoder(args.model), []
    sets = dict(SETS)
    if args.paste:
        sets[PASTED] = next(iter(SETS.values()))
    for name, files in sets.items():
        corpus = [row["text"] for row in read(args.paste)] if name == PASTED else None
        rows = Rows([args.data / f"{f}.jsonl.gz" for f in files], encoder, corpus)
        for cap in map(int, args.caps.split(",")):
            lines, long = judge(rows, cap, encoder)
            tables.append(table(f"{name}, cap {cap}: {long} of {len(rows.texts)} rows are longer", lines))
            print(tables[-1] + "\n", flush=True)
    if args.out:
        (args.out / "excerpts.txt").write_text("\n\n".join(tables) + "\n")


if __name__ == "__main__":
    main()
