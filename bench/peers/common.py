"""What the peers' scripts share: arguments, timing, recorded benchmarks, and the JSON that bench-learner reads.

    {"name", "version",
     "speed": [{"way", "dimensions", "routes", "decide": {"per_s", "p50_us", "p99_us"}, "update": {…}}],
     "routing": [{"title", "features", "settings", "seeds",
                  "rows": [{"budget", "reward", "reward_sd", "cost", "use"}]}]}
"""

import argparse
import gzip
import json
import random
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROUTES = 24
DIMENSIONS = (64, 816)
BUDGETS = (8.3e-5, 2.3e-4, 3.0e-4, 6.6e-4, 1.9e-3, 5.3e-3, None)
MINILM_CACHE = Path(__file__).parents[2] / "target" / "bench" / "minilm.npz"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1.0, help="of measuring, per case")
    parser.add_argument("--data", type=Path, help="folder with pareto_train.jsonl.gz and pareto_val.jsonl.gz")
    parser.add_argument("--seeds", type=int, default=20, help="orders of the stream")
    parser.add_argument("--features", type=Path, help='contexts: a line {"id", "context"} for every row')
    parser.add_argument("--orders", type=Path, help='{"learn": [[row ids in order] per seed], "score": …}')
    return parser.parse_args()


def report(name, release, speed, routing):
    print(json.dumps({"name": name, "version": release, "speed": speed, "routing": routing}, indent=1))


def installed(package):
    return f"{package} {version(package)}"


# --- Speed ---


def contexts(dimensions, count=256):
    """Random contexts [count, dimensions] of length 1 with a constant last feature."""
    x = np.random.default_rng(1).standard_normal((count, dimensions))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x[:, -1] = 1.0
    return x


def speed(way, dimensions, decide, update, inputs, seconds):
    """Times `ticket = decide(input)` and `update(ticket, reward)` in turn, without batches."""
    rewards = np.random.default_rng(2).random(len(inputs)).tolist()
    times = ([], [])
    for measured, until in ((False, seconds / 2), (True, seconds)):
        start, number = time.perf_counter(), 0
        while time.perf_counter() - start < until or number < ROUTES:
            at = number % len(inputs)
            t0 = time.perf_counter_ns()
            ticket = decide(inputs[at])
            t1 = time.perf_counter_ns()
            update(ticket, rewards[at])
            t2 = time.perf_counter_ns()
            number += 1
            if measured:
                times[0].append(t1 - t0)
                times[1].append(t2 - t1)
    row = {"way": way, "dimensions": dimensions, "routes": ROUTES}
    return row | {part: summary(nanos) for part, nanos in zip(("decide", "update"), times)}


def summary(nanos):
    p50, p99 = np.percentile(nanos, (50, 99)) / 1e3
    return {"per_s": 1e9 / statistics.fmean(nanos), "p50_us": p50, "p99_us": p99}


# --- Routing on recorded answers ---


def rows(path):
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def recorded(folder):
    """The rows to learn from and the rows to score; None if they are not there."""
    paths = [folder / f"pareto_{part}.jsonl.gz" for part in ("train", "val")] if folder else []
    if not paths or not all(path.exists() for path in paths):
        print("routing skipped: no recorded benchmarks (--data FOLDER)", file=sys.stderr)
        return None
    return tuple(rows(path) for path in paths)


def orders(args, learn, score):
    """For each seed the rows to learn and to score, in order."""
    if args.orders:
        given = json.loads(args.orders.read_text())
        by_id = [{row["id"]: row for row in part} for part in (learn, score)]
        lists = list(zip(given["learn"], given["score"]))[: args.seeds]
        return [tuple([rows[i] for i in ids] for rows, ids in zip(by_id, seed)) for seed in lists]
    return [shuffled(seed, learn, score) for seed in range(args.seeds)]


def shuffled(seed, *parts):
    rng = random.Random(seed)
    return tuple(rng.sample(part, len(part)) for part in parts)


def play(policy, stream):
    """Routes each row and tells the policy only what the chosen arm gave; mean reward and cost."""
    outcomes = []
    for row in stream:
        arm, ticket = policy.decide(row)
        outcome = row["arms"][arm]
        policy.update(ticket, outcome["reward"], outcome["cost"] or 0.0)
        outcomes.append((outcome["reward"], outcome["cost"] or 0.0))
    return tuple(statistics.fmean(column) for column in zip(*outcomes))


def judge(make, streams):
    """`make(budget, seed)` gives a fresh policy; it plays the learn rows, then counts on the score rows."""
    table = []
    for budget in BUDGETS:
        results = []
        for seed, (learn, score) in enumerate(streams):
            policy = make(budget, seed)
            play(policy, learn)
            results.append(play(policy, score))
        rewards, costs = zip(*results)
        cost = statistics.fmean(costs)
        table.append(
            {
                "budget": budget,
                "reward": statistics.fmean(rewards),
                "reward_sd": statistics.stdev(rewards) if len(rewards) > 1 else 0.0,
                "cost": cost,
                "use": cost / budget if budget else None,
            }
        )
    return table
