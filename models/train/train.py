"""One command from the corpus to the finished files: see README.md."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import artefacts
import batches
import corpus
import distil
import export
import grow
import judge
import readout
import shrink
import teacher
import variants
from student import SHAPES, Student

HERE = Path(__file__).parent
CHARS = 600  # texts are cut here before they are tokenised
SEEN = 20_000  # texts on which it is measured what each inner channel does


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with encoder/corpus.jsonl.gz and the intent sets")
    parser.add_argument("--size", choices=SHAPES, default="small")
    parser.add_argument("--out", type=Path, help="by default ../dragoman-SIZE")
    parser.add_argument("--cache", type=Path, default=HERE / ".cache")
    parser.add_argument("--held-out", type=int, default=4_000)
    parser.add_argument("--cap", type=int, default=128, help="tokens per text, of teacher and student alike")
    parser.add_argument("--steps", type=int, default=11_000, help="0: export the student as it starts")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--table-rate", type=float, default=6e-3)
    parser.add_argument("--muon-rate", type=float, default=0.02)
    parser.add_argument("--similarity-weight", type=float, default=2.0)
    parser.add_argument("--neighbour-weight", type=float, default=0.1)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the cache")
    parser.add_argument("--projection-texts", type=int, default=20_000)
    parser.add_argument("--texts", type=int, help="train on so many of the corpus's texts only")
    parser.add_argument("--variants", type=int, default=0, help="and on so many made from them, see variants.py")
    parser.add_argument("--start", type=Path, nargs="+", help="start from the mean of these exported model.onnx of the same size")
    parser.add_argument("--readout", type=int, default=0, help="then fit the readout by itself for so many steps")
    parser.add_argument("--shrink", type=Path, help="start from this exported model.onnx of a --size wide, with fewer inner channels")
    parser.add_argument("--grow", type=Path, help="start from this checkpoint of a --size wide, half as wide as base")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.out = options.out or HERE.parent / f"dragoman-{options.size}"
    return options


def write_files(student: Student, tokenizer, texts: list[str], options) -> tuple[export.Session, dict]:
    """Every file of the model's folder but its card."""
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    model = export.Exported(student)
    export.save_onnx(model, student.shape, out / "model.onnx")
    export.save_tokenizer(tokenizer, out / "tokenizer.json")
    session = export.Session(out / "model.onnx", tokenizer, options.cap)
    worst = export.check(model, session, len(tokenizer))
    artefacts.save_vectors(session, out / "vectors.json")
    explained = artefacts.save_projection(session.embed(texts[: options.projection_texts]), out / "projection.safetensors")
    return session, {"torch_vs_onnxruntime": worst, "projection_variance": explained}


def main() -> None:
    options = arguments()
    began = time.monotonic()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    texts, held_out = corpus.split(corpus.read_corpus(options.data, CHARS), options.held_out, options.seed)

    def vectors(part: str, lines: list[str]) -> np.ndarray:
        path = options.cache / f"{part}-{options.held_out}-cap{options.cap}-seed{options.seed}.npy"
        return teacher.cached(path, lambda: teacher.embed_parallel(lines, options.cap, options.threads))

    tokenizer = teacher.tokenizer()
    student = Student(SHAPES[options.size], len(tokenizer))
    if options.start:
        export.load_mean(student, options.start)
    elif options.shrink:
        wide = Student(SHAPES["wide"], len(tokenizer))
        export.load_onnx(wide, options.shrink)
        shrink.shrink(wide, student, corpus.token_ids(tokenizer, texts[:SEEN], options.cap))
    elif options.grow:
        wide = Student(SHAPES["wide"], len(tokenizer))
        wide.load_state_dict(torch.load(options.grow)["student"])
        grow.grow(wide, student)
    else:
        student.start_from(teacher.cached(options.cache / "tokens.npy", lambda: teacher.Teacher().token_vectors()))
    if options.steps or options.readout:
        learned, part = texts[: options.texts], "train" if options.texts is None else f"train-{options.texts}"
        targets = vectors(part, learned)
        if options.variants:
            made = variants.make(learned, options.variants, options.seed, held_out)
            targets = np.concatenate((targets, vectors(f"{part}-variants-{options.variants}", made)))
            learned = learned + made
        ids = corpus.token_ids(tokenizer, learned, options.cap)
        if options.steps:
            drawn = batches.Batches(ids, targets, options.batch, options.seed)
            distil.train(student, drawn, options.cache / f"checkpoint-{options.size}.pt", options)
        if options.readout:
            readout.fit(student, ids, targets, options.cache, options)

    session, results = write_files(student, tokenizer, texts, options)
    results["exported"] = judge.judge(options.data, session.embed)
    wanted = vectors("held-out", held_out).astype(np.float32)
    results["held_out_cosine"] = judge.cosine(session.embed(held_out), wanted)
    results["held_out_cosine_float_table"] = judge.cosine(distil.embed(student, tokenizer, held_out, options.cap), wanted)
    results["bytes"] = {path.name: path.stat().st_size for path in sorted(options.out.iterdir())}
    results["seconds"] = round(time.monotonic() - began)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
