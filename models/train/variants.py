"""More texts out of those there are: parts of them, two halves that never stood together, a few words from elsewhere.

A student sees each text of the corpus many times and begins to know it by heart; the teacher answers for any text, so
new ones cost nothing but its time. They stay near what people write: whole words, in an order that somebody chose.
"""

import numpy as np

FEWEST = 4  # words; a shorter text has no parts worth learning
REPLACED = 0.15  # of a text's words


def part(words: list[str], _other: list[str], rng: np.random.Generator) -> list[str]:
    """A stretch of 3 to 8 tenths of the text."""
    length = max(2, round(len(words) * rng.uniform(0.3, 0.8)))
    start = rng.integers(len(words) - length + 1)
    return words[start : start + length]


def halves(words: list[str], other: list[str], rng: np.random.Generator) -> list[str]:
    """The beginning of one text and the end of another."""
    return words[: len(words) // 2] + other[len(other) // 2 :]


def replaced(words: list[str], other: list[str], rng: np.random.Generator) -> list[str]:
    """Some words are another text's."""
    made = list(words)
    for place in rng.permutation(len(words))[: max(1, round(len(words) * REPLACED))]:
        made[place] = other[rng.integers(len(other))]
    return made


KINDS = (part, halves, replaced)


def make(texts: list[str], count: int, seed: int, held_out: list[str]) -> list[str]:
    """`count` new texts, at most: each kind in turn, of texts drawn at random, none that is in `texts` or `held_out`."""
    rng = np.random.default_rng([seed, 7])
    long = [text for text in texts if len(text.split()) >= FEWEST]
    known, made = {*texts, *held_out}, {}
    for turn in range(count):
        text, other = (long[i].split() for i in rng.integers(len(long), size=2))
        new = " ".join(KINDS[turn % len(KINDS)](text, other, rng))
        if new not in known:
            made.setdefault(new)
    return list(made)
