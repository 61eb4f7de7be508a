"""Muon (Jordan et al., 2024): momentum whose matrices are made nearly orthogonal before they are added.

For the square-ish matrices inside the layers; tables, norms, biases and the ends of the model stay with AdamW.
"""

import torch

MOMENTUM, DECAY, ITERATIONS = 0.95, 0.1, 5


def orthogonal(stack: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz with Jordan's quintic coefficients: [n, a, b] -> the same with singular values near 1."""
    x = stack.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """`matrices`: (weight, parts) where `parts` counts the independent matrices stacked in one weight, as in Wqkv."""

    def __init__(self, matrices: list[tuple[torch.nn.Parameter, int]], lr: float):
        super().__init__([{"params": [weight], "parts": parts} for weight, parts in matrices], {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        jobs: dict[tuple, list] = {}
        for group in self.param_groups:
            weight = group["params"][0]
            momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
            momentum.lerp_(weight.grad, 1 - MOMENTUM)
            ahead = weight.grad.lerp(momentum, MOMENTUM).view(group["parts"], -1, weight.shape[1])
            jobs.setdefault(tuple(ahead.shape[1:]), []).append((weight, group["lr"], ahead))
        for (rows, columns), same in jobs.items():
            moves = orthogonal(torch.cat([ahead for _, _, ahead in same])).split([len(ahead) for _, _, ahead in same])
            for (weight, rate, _), move in zip(same, moves):
                weight.mul_(1 - rate * DECAY)
                weight.add_(move.reshape(weight.shape), alpha=-rate * max(1.0, rows / columns) ** 0.5)
