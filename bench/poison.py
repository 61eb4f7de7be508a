"""What raters who say the opposite do to routing, of all models or of one: `dragoman simulate --poison` on recorded
benchmarks.

    python3 bench/poison.py DATA [SEEDS] [--dragoman BINARY] [--cache FOLDER] [--out FILE]

DATA is a folder with pareto_train, pareto_val and routellm_mmlu (.jsonl.gz). A share of all rewards arrives as 1 - reward,
while learning and while being scored; scores are of the true rewards. `share of it` is the share of the requests that the
model has which is lied about. Nothing here measures: every number is one that the command printed.
"""

import argparse
import json
import pathlib
import subprocess
import sys

# share of poisoned feedback, what of the clean reward must be left
SHARES = [(0.0, 1.0), (0.05, 0.99), (0.2, 0.97)]
# the same of one model's feedback; half of it is what somebody holds who sends half of its requests
SHARES_OF_ONE = [(0.05, 0.99), (0.2, 0.97), (0.5, None)]


def worlds(data):
    pareto = ["--learn", data / "pareto_train.jsonl.gz", "--score", data / "pareto_val.jsonl.gz"]
    mmlu = [data / "routellm_mmlu.jsonl.gz", "--learn-first", 4000]
    return {"pareto, no budget": pareto, "pareto, $6.6e-4": [*pareto, "--budget", 6.6e-4], "mmlu, no budget": mmlu}


def simulate(binary, args):
    done = subprocess.run([binary, "simulate", *map(str, args), "--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit("`dragoman simulate` failed; its reason stands above")
    return json.loads(done.stdout)


ROW = "  {:18}{:>16}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}{:>13}"


def row(world, arm, share, report, clean, reach):
    mean, sd, use = report["reward"]["mean"], report["reward"]["sd"], report["use"]
    kept = mean / clean["reward"]["mean"]
    line = ROW.format(world, "all" if arm is None else arm.split("/")[-1][:15], f"{share:.0%}", f"{mean:.4f}", f"{sd:.4f}", f"{kept:.2%}",
                      "-" if reach is None else f"{reach:.0%}", "-" if use is None else f"{use:.3f}",
                      "-" if arm is None else f"{report['shares'][arm]:.0%}")
    return line + (" MISS" if reach is not None and kept < reach else "")


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
             "MISS: not reached", "", ROW.format("world", "lied about", "poisoned", "reward", "sd", "of clean", "to reach", "use", "share of it")]
    for name, rows in worlds(args.data).items():
        run = lambda *more: simulate(args.dragoman, [*rows, *more, "--seeds", args.seeds, *cache])  # noqa: E731
        clean = run()
        for share, reach in SHARES:
            report = clean if share == 0 else run("--poison", share)
            lines.append(row(name, None, share, report, clean, reach))
        for arm in clean["shares"]:
            for share, reach in SHARES_OF_ONE:
                lines.append(row(name, arm, share, run("--poison", share, "--poison-arm", arm), clean, reach))
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
