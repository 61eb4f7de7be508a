"""The whole comparison of routing quality: `dragoman simulate` on recorded benchmarks, beside what it should reach.

    python3 bench/routing.py DATA [SEEDS] [--dragoman BINARY] [--out FOLDER]

DATA is a folder with pareto_train, pareto_val, pareto_val_k4, routellm_mmlu and routellm_gsm8k (.jsonl.gz). Nothing here
measures: every number is one that the command printed. Writes routing.txt and routing.json to --out, if given; the
JSON holds each run's command line and whole report.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

# dollars a request, what to reach, what lies beyond
BUDGETS = [(8.3e-5, 0.820, 0.830), (2.3e-4, 0.876, 0.887), (3.0e-4, 0.890, 0.901), (6.6e-4, 0.924, 0.927),
           (1.9e-3, 0.927, 0.931), (5.3e-3, 0.930, 0.935), (None, 0.935, 0.940)]
DEAR, MIDDLE, NEW = "gemini-2.5-pro", "mistral", "flash"
DRIFTS = {
    "price drift": [{"step": 595, "arm": DEAR, "price": 0.1}, {"step": 1190, "arm": DEAR, "price": 10}],
    "regression": [{"step": 595, "arm": MIDDLE, "reward_cap": 0.75}, {"step": 1190, "arm": MIDDLE, "reward_cap": None}],
}
BAD = [{"step": 0, "arm": NEW, "reward_cap": 0.3, "price": 0.01}]
# file, learned rows, APGR to reach
RANKINGS = [("routellm_mmlu", 1500, 0.570), ("routellm_mmlu", 4000, 0.585), ("routellm_gsm8k", 300, 0.60)]
# A share of seeds needs more of them than a mean: of 20 seeds at 0.95, one cell in thirteen would miss 0.9 by chance,
# of 40 one in twenty, of 100 one in ninety; and there are more than forty cells.
COVERAGE_TIMES = 5
EXPLORERS = [["--set", "policy.epsilon=0.01"], ["--set", "policy.epsilon=0.1"], ["--policy", "uniform"]]


class Bench:
    def __init__(self, binary, data, seeds, temporary):
        self.binary, self.data, self.seeds, self.temporary = binary, data, seeds, temporary
        self.runs, self.lines = {}, []

    def simulate(self, name, *args, budget=None, times=1):
        """One run of the command; its report is kept under `name`."""
        if name in self.runs:
            return self.runs[name]["report"]
        limit = [] if budget is None else ["--budget", str(budget)]
        command = [str(a) for a in ["simulate", *args, *limit, "--seeds", times * self.seeds, "--json"]]
        print(f"{name} …", file=sys.stderr)
        done = subprocess.run([self.binary, *command], stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            sys.exit(f"{name}: `dragoman {' '.join(command)}` failed; its reason stands above")
        # The folders are nobody's concern.
        told = " ".join(command).replace(str(self.data), "DATA").replace(str(self.temporary), "DRIFT")
        self.runs[name] = {"command": f"dragoman {told}", "report": json.loads(done.stdout)}
        return self.runs[name]["report"]

    def pareto(self, name, *args, budget=None, score="pareto_val", times=1):
        rows = ["--learn", self.rows("pareto_train"), "--score", self.rows(score)]
        return self.simulate(f"{name}, {dollars(budget)}", *rows, *args, budget=budget, times=times)

    def rows(self, name):
        return self.data / f"{name}.jsonl.gz"

    def drift(self, name, events):
        path = self.temporary / f"{name.replace(' ', '-')}.json"
        path.write_text(json.dumps(events))
        return "--drift", path

    def title(self, text, *columns):
        self.lines += ["", text, row(*columns)]

    def line(self, *cells):
        self.lines.append(row(*cells))


def row(first, *cells):
    return f"  {first:28}" + "".join(f"{cell:>13}" for cell in cells)


def dollars(budget):
    return "no budget" if budget is None else f"${budget:.1e}"


def show(value, digits=4):
    return "-" if value is None else f"{value:.{digits}f}"


def judged(value, target, holds=None):
    """The target, with a mark where it was missed."""
    good = holds if holds is not None else value is not None and value >= target
    return f"{target:g}" + ("    " if good else " MISS")


def budgets(bench):
    columns = ["reward", "to reach", "beyond", "use", "to reach", "sd", "static mix", "oracle"]
    bench.title("Reward at a budget", "budget", *columns)
    for budget, reach, beyond in BUDGETS:
        r = bench.pareto("budget", budget=budget)
        mean, use = r["reward"]["mean"], r["use"]
        base = [show(r["baselines"][b]["reward"]) for b in ("static_mix", "oracle")]
        limit = "-" if use is None else judged(use, 1.01, use <= 1.01)
        bench.line(dollars(budget), show(mean), judged(mean, reach), show(beyond, 3), show(use, 3), limit,
                   show(r["reward"]["sd"]), *base)


def bonus(bench):
    bench.title("Matching and linucb's bonus", "budget", "matching", "linucb", "use", "linucb's")
    for budget, _, _ in BUDGETS:
        runs = [bench.pareto("budget", budget=budget), bench.pareto("linucb", "--policy", "linucb", budget=budget)]
        bench.line(dollars(budget), *(show(r["reward"]["mean"]) for r in runs), *(show(r["use"], 3) for r in runs))


def change(bench):
    for name, events in DRIFTS.items():
        arm = events[0]["arm"]
        columns = ["reward", "to reach", "use", "to reach", "its share"]
        bench.title(f"{name.capitalize()}: {arm} in phase 2", "budget, phase", *columns)
        for budget in (3.0e-4, 6.6e-4, 1.9e-3):
            phases = bench.pareto(name, *bench.drift(name, events), budget=budget)["phases"]
            before = 0.99 * phases[0]["reward"]
            for number, phase in enumerate(phases, 1):
                share = next(s for model, s in phase["shares"].items() if arm in model)
                back = judged(phase["reward"], round(before, 4)) if number == 3 else "-"
                limit = judged(phase["use"], 1.02, phase["use"] <= 1.02)
                use = [show(phase["use"], 3), limit]
                bench.line(f"{dollars(budget)}, {number}", show(phase["reward"]), back, *use, show(share, 3))


def arms(bench):
    columns = ["steps to 10 %", "to reach", "share later", "to reach", "reward", "use"]
    bench.title(f"A new route: {NEW} from step 600 on", "", *columns)
    for name, drift in (("good", ()), ("bad and cheap", bench.drift("bad", BAD))):
        for budget in (6.6e-4, 1.9e-3, None):
            r = bench.pareto(f"new, {name}", "--add-arm", f"{NEW}@600", *drift, budget=budget, score="pareto_val_k4")
            new = r["added"][0]
            steps, late = new["steps_to_10_percent"], new["share_after_300"]
            found = steps is not None and steps <= 140 and new["reached"] == 1
            soon = judged(steps, 140, found) if name == "good" else "-"
            gone = "-" if name == "good" else judged(late, 0.02, late < 0.02)
            rest = [show(late), gone, show(r["reward"]["mean"]), show(r["use"], 3)]
            bench.line(f"{name}, {dollars(budget)}", show(steps, 0), soon, *rest)


def ranking(bench):
    columns = ["APGR", "to reach", "CPT50", "CPT80", "by length"]
    bench.title("Ranking: RouteLLM's APGR, mixtral to gpt-4", "rows, learned", *columns)
    for name, learned, reach in RANKINGS:
        args = [bench.rows(name), "--learn-first", learned, "--apgr", "mixtral,gpt-4"]
        r = bench.simulate(f"apgr, {name} {learned}", *args)
        found = [show(r["apgr"]), judged(r["apgr"], reach), show(r["cpt50"], 1), show(r["cpt80"], 1)]
        bench.line(f"{name}, {learned}", *found, show(r["baselines"]["prompt_length"].get("apgr")))


def hardship(bench):
    bench.title("Feedback inverted or late", "", "reward", "to reach", "without", "use")
    for budget in (6.6e-4, None):
        plain = bench.pareto("budget", budget=budget)["reward"]["mean"]
        for args in (["--poison", "0.2"], ["--delay", "50"]):
            r = bench.pareto(" ".join(args), *args, budget=budget)
            mean = r["reward"]["mean"]
            cells = [judged(mean, round(0.98 * plain, 4)), show(plain), show(r["use"], 3)]
            bench.line(f"{' '.join(args)}, {dollars(budget)}", show(mean), *cells)


def off_policy(bench):
    columns = ["target", "ips", "snips", "dr", "to reach", "dr's width"]
    bench.title("Off-policy: share of seeds whose 95 % interval holds the truth", "log", *columns)
    for explorer in EXPLORERS:
        what = explorer[-1].removeprefix("policy.")
        args, times = ["--off-policy", *explorer], COVERAGE_TIMES
        logs = {}
        for budget in (None, 6.6e-4):
            report = bench.pareto(f"off-policy, {what}", *args, budget=budget, times=times)
            logs[f"{what}, {dollars(budget)}"] = report
        mmlu = [bench.rows("routellm_mmlu"), "--learn-first", 1500, *args]
        logs[f"{what}, mmlu"] = bench.simulate(f"off-policy, {what}, mmlu", *mmlu, times=times)
        for log, report in logs.items():
            for target in dict.fromkeys(check["target"] for check in report["off_policy"]):
                of = {c["estimator"]: c for c in report["off_policy"] if c["target"] == target}
                cover = [of[e]["coverage"] for e in ("ips", "snips", "dr")]
                reach = judged(None, 0.9, min(cover[0], cover[2]) >= 0.9)
                width = show(of["dr"]["width"], 3)
                bench.line(log, target.split("/")[-1][:12], *(show(c, 3) for c in cover), reach, width)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("seeds", type=int, nargs="?", default=20)
    parser.add_argument("--dragoman", default="target/release/dragoman")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)  # now, and not after all the runs
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(args.dragoman, args.data, args.seeds, pathlib.Path(temporary))
        bench.lines.append(f"dragoman simulate, {args.seeds} seeds, bandit feedback only; MISS: not reached")
        for part in (budgets, bonus, change, arms, ranking, hardship, off_policy):
            part(bench)
    text = "\n".join(bench.lines) + "\n"
    print(text, end="")
    if args.out:
        (args.out / "routing.txt").write_text(text)
        (args.out / "routing.json").write_text(json.dumps({"seeds": args.seeds, "runs": bench.runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
