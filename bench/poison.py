"""What raters who say the opposite do to routing: `dragoman simulate --poison` on recorded benchmarks.

    python3 bench/poison.py DATA [SEEDS] [--dragoman BINARY] [--cache FOLDER] [--out FILE]

DATA is a folder with pareto_train, pareto_val and routellm_mmlu (.jsonl.gz). A share of all rewards arrives as 1 - reward,
while learning and while being scored; scores are of the true rewards. Nothing here measures: every number is one that
the command printed.
"""

import argparse
import json
import pathlib
import subprocess
import sys

# share of poisoned feedback, what of the clean reward must be left
SHARES = [(0.0, 1.0), (0.05, 0.99), (0.2, 0.97)]


def worlds(data):
    pareto = ["--learn", data / "pareto_train.jsonl.gz", "--score", data / "pareto_val.jsonl.gz"]
    mmlu = [data / "routellm_mmlu.jsonl.gz", "--learn-first", 4000]
    return {"pareto, no budget": pareto, "pareto, $6.6e-4": [*pareto, "--budget", 6.6e-4], "mmlu, no budget": mmlu}


def simulate(binary, args):
    done = subprocess.run([binary, "simulate", *map(str, args), "--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit("`dragoman simulate` failed; its reason stands above")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("seeds", type=int, nargs="?", default=8)
    parser.add_argument("--dragoman", default="target/release/dragoman")
    parser.add_argument("--cache", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    cache = [] if args.cache is None else ["--cache", args.cache]
    lines = [f"python3 bench/poison.py DATA {args.seeds}: rewards of {args.seeds} seeds, some arriving as 1 - reward; "
             "MISS: not reached", "", f"  {'world':20}{'poisoned':>10}{'reward':>10}{'sd':>10}{'of clean':>10}{'to reach':>10}{'use':>8}"]
    for name, rows in worlds(args.data).items():
        clean = None
        for share, reach in SHARES:
            report = simulate(args.dragoman, [*rows, "--poison", share, "--seeds", args.seeds, *cache])
            mean, sd, use = report["reward"]["mean"], report["reward"]["sd"], report["use"]
            clean = clean or mean
            missed = "" if mean >= reach * clean else " MISS"
            used = "-" if use is None else f"{use:.3f}"
            lines.append(f"  {name:20}{share:>10.0%}{mean:>10.4f}{sd:>10.4f}{mean / clean:>10.2%}{reach:>10.0%}{used:>8}{missed}")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
