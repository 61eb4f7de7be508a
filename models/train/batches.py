"""Which texts a training step sees: a pure function of the step, so that training resumes where it stopped.

Every step has the same shape: so many texts of each length class, padded to the class's length. Half of each
class's texts lie close together in the teacher's space, so that a step holds fine distinctions as well as broad.
"""

import numpy as np
import torch

import corpus
from student import Groups

LENGTHS = (8, 12, 16, 24, 40, 80, 128)
LONG_TEXTS = 1 / 3  # a text of n tokens is drawn in proportion to n ** -LONG_TEXTS: it costs n times as much
CLUSTERS = 1024


def clusters(vectors: np.ndarray, seed: int, rounds: int = 6, sample: int = 60_000) -> np.ndarray:
    """Spherical k-means over unit vectors [n, dims]: the cluster of each, int64 [n]."""
    rows = torch.from_numpy(vectors)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    some = rows[order[:sample]].float()
    centres = some[:CLUSTERS]
    for _ in range(rounds):
        nearest = (some @ centres.T).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, some)
        centres = torch.nn.functional.normalize(sums + 1e-6 * centres, dim=-1)
    return torch.cat([(part.float() @ centres.T).argmax(1) for part in rows.split(8192)]).numpy()


class Stream:
    """`count` of `members` at every step; all of them once before any comes again (but for a remainder)."""

    def __init__(self, members: np.ndarray, count: int, seed: list[int], cluster: np.ndarray | None):
        self.members, self.count, self.seed, self.cluster = members, count, seed, cluster
        self.epoch, self.order = -1, members

    def _shuffled(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([*self.seed, epoch])
        order = rng.permutation(self.members)
        if self.cluster is None:
            return order
        rank = rng.permutation(CLUSTERS)[self.cluster[order]]
        return np.roll(order[np.argsort(rank, kind="stable")], rng.integers(self.count))

    def at(self, step: int) -> np.ndarray:
        epoch, place = divmod(step, max(1, len(self.members) // self.count))
        if epoch != self.epoch:
            self.epoch, self.order = epoch, self._shuffled(epoch)
        return self.order[place * self.count : (place + 1) * self.count]


class Batches:
    def __init__(self, ids: list[list[int]], targets: np.ndarray, size: int, seed: int):
        """`targets` float16 [len(ids), output]; `size`: texts per step, about."""
        self.ids, self.targets = ids, targets
        near = clusters(targets, seed)
        lengths = np.array([len(x) for x in ids])
        kinds = np.searchsorted(LENGTHS, lengths)
        weights = np.bincount(kinds, lengths**-LONG_TEXTS, len(LENGTHS))
        counts = np.maximum(4, 4 * np.round(size / 4 * weights / weights.sum()).astype(int))
        self.groups: Groups = [(int(count), length) for count, length in zip(counts, LENGTHS)]
        self.streams = []
        for kind, count in enumerate(counts):
            members = np.flatnonzero(kinds == kind)
            loose = Stream(members, count // 2, [seed, kind, 0], None)
            dense = Stream(members, count // 2, [seed, kind, 1], near)
            self.streams.append((loose, dense))

    def at(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(ids int64 [tokens], targets float32 [texts, output]) of one step, in the order of `groups`."""
        flat, chosen = [], []
        for (_, length), streams in zip(self.groups, self.streams):
            index = np.concatenate([stream.at(step) for stream in streams])
            flat.append(corpus.pad([self.ids[i] for i in index], length)[0].ravel())
            chosen.append(index)
        targets = self.targets[np.concatenate(chosen)].astype(np.float32)
        return torch.from_numpy(np.concatenate(flat)), torch.from_numpy(targets)
