"""Makes the large encoder of the tests without its 440 MB of weights: run it in an environment of models/train.

    python make.py      # writes graph.onnx.gz and expected.json beside itself

The encoder has ModernBERT-base's shape and random weights. `graph.onnx.gz` is the exported graph without the
weights, `expected.json` lists them (name, shape, type) and has torch's vectors of a few texts. Test and script fill
the weights by the same integer arithmetic (`numbers` here, `floats_of` in wasm-tests/src/large.rs).
"""

import gzip
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "models/train"))

from artefacts import TEXTS  # noqa: E402
from export import Int8Table, Session, modern_bert, save_onnx  # noqa: E402
from student import Shape  # noqa: E402

SHAPE = Shape(
    layers=22, hidden=768, heads=12, intermediate=1152, local_attention=128, global_every=3, output=768,
    embedding_rank=768, head=0,
)
CAP = 64
# Smaller initialisers are the graph's own constants and stay in it.
LARGE = 512
TOLERANCE = 2e-5


class Plain(torch.nn.Module):
    """ModernBERT with mean pooling and a linear projection, its table in int8."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.encoder = modern_bert(SHAPE, vocabulary)
        embeddings = self.encoder.embeddings
        embeddings.tok_embeddings = Int8Table(embeddings.tok_embeddings.weight.detach())
        self.projection = torch.nn.Linear(SHAPE.hidden, SHAPE.output)
        self.eval()

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=torch.ones_like(input_ids)).last_hidden_state
        x = self.projection(hidden.mean(dim=1))
        return x / torch.sqrt((x * x).sum(dim=-1, keepdim=True) + 1e-12)


def hashed(name: str, count: int) -> np.ndarray:
    """SplitMix64 of FNV-1a(name) + index: `count` uniform 64-bit words."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = (np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) + np.uint64(seed)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def numbers(name: str, shape: list[int], kind: str) -> np.ndarray:
    """The weight `name`: int8 rows, or uniform floats around a centre, as wide as its fan-in asks."""
    words = hashed(name, int(np.prod(shape)))
    if kind == "i8":
        return (words >> np.uint64(56)).astype(np.uint8).view(np.int8).reshape(shape)
    uniform = (words >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    if name.endswith("scale"):
        centre, width = 0.01, 0.005
    elif len(shape) < 2:
        centre, width = (0.0 if name.endswith("bias") else 1.0), 0.1
    else:
        fan_in = shape[0] if name.endswith("weight_t") else shape[1]
        centre, width = 0.0, float(np.sqrt(3 / fan_in))
    return (uniform * np.float32(width) + np.float32(centre)).reshape(shape)


def main() -> None:
    torch.manual_seed(0)
    file = ROOT / "models/dragoman-small/tokenizer.json"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(file), pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
    )
    model = Plain(len(tokenizer))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        save_onnx(model, SHAPE, path)
        proto = onnx.load(str(path))
        weights = [t for t in proto.graph.initializer if np.prod(t.dims) >= LARGE]
        listed = []
        state = model.state_dict()
        for tensor in weights:
            kind = {onnx.TensorProto.FLOAT: "f32", onnx.TensorProto.INT8: "i8"}[tensor.data_type]
            listed.append({"name": tensor.name, "shape": list(tensor.dims), "type": kind})
            made = numbers(tensor.name, list(tensor.dims), kind)
            tensor.CopyFrom(numpy_helper.from_array(made, tensor.name))
            transposed = tensor.name.endswith("_t")
            name = tensor.name.removesuffix("_t")
            state[name].copy_(torch.from_numpy(made.T.copy() if transposed else made))
        onnx.save(proto, str(path))
        session = Session(path, tokenizer, CAP)
        vectors = []
        for text in TEXTS[2:]:
            ids = session.ids(text)
            with torch.no_grad():
                vector = model(torch.tensor([ids]))[0].numpy()
            difference = float(np.abs(session.run(ids) - vector).max())
            print(len(ids), difference)
            assert difference < TOLERANCE, text
            vectors.append({"text": text, "ids": ids, "embedding": [float(f"{v:.7g}") for v in vector]})
        names = {t.name for t in weights}
        kept = [t for t in proto.graph.initializer if t.name not in names]
        del proto.graph.initializer[:]
        proto.graph.initializer.extend(kept)
        (HERE / "graph.onnx.gz").write_bytes(gzip.compress(proto.SerializeToString(), 9, mtime=0))
    rows = [json.dumps(row, ensure_ascii=False) for row in vectors]
    listing = [json.dumps(row) for row in listed]
    text = '{"weights": [\n' + ",\n".join(listing) + '\n],\n"vectors": [\n' + ",\n".join(rows) + "\n]}\n"
    (HERE / "expected.json").write_text(text, encoding="utf-8")
    for name in ("graph.onnx.gz", "expected.json"):
        print(name, (HERE / name).stat().st_size)
    print("between texts:", float(np.dot(vectors[0]["embedding"], vectors[1]["embedding"])))


main()
