"""Vowpal Wabbit (PyPI: vowpalwabbit): its contextual bandits over the same contexts as everybody's.

A parsed example is predicted with and then learned from, which saves its second parse. VW has no budget: what a
dollar costs in reward (λ, beside the kind of exploration) is chosen for each budget on the learn rows alone.
"""

import json
import random
import statistics

import vowpalwabbit

import common

# Every action has its own weight for every feature of the shared namespace.
ADF = "--cb_explore_adf -q sa --ignore_linear s"
SIZE = "-b 20 --quiet"
# Kinds of exploration and λ (reward per dollar) tried on the learn rows.
EXPLORATIONS = ("--squarecb", "--squarecb --gamma_scale 1000", "--epsilon 0.05")
LAMBDAS = (0.0, *(10 ** (step / 5) for step in range(0, 18)))
# Orders of the learn rows that a choice is the mean of.
TRIES = 4


def features(x):
    return " ".join(f"{i}:{v:.6g}" for i, v in enumerate(x))


class Adf:
    """--cb_explore_adf: one line for the context and one for each action."""

    def __init__(self, actions, exploration, seed=0):
        self.workspace = vowpalwabbit.Workspace(f"{ADF} {exploration} {SIZE} --random_seed {seed}")
        self.actions = "".join(f"\n|a {i}" for i in range(actions))
        self.random = random.Random(seed)

    def decide(self, context):
        example = self.workspace.parse(f"shared |s {context}{self.actions}")
        chances = self.workspace.predict(example)
        action = self.random.choices(range(len(chances)), chances)[0]
        return action, chances[action], example

    def update(self, ticket, reward):
        action, chance, example = ticket
        example[1 + action].set_label_string(f"0:{-reward}:{chance}")
        self.workspace.learn(example)
        self.workspace.finish_example(example)


class Fixed(Adf):
    """--cb_explore: one line for all actions, which never change."""

    def __init__(self, actions, exploration, seed=0):
        self.workspace = vowpalwabbit.Workspace(
            f"--cb_explore {actions} {exploration} {SIZE} --random_seed {seed}"
        )
        self.random = random.Random(seed)

    def decide(self, context):
        example = self.workspace.parse(f"| {context}")
        chances = self.workspace.predict(example)
        action = self.random.choices(range(len(chances)), chances)[0]
        return action, chances[action], example

    def update(self, ticket, reward):
        action, chance, example = ticket
        example.set_label_string(f"{action + 1}:{-reward}:{chance}")
        self.workspace.learn(example)
        self.workspace.finish_example(example)


def speed(args):
    for dimensions in common.DIMENSIONS:
        # As text, which is VW's own form: making it is not counted.
        inputs = [features(x) for x in common.contexts(dimensions)]
        ways = (("adf, squarecb", Adf, "--squarecb"), ("cb, epsilon", Fixed, "--epsilon 0.05"))
        for way, kind, exploration in ways:
            policy = kind(common.ROUTES, exploration)
            yield common.speed(way, dimensions, policy.decide, policy.update, inputs, args.seconds)


class Policy:
    """One learner over one stream, at a fixed price of a dollar."""

    def __init__(self, texts, arms, exploration, price, seed):
        self.texts, self.arms, self.price = texts, arms, price
        self.learner = Adf(len(arms), exploration, seed)

    def decide(self, row):
        ticket = self.learner.decide(self.texts[row["id"]])
        return self.arms[ticket[0]], ticket

    def update(self, ticket, reward, cost):
        self.learner.update(ticket, reward - self.price * cost)


def choose(texts, arms, learn):
    """For each budget the exploration and the λ that gave most, within it, on the later half of the learn rows."""
    streams = [common.shuffled(f"choose {number}", learn)[0] for number in range(TRIES)]
    half = len(learn) // 2

    def attempt(exploration, price):
        outcomes = []
        for seed, stream in enumerate(streams):
            policy = Policy(texts, arms, exploration, price, seed)
            common.play(policy, stream[:half])
            outcomes.append(common.play(policy, stream[half:]))
        reward, cost = (statistics.fmean(column) for column in zip(*outcomes))
        return reward, cost, exploration, price

    tried = [attempt(exploration, price) for exploration in EXPLORATIONS for price in LAMBDAS]
    chosen = {}
    for budget in common.BUDGETS:
        within = [t for t in tried if budget is None or t[1] <= budget]
        chosen[budget] = max(within)[2:] if within else min(tried, key=lambda t: t[1])[2:]
    return chosen


def contexts_of(args, rows):
    """Each row's context by its id, and what it is."""
    if args.features:
        with open(args.features) as lines:
            given = (json.loads(line) for line in lines)
            return {row["id"]: row["context"] for row in given}, "the given contexts"
    from paretobandit import own_features

    return own_features(rows), "ParetoBandit's MiniLM features"


def routing(args):
    recorded = common.recorded(args.data)
    if not recorded:
        return []
    learn, score = recorded
    contexts, named = contexts_of(args, learn + score)
    texts = {row["id"]: features(contexts[row["id"]]) for row in learn + score}
    arms = list(learn[0]["arms"])
    chosen = choose(texts, arms, learn)
    streams = common.orders(args, learn, score)
    settings = [{"budget": b, "exploration": e, "reward_per_dollar": p} for b, (e, p) in chosen.items()]
    return [
        {
            "features": named,
            "settings": settings,
            "title": "exploration and λ chosen on the learn rows",
            "seeds": len(streams),
            "rows": common.judge(lambda budget, seed: Policy(texts, arms, *chosen[budget], seed), streams),
        }
    ]


if __name__ == "__main__":
    args = common.arguments()
    common.report("Vowpal Wabbit", common.installed("vowpalwabbit"), list(speed(args)), routing(args))
