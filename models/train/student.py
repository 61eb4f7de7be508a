"""The student: a ModernBERT with a readout and L2 normalisation, in plain torch.

Same mathematics and parameter names as transformers' ModernBertModel (`export.py` puts the weights into that
one), but laid out for fast training on a CPU: the texts of a batch lie end to end in groups of one padded
length each, matrices multiply in bfloat16 (AMX), and the rest fuses under torch.compile because a group's
shape never changes.

What goes beyond ModernBERT: the token table may be narrower than the model (`embedding_rank`), with one matrix up
to its width. And the readout: a narrow model has more to say than its last `hidden` numbers. What each layer's two
output matrices are given, attention's mix and the gated numbers, has been computed anyway; its mean over the tokens
is pooled too, costs nothing but sums, and is what most of the quality comes from. The pooled numbers, standardised,
and a hidden layer over them are projected.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HEAD_DIM = 64
NORM_EPS = 1e-5
GLOBAL_THETA, LOCAL_THETA = 160_000.0, 10_000.0
PAD = 0

Groups = list[tuple[int, int]]  # (texts, padded length) of each group, in order


@dataclass(frozen=True)
class Shape:
    layers: int = 3
    hidden: int = 128
    heads: int = 2
    intermediate: int = 160
    local_attention: int = 64
    global_every: int = 2
    positions: int = 512
    output: int = 384
    embedding_rank: int = 128
    head: int = 512

    @property
    def pooled(self) -> int:
        """Of each layer attention's mix and the gated numbers, then what the last norm gives."""
        return self.layers * (self.hidden + self.intermediate) + self.hidden


SHAPES = {
    "wide": Shape(intermediate=256),  # what small shrinks from and base grows from
    "small": Shape(),
    "base": Shape(hidden=256, heads=4, intermediate=384, embedding_rank=256, head=1024),
}


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=NORM_EPS, bias=False)


def _part(**modules: nn.Module) -> nn.ModuleDict:
    """A named place in the parameter tree; `Student.forward` does the computing."""
    return nn.ModuleDict(modules)


def _layer(shape: Shape, index: int) -> nn.ModuleDict:
    width, inner = shape.hidden, shape.intermediate
    return _part(
        attn_norm=_norm(width) if index else nn.Identity(),
        attn=_part(Wqkv=nn.Linear(width, 3 * width, bias=False), Wo=nn.Linear(width, width, bias=False)),
        mlp_norm=_norm(width),
        mlp=_part(Wi=nn.Linear(width, 2 * inner, bias=False), Wo=nn.Linear(inner, width, bias=False)),
    )


def rotations(groups: Groups, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(cosines, sines) float32 [tokens, 1, 1, HEAD_DIM / 2] of every place of every text."""
    places = torch.cat([torch.arange(length).repeat(texts) for texts, length in groups]).float()
    angles = places[:, None] * theta ** (-torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM)
    return angles.cos()[:, None, None], angles.sin()[:, None, None]


def _linear(x: torch.Tensor, layer: nn.Linear) -> torch.Tensor:
    return F.linear(x.bfloat16(), layer.weight.bfloat16()) if layer.training else F.linear(x, layer.weight)


def _in_seven_bits(x: torch.Tensor) -> torch.Tensor:
    """x as the int8 runtime sees it: each row in 128 even steps from its least to its greatest. The steps' width has a
    gradient, so that rows learn to do without the few great numbers that make all others coarse."""
    low, high = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
    step = (high - low).clamp_min(1e-6) / 127
    u = (x - low) / step
    return (u + (u.round() - u).detach()) * step + low


def widen_head(stored: dict[str, torch.Tensor], head: int) -> None:
    """More units for the hidden layer of stored weights, as many as `head` has; they begin unread."""
    dense, bias, projection = (stored[name] for name in ("head.dense.weight", "head.dense.bias", "projection.weight"))
    more = head - len(dense)
    stored["head.dense.weight"] = torch.cat((dense, torch.randn(more, dense.shape[1]) * dense.std()))
    stored["head.dense.bias"] = torch.cat((bias, torch.zeros(more)))
    stored["projection.weight"] = torch.cat((projection, torch.zeros(len(projection), more)), 1)


class Student(nn.Module):
    """Trains in bfloat16, embeds (`eval()`) in float32."""

    def __init__(self, shape: Shape, vocabulary: int):
        super().__init__()
        assert shape.hidden == shape.heads * HEAD_DIM
        self.shape = shape
        narrow = shape.embedding_rank != shape.hidden
        self.encoder = _part(
            embeddings=_part(
                tok_embeddings=nn.Embedding(vocabulary, shape.embedding_rank),
                up=nn.Linear(shape.embedding_rank, shape.hidden, bias=False) if narrow else nn.Identity(),
                norm=_norm(shape.hidden),
            ),
            layers=nn.ModuleList(_layer(shape, i) for i in range(shape.layers)),
            final_norm=_norm(shape.hidden),
        )
        self.pooled = nn.Module()
        self.pooled.register_buffer("centre", torch.zeros(shape.pooled))
        self.pooled.register_buffer("spread", torch.ones(shape.pooled))
        self.head = _part(dense=nn.Linear(shape.pooled, shape.head))
        self.projection = nn.Linear(shape.pooled + shape.head, shape.output)

    def forward(self, ids: torch.Tensor, groups: Groups) -> torch.Tensor:
        """ids int64 [tokens], group after group -> float32 [texts, output] of unit length."""
        pooled = (self.pool(ids, groups) - self.pooled.centre) / self.pooled.spread
        return F.normalize(self.projection(torch.cat((pooled, F.gelu(self.head["dense"](pooled))), -1)), dim=-1)

    def pool(self, ids: torch.Tensor, groups: Groups) -> torch.Tensor:
        """[texts, shape.pooled]: means over each text's tokens."""
        return torch.cat([self._mean(part, ids, groups) for part in self.numbers(ids, groups)], -1)

    def numbers(self, ids: torch.Tensor, groups: Groups) -> list[torch.Tensor]:
        """What is pooled, [tokens, width] each: of each layer attention's mix and the gated numbers, then the last norm's."""
        encoder = self.encoder
        embeddings = encoder["embeddings"]
        x = embeddings["tok_embeddings"](ids)
        if isinstance(embeddings["up"], nn.Linear):
            x = _linear(x, embeddings["up"]).float()
        x = embeddings["norm"](x)
        seen = []
        turns = [rotations(groups, theta) for theta in (GLOBAL_THETA, LOCAL_THETA)]
        masks = self._masks(ids, groups)
        for index, layer in enumerate(encoder["layers"]):
            local = index % self.shape.global_every != 0
            qkv = _linear(layer["attn_norm"](x), layer["attn"]["Wqkv"])
            mixed = self._attend(qkv, groups, turns[local], masks[local])
            x = x + _linear(mixed, layer["attn"]["Wo"]).float()
            value, gate = _linear(layer["mlp_norm"](x), layer["mlp"]["Wi"]).float().chunk(2, -1)
            gated = F.gelu(value) * gate
            # The one input that int8 changes noticeably: a product of two has long tails.
            gated = _in_seven_bits(gated) if self.training else gated
            x = x + _linear(gated, layer["mlp"]["Wo"]).float()
            seen += [mixed.float(), gated]
        return [*seen, encoder["final_norm"](x)]

    def _masks(self, ids: torch.Tensor, groups: Groups) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """What is added to the scores, (global, local), a [texts, 1, 1 or length, length] for each group."""
        everywhere, nearby = [], []
        for part, (texts, length) in zip(ids.split([t * n for t, n in groups]), groups):
            mask = torch.where(part.view(texts, 1, 1, length) != PAD, 0.0, -1e9)
            places = torch.arange(length)
            far = (places[:, None] - places).abs() > self.shape.local_attention // 2
            everywhere.append(mask)
            nearby.append(mask + torch.where(far, -1e9, 0.0) if length > self.shape.local_attention // 2 + 1 else mask)
        return everywhere, nearby

    def _attend(self, qkv: torch.Tensor, groups: Groups, turns, masks) -> torch.Tensor:
        """[tokens, 3 * hidden] -> [tokens, hidden], text by text."""
        heads, kind = self.shape.heads, qkv.dtype
        qkv = qkv.view(-1, 3, heads, HEAD_DIM)
        cos, sin = turns
        first, second = qkv[:, :2].float().chunk(2, -1)
        qk = torch.cat((first * cos - second * sin, second * cos + first * sin), -1).to(kind)
        sizes = [texts * length for texts, length in groups]
        out = []
        for qk_part, v_part, (texts, length), mask in zip(qk.split(sizes), qkv[:, 2].split(sizes), groups, masks):
            q, k = (qk_part[:, i].view(texts, length, heads, HEAD_DIM).transpose(1, 2) for i in range(2))
            v = v_part.view(texts, length, heads, HEAD_DIM).transpose(1, 2)
            scores = (q @ k.transpose(2, 3)).float() / math.sqrt(HEAD_DIM) + mask
            mixed = torch.softmax(scores, -1).to(kind) @ v
            out.append(mixed.transpose(1, 2).reshape(texts * length, heads * HEAD_DIM))
        return torch.cat(out)

    def _mean(self, x: torch.Tensor, ids: torch.Tensor, groups: Groups) -> torch.Tensor:
        """The mean over each text's tokens, [texts, hidden]."""
        keep = (ids != PAD).float()
        sizes = [texts * length for texts, length in groups]
        parts = zip((x * keep[:, None]).split(sizes), keep.split(sizes), groups)
        return torch.cat([a.view(*g, -1).sum(1) / b.view(*g).sum(1, keepdim=True) for a, b, g in parts])

    @torch.no_grad()
    def standardise(self, ids: torch.Tensor, groups: Groups) -> None:
        """Measures centre and spread anew, on these texts, and changes the weights behind so that nothing else changes."""
        training = self.training
        self.eval()
        pooled = self.pool(ids, groups)
        self.train(training)
        self.standardise_by(pooled.mean(0), pooled.std(0).clamp_min(1e-6))

    @torch.no_grad()
    def standardise_by(self, centre: torch.Tensor, spread: torch.Tensor) -> None:
        """Takes these for centre and spread, and changes the weights behind so that nothing else changes."""
        moved, scaled = (centre - self.pooled.centre) / self.pooled.spread, spread / self.pooled.spread
        for layer in (self.head["dense"], self.projection):
            weight = layer.weight[:, : len(centre)]
            layer.bias += weight @ moved
            weight *= scaled
        self.pooled.centre.copy_(centre)
        self.pooled.spread.copy_(spread)

    @torch.no_grad()
    def start_from(self, token_vectors: np.ndarray) -> None:
        """Token table: PCA of the teacher's token vectors, rare tokens louder; projection: the PCA's way back.

        A WordPiece vocabulary is sorted by frequency, roughly, so log(rank) is the weight. Between the two lies
        an up-projection with orthonormal columns. Matrices that write to the residual stream start small.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.4 / math.sqrt(module.in_features))
        for layer in self.encoder["layers"]:
            for module in (layer["attn"]["Wo"], layer["mlp"]["Wo"]):
                module.weight /= math.sqrt(2 * self.shape.layers)
        mean = token_vectors.mean(0)
        _, _, rows = np.linalg.svd(token_vectors - mean, full_matrices=False)
        basis = rows[: self.shape.embedding_rank]
        count = len(token_vectors)
        table = (token_vectors - mean) @ basis.T
        table *= (np.log1p(np.arange(count)) / np.log(count))[:, None]
        table /= table.std()
        embeddings = self.encoder["embeddings"]
        embeddings["tok_embeddings"].weight.copy_(torch.from_numpy(table))
        back = torch.from_numpy(np.ascontiguousarray(basis.T))
        if isinstance(embeddings["up"], nn.Linear):
            nn.init.orthogonal_(embeddings["up"].weight)
            back = back @ embeddings["up"].weight.T
        nn.init.normal_(self.projection.weight, std=0.01)
        self.projection.weight[:, self.shape.pooled - self.shape.hidden : self.shape.pooled] = back
        for bias in (self.head["dense"].bias, self.projection.bias):
            bias.zero_()
