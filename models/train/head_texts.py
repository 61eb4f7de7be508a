"""What the heads learn from: texts, labels and weights for each of the three.

Hand-written texts lie in `data/`; the rest comes from MMLU questions (their answers are not read) and from the
distillation corpus. Every function is a pure function of the files and the seed.
"""

import gzip
import json
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from head_fit import balanced, folded

HAND = Path(__file__).parent / "data"
CHARS = 600  # texts of the corpus are cut here, as in training

DOMAINS = ("business", "law", "psychology", "biology", "chemistry", "history", "other", "health", "economics", "math",
           "physics", "computer science", "philosophy", "engineering")  # fmt: skip
KINDS = ("none", "satisfied", "need_clarification", "want_different", "wrong_answer")

# MMLU's subjects in the categories of MMLU-Pro (Wang et al. 2024): what it has no category for is "other".
SUBJECTS = {
    "business": "business_ethics management",
    "law": "jurisprudence professional_law",
    "psychology": "professional_psychology",
    "biology": "college_biology high_school_biology",
    "history": "high_school_us_history prehistory",
    "other": "global_facts high_school_geography miscellaneous public_relations security_studies sociology",
    "health": "anatomy college_medicine human_aging medical_genetics virology",
    "economics": "high_school_macroeconomics",
    "math": "college_mathematics high_school_statistics",
    "physics": "college_physics conceptual_physics",
    "computer science": "college_computer_science computer_security high_school_computer_science",
    "philosophy": "moral_disputes philosophy",
    "engineering": "electrical_engineering",
}
SUBJECT_DOMAIN = {subject: DOMAINS.index(d) for d, names in SUBJECTS.items() for subject in names.split()}

# WordNet says of some 2,000 senses, "(law) …", which field they belong to.
FIELDS = {
    "computer science": "computer science|computing|programming",
    "law": "law|criminal law|civil law|contract law|common law|Roman law",
    "physics": "physics|astronomy|cosmology|mechanics|optics|thermodynamics|acoustics|particle physics|nuclear physics",
    "biology": "biology|genetics|botany|zoology|ecology|embryology|microbiology|biochemistry|molecular biology",
    "math": "mathematics|statistics|geometry|arithmetic|algebra|set theory|trigonometry|calculus",
    "chemistry": "chemistry|organic chemistry|physical chemistry|crystallography",
    "psychology": "psychology|psychoanalysis|psychiatry",
    "health": "medicine|anatomy|pathology|physiology|dentistry|obstetrics|ophthalmology|pharmacology|surgery|immunology",
    "philosophy": "philosophy|logic|theology|ethics|metaphysics|Christianity|Buddhism|Hinduism|Judaism|Islam",
    "engineering": "electronics|engineering|telecommunication|architecture|metallurgy",
    "economics": "economics|finance",
    "business": "accounting|business|stock market|commerce|marketing|banking|insurance",
    "history": "archeology|archaeology|Middle Ages|ancient Rome|ancient Greece|history|antiquity",
    "other": "music|baseball|sports|nautical|military|golf|football|linguistics|grammar|classical mythology|astrology|ballet|"
    "chess|meteorology|geology|geography|basketball|ice hockey|prosody|folklore|printing|tennis|bridge|cricket|film|"
    "rhetoric|fencing|anthropology|sociology|politics|cards|art|theater|cooking",
}
FIELD_DOMAIN = {field: DOMAINS.index(d) for d, names in FIELDS.items() for field in names.split("|")}
CORPUS_DOMAINS = (("gsm8k-train", 300, "math"), ("aqua", 300, "math"), ("gpteacher-code", 400, "computer science"),
                  ("debian-packages", 200, "computer science"), ("gpteacher-roleplay", 100, "other"),
                  ("clinc150", 300, "other"), ("span-extraction", 50, "other"), ("nlu-home", 150, "other"))  # fmt: skip

# How much each part counts; within a part every label counts alike, but for "other", the widest of the domains.
PART_WEIGHTS = {"mmlu": 1.0, "written": 8.0, "wordnet": 1.0, "corpus": 0.5}
OTHER_WEIGHT = 2.0

# Corpus texts that open a task, so judge no answer; CLINC150's intents that do judge one are left out.
TASKS = (("clinc150", 500), ("banking77", 300), ("nq-open", 300), ("gsm8k-train", 150), ("gpteacher-code", 200),
         ("gpteacher-code-answers", 100), ("gpteacher-roleplay", 150), ("t0-prompts", 250), ("t0-sentences", 150),
         ("wordnet-examples", 150), ("arena-hard", 300), ("self-instruct-seed", 100), ("span-extraction", 100),
         ("bbh", 100), ("gpteacher-tools", 50))  # fmt: skip
REPLIES = ("thank_you", "repeat", "yes", "no", "maybe", "cancel", "oos")
FEEDBACK_WEIGHTS = {"written": 1.0, "changed": 0.7, "corpus": 0.5}
FRONTS = {  # what a phrase of a kind may follow without becoming another kind
    "satisfied": ("yes, ", "wow, ", "ok, ", "ah, ", "thanks, ", "cool, "),
    "need_clarification": ("thanks, but ", "great, but ", "nice, but ", "ok, but ", "thanks. ", "great, ", "hmm, ", "cool, "),
    "want_different": ("thanks, but ", "thank you but ", "great, but ", "nice, but ", "good, but ", "perfect, but ", "ok ",
                       "nice. ", "well, ", "yes, but ", "hmm, "),
    "wrong_answer": ("thanks, but ", "thank you but ", "great, but ", "nice, but ", "ok, but ", "great, ", "cool, ", "wow, ",
                     "hmm, ", "sorry, but ", "no, ", "well, "),
}  # fmt: skip
FRONTED = ("thank", "great", "nice", "ok", "good", "perfect", "cool", "yes", "love", "awesome", "sorry", "close", "works",
           "correct", "but", "almost", "no ")  # fmt: skip
NONE_WEIGHT = 0.75  # feedback that is missed costs more than a task taken for feedback
BLOCKS = 100  # groups of general phrases
TOPICS = 30  # groups of topical phrases, and of those of other authors
CUES = 4000  # the listed ones and the n-grams of 1 to 3 words that the most hand-written phrases hold

FACT_WEIGHTS = {"written": 1.0, "mmlu": 0.5, "corpus": 1.0}
FACTS = (("nq-open", 1500),)
FACT_SUBJECTS = ("global_facts high_school_geography miscellaneous prehistory anatomy college_medicine virology "
                 "medical_genetics human_aging high_school_biology college_biology professional_law").split()  # fmt: skip
NO_FACTS = (("gpteacher-code", 400), ("gpteacher-code-answers", 200), ("gsm8k-train", 300), ("aqua", 200),
            ("gpteacher-roleplay", 200), ("banking77", 300), ("nlu-home", 300), ("span-extraction", 200))  # fmt: skip
NO_FACT_SUBJECTS = ("college_mathematics",)


@dataclass
class Texts:
    """Parallel: `parts` says where a text comes from, `groups` what is not to be split between training and judging
    ("": only ever trained on)."""

    texts: list[str]
    labels: np.ndarray
    parts: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(cls, rows: list[tuple[str, int, str, str]]) -> "Texts":
        """From (text, label, part, group)."""
        texts, labels, parts, groups = zip(*rows)
        return cls(list(texts), np.array(labels), np.array(parts), np.array(groups))

    def weights(self, scale: dict[str, float], keep: np.ndarray) -> np.ndarray:
        """[n]: 0 where not kept; each label of a part sums to the part's scale."""
        out = np.zeros(len(self.texts))
        for part, factor in scale.items():
            rows = keep & (self.parts == part)
            out[rows] = factor * balanced(self.labels[rows], self.groups[rows])
        return out


def hand(name: str) -> list[dict]:
    return [json.loads(line) for line in (HAND / f"{name}.jsonl").read_text("utf-8").splitlines()]


def read_sources(data: Path) -> dict[str, list[str]]:
    sources: dict[str, list[str]] = {}
    with gzip.open(data / "encoder" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            sources.setdefault(row["source"], []).append(row["text"][:CHARS])
    with gzip.open(data / "encoder" / "clinc150.json.gz", "rt", encoding="utf-8") as f:
        replies = {text for text, intent in json.load(f)["train"] if intent in REPLIES}
    sources["clinc150"] = [text for text in sources["clinc150"] if text not in replies]
    return sources


def read_mmlu(data: Path) -> list[tuple[str, str, str]]:
    """(subject, the bare question, the question with its choices)."""
    rows = []
    with gzip.open(data / "routing" / "routellm_mmlu.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            bare = row["prompt"].removesuffix("\nAnswer:").rsplit("\nA. ", 1)[0]
            rows.append((row["source"].removeprefix("mmlu/"), bare, row["prompt"]))
    return rows


def drawn(sources, wanted, rng: random.Random) -> list[tuple[str, str]]:
    """(text, source), so many of each source."""
    return [(t, s) for s, count, *_ in wanted for t in rng.sample(sources[s], min(count, len(sources[s])))]


def domain_texts(sources, mmlu, seed: int) -> Texts:
    """Labels index `DOMAINS`; groups are MMLU's subjects."""
    rows = [(row[form], SUBJECT_DOMAIN[row[0]], "mmlu", row[0]) for form in (1, 2) for row in mmlu]
    rows += [(row["text"], DOMAINS.index(row["domain"]), "written", "") for row in hand("domains")]
    for sense in sources["wordnet"]:
        found = re.match(r"^([^:]+): \(([A-Za-z ]+)\) (.+)", sense)
        if found and found[2] in FIELD_DOMAIN:
            rows.append((f"{found[1]}: {found[3]}", FIELD_DOMAIN[found[2]], "wordnet", ""))
    of_source = {source: DOMAINS.index(domain) for source, _, domain in CORPUS_DOMAINS}
    texts = drawn(sources, CORPUS_DOMAINS, random.Random(seed))
    return Texts.of(rows + [(text, of_source[source], "corpus", "") for text, source in texts])


def changed(text: str, kind: str, rng: random.Random) -> list[str]:
    """The phrase with other punctuation, and after words that leave its kind as it is."""
    low = text[:1].lower() + text[1:]
    bare = text.rstrip(".!? ")
    out = [low if text[-1:] in "?" else bare if bare != text else text + rng.choice((".", "!", "..."))]
    if "'" in text:
        out.append(text.replace("'", ""))
    if not low.startswith(FRONTED):
        fronts = FRONTS.get(kind, ("hmm, ", "ok, ", "well, ", "hey, "))
        out += [front + low for front in rng.sample(fronts, 2)]
    return [t for t in out if t.strip()]


def joined(text: str, kind: str, near: dict[str, list[str]], fill: str, rng: random.Random) -> list[str]:
    """Two and three sentences: with another phrase of its kind, after thanks, with a sentence about something else."""

    def sentences(*parts: str) -> str:
        return " ".join(part if part[-1:] in ".!?" else part + "." for part in parts)

    fill = fill[:1].upper() + fill[1:]
    out = [sentences(text, fill) if rng.random() < 0.5 else sentences(fill, text)]
    if kind != "none":
        out.append(sentences(text, rng.choice(near[kind])))
        out.append(sentences(text, fill, rng.choice(near[kind])))
    if kind not in ("none", "satisfied"):
        out.append(sentences(rng.choice(near["satisfied"]), text))
    return out


def blocked_phrases() -> list[tuple[dict, str]]:
    """Every phrase with its block. The topical ones follow much the same order of topics in every kind, so a block of
    neighbours of each kind is roughly a topic."""
    general, topical, others = hand("feedback"), hand("feedback_topical"), hand("feedback_others")
    sizes, seen = Counter(row["kind"] for row in topical), Counter()
    out = [(row, f"block {number % BLOCKS}") for number, row in enumerate(general)]
    out += [(row, f"other {number % TOPICS}") for number, row in enumerate(others)]
    for row in topical:
        out.append((row, f"topic {seen[row['kind']] * TOPICS // sizes[row['kind']]}"))
        seen[row["kind"]] += 1
    return out


def feedback_texts(sources, seed: int) -> Texts:
    """Labels index `KINDS`; phrases are only joined with those of their group."""
    rng, rows, phrases = random.Random(seed), [], blocked_phrases()
    near: dict[str, dict[str, list[str]]] = {}
    for row, block in phrases:
        near.setdefault(block, {kind: [] for kind in KINDS})[row["kind"]].append(row["text"])
    for row, block in phrases:
        label = KINDS.index(row["kind"])
        more = changed(row["text"], row["kind"], rng)
        more += joined(row["text"], row["kind"], near[block], rng.choice(sources["wordnet-examples"]), rng)
        rows.append((row["text"], label, "written", block))
        rows += [(text, label, "changed", block) for text in more]
    tasks = drawn(sources, TASKS, rng)
    return Texts.of(rows + [(text, 0, "corpus", f"task {number}") for number, (text, _) in enumerate(tasks)])


def cues(texts: Texts) -> list[str]:
    """The listed cues, then the n-grams that the most hand-written phrases hold; kinds play no part in the choice."""
    listed = (HAND / "feedback_cues.txt").read_text("utf-8").splitlines()
    counts: Counter[str] = Counter()
    for text, part in zip(texts.texts, texts.parts):
        if part == "written":
            words = re.findall(r"[\w']+", folded(text))
            counts.update({" ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1)})
    mined = sorted((gram for gram in counts if gram.strip("'")), key=lambda gram: (-counts[gram], len(gram), gram))
    return list(dict.fromkeys(listed + mined))[:CUES]


def fact_texts(sources, mmlu, seed: int) -> Texts:
    """Labels: 1 where an answer should be checked against facts; groups are MMLU's subjects or single texts."""
    rng = random.Random(seed)
    rows = [(row["text"], int(row["check"]), "written", f"written {n}") for n, row in enumerate(hand("fact_check"))]
    for label, wanted, subjects in ((1, FACTS, FACT_SUBJECTS), (0, NO_FACTS, NO_FACT_SUBJECTS)):
        rows += [(t, label, "corpus", f"{s} {n}") for n, (t, s) in enumerate(drawn(sources, wanted, rng))]
        rows += [(row[1], label, "mmlu", row[0]) for row in mmlu if row[0] in subjects]
    phrases = [row for row in hand("feedback") if row["kind"] != "none"]
    rows += [(row["text"], 0, "corpus", f"phrase {n}") for n, row in enumerate(rng.sample(phrases, 600))]
    return Texts.of(rows)
