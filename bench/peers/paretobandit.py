"""ParetoBandit (PyPI: paretobandit): a LinUCB router with a budget pacer, as its README says to use it.

Routing: cold start with its own cold-start constants, its own features (all-MiniLM-L6-v2, the 25 components that it
ships, whitened), its own prices, its pacer told each request's real cost.
"""

import logging
import warnings
from pathlib import Path

import numpy as np
import pareto_bandit
from pareto_bandit import BanditRouter
from pareto_bandit.budget_pacer import BudgetPacer
from pareto_bandit.config import BEST_K3_TABULA_RASA_HPARAMS as COLD
from pareto_bandit.feature_service import FeatureService

import common

PCA = Path(pareto_bandit.__file__).parent / "data" / "artifacts" / "pca_25.joblib"
# Its default, with which it prefers cheap models whatever the budget; and none, which leaves cost to the pacer alone.
COST_PENALTIES = (0.3, 0.0)


def router(dimensions, models=None, seed=0, **settings):
    return BanditRouter.create(
        model_registry=models,
        feature_service=FeatureService.for_precomputed(dimensions),
        priors="none",
        alpha=COLD["alpha"],
        forgetting_factor=COLD["forgetting_factor"],
        bandit_seed=seed,
        **settings,
    )


def speed(args):
    models = {
        f"m{i}": {"input_cost_per_m": 1.0 + i, "output_cost_per_m": 4.0 + i} for i in range(common.ROUTES)
    }
    for dimensions in common.DIMENSIONS:
        inputs = list(common.contexts(dimensions))
        full = router(dimensions, models)
        yield common.speed(
            "route()",
            dimensions,
            lambda x: full.route(x, input_tokens=200)[1].request_id,
            lambda ticket, reward: full.process_feedback(ticket, reward),
            inputs,
            args.seconds,
        )
        policy = router(dimensions, models).bandit

        def select(x):
            arm, _ = policy.select_arm(x)
            policy.mark_selected(arm)
            return arm, x

        yield common.speed(
            "policy only",
            dimensions,
            select,
            lambda ticket, reward: policy.update(ticket[0], ticket[1], reward, advance_time=False),
            inputs,
            args.seconds,
        )


class Policy:
    """One router over one stream."""

    def __init__(self, features, budget, seed, cost_penalty):
        pacer = BudgetPacer(target_avg_spend_usd=budget) if budget else None
        dimensions = len(next(iter(features.values())))
        self.features = features
        self.router = router(dimensions, seed=seed, cost_penalty=cost_penalty, budget_pacer=pacer)

    def decide(self, row):
        return self.router.route(self.features[row["id"]], input_tokens=len(row["prompt"]) // 4 + 1)

    def update(self, log, reward, cost):
        log.cost_usd = cost
        self.router.process_feedback(log.request_id, reward)


def own_features(rows):
    """What its feature service makes of each row's prompt, by row id."""
    from minilm import SIZE, embeddings

    embedded = dict(zip((r["prompt"] for r in rows), embeddings([r["prompt"] for r in rows], common.MINILM_CACHE)))
    service = FeatureService(custom_encoder=embedded.__getitem__, embedding_dim=SIZE, pca_path=PCA)
    return {row["id"]: np.asarray(service.extract_features(row["prompt"])) for row in rows}


def routing(args):
    recorded = common.recorded(args.data)
    if not recorded:
        return []
    learn, score = recorded
    features = own_features(learn + score)
    streams = common.orders(args, learn, score)
    return [
        {
            "features": "its own MiniLM features",
            "settings": f"cold start, {COLD}, cost_penalty {penalty}",
            "title": f"cold start, cost_penalty {penalty}",
            "seeds": len(streams),
            "rows": common.judge(lambda budget, seed: Policy(features, budget, seed, penalty), streams),
        }
        for penalty in COST_PENALTIES
    ]


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore", message="Trying to unpickle")
    args = common.arguments()
    common.report("ParetoBandit", common.installed("paretobandit"), list(speed(args)), routing(args))
