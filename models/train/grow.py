"""A wider student that starts where a trained one ended (Chen, Goodfellow, Shlens 2016, "Net2Net").

Twice the width: every number of the residual stream stands there twice, so that norms see what they saw, and the two
columns that read such a pair share the old weight unevenly, at random: their sum does what it did, and training can
tell them apart. Inner numbers beyond the old ones begin unread. So the first step has the trained student's cosine.
"""

import torch

from student import Student, widen_head

UNEVEN = 0.5  # standard deviation of what one column of a pair has more than half, over that of the weights


def twice(x: torch.Tensor, dim: int = 0) -> torch.Tensor:
    return torch.cat((x, x), dim)


def shared(weight: torch.Tensor) -> torch.Tensor:
    """[outputs, inputs] -> the same for inputs that stand there twice."""
    more = torch.randn_like(weight) * weight.std() * UNEVEN
    return torch.cat((weight / 2 + more, weight / 2 - more), 1)


def parts(x: torch.Tensor, count: int, grown) -> torch.Tensor:
    return torch.cat([grown(part) for part in x.chunk(count)])


@torch.no_grad()
def grow(small: Student, large: Student) -> None:
    """Puts `small` into `large`, which has as many layers, twice the width and at least the inner numbers."""
    old, new = small.shape, large.shape
    assert new.hidden == old.embedding_rank * 2 == new.embedding_rank and new.layers == old.layers
    more = new.intermediate - old.intermediate
    a, b = small.encoder, large.encoder
    b["embeddings"]["tok_embeddings"].weight.copy_(twice(a["embeddings"]["tok_embeddings"].weight, 1))
    norms = [(a["embeddings"]["norm"], b["embeddings"]["norm"]), (a["final_norm"], b["final_norm"])]
    for x, y in zip(a["layers"], b["layers"]):
        norms += [(x[name], y[name]) for name in ("attn_norm", "mlp_norm") if hasattr(x[name], "weight")]
        y["attn"]["Wqkv"].weight.copy_(parts(x["attn"]["Wqkv"].weight, 3, lambda w: twice(shared(w))))
        y["attn"]["Wo"].weight.copy_(twice(shared(x["attn"]["Wo"].weight)))
        inner = x["mlp"]["Wi"].weight

        def widened(w: torch.Tensor) -> torch.Tensor:
            return torch.cat((shared(w), torch.randn(more, new.hidden) * inner.std() / 2**0.5))

        y["mlp"]["Wi"].weight.copy_(parts(inner, 2, widened))
        unread = torch.zeros(old.hidden, more)
        y["mlp"]["Wo"].weight.copy_(twice(torch.cat((x["mlp"]["Wo"].weight, unread), 1)))
    for x, y in norms:
        y.weight.copy_(twice(x.weight))
    # Of each layer attention's mix and the gated numbers, then the last norm's; the head's own numbers come behind.
    places, at = [], 0
    for width, wide in ((old.hidden, True), (old.intermediate, False)) * old.layers + ((old.hidden, True),):
        places.append((slice(at, at + width), wide))
        at += width

    def read(x: torch.Tensor, double, keep) -> torch.Tensor:
        return torch.cat([double(x[..., place]) if wide else keep(x[..., place]) for place, wide in places], -1)

    def begun(fill: float):
        return lambda x: torch.cat((x, torch.full((*x.shape[:-1], more), fill)), -1)

    large.pooled.centre.copy_(read(small.pooled.centre, lambda x: twice(x, -1), begun(0.0)))
    large.pooled.spread.copy_(read(small.pooled.spread, lambda x: twice(x, -1), begun(1.0)))
    behind = {name: value for name, value in small.state_dict().items() if name.startswith(("head.", "projection."))}
    behind["head.dense.weight"] = read(behind["head.dense.weight"], shared, begun(0.0))
    wide, beside = behind["projection.weight"].split((old.pooled, old.head), 1)
    behind["projection.weight"] = torch.cat((read(wide, shared, begun(0.0)), beside), 1)
    widen_head(behind, new.head)
    large.load_state_dict(behind, strict=False)
