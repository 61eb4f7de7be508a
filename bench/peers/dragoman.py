"""Dragoman itself, as its users can run it: `dragoman simulate` on the rows that the peers are judged with. How fast it is
bench-learner measures by itself."""

import json
import subprocess
import sys
from pathlib import Path

import common

BINARY = Path(__file__).parents[2] / "target" / "release" / "dragoman"


def judge(args, budget):
    rows = ["--learn", args.data / "pareto_train.jsonl.gz", "--score", args.data / "pareto_val.jsonl.gz"]
    limit = ["--budget", str(budget)] if budget else []
    command = [BINARY, "simulate", *rows, *limit, "--seeds", str(args.seeds), "--json"]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    reward = told["reward"]
    return {
        "budget": budget,
        "reward": reward["mean"],
        "reward_sd": reward["sd"],
        "cost": told["cost"]["mean"],
        "use": told["use"],
    }


def routing(args):
    if not common.recorded(args.data):
        return []
    if args.orders or not BINARY.exists():
        missing = f"{BINARY} is not built: `cargo build --release -p dragoman-sidecar`"
        why = "it shuffles by itself" if args.orders else missing
        print(f"dragoman's routing skipped: {why}", file=sys.stderr)
        return []
    return [
        {
            "features": "features of its encoder",
            "settings": "defaults",
            "title": "defaults",
            "seeds": args.seeds,
            "rows": [judge(args, budget) for budget in common.BUDGETS],
        }
    ]


if __name__ == "__main__":
    args = common.arguments()
    common.report("Dragoman", "dragoman", [], routing(args))
