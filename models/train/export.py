"""The trained student -> one ONNX file that tract runs (see ../README.md for the contract)."""

import copy
import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional as F
from transformers import ModernBertConfig, ModernBertModel

import student
from student import Shape, Student

OPSET = 17


def whole_steps(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(q, scale) with weight = q * scale, nearly: q whole within 127, one scale per row."""
    scale = weight.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
    return torch.round(weight / scale), scale


class Int8Table(nn.Module):
    """A token table of int8 rows, each with one float32 scale."""

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        rows, scale = whole_steps(weight)
        self.register_buffer("rows", rows.to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return F.embedding(ids, self.rows).float() * F.embedding(ids, self.scale)


class Embeddings(nn.Module):
    """In the place of ModernBERT's own: a narrow int8 table, a matrix up to the model's width, the norm."""

    def __init__(self, trained: nn.ModuleDict):
        super().__init__()
        self.tok_embeddings = Int8Table(trained["tok_embeddings"].weight.detach())
        self.up, self.norm = trained["up"], trained["norm"]

    def forward(self, input_ids: torch.Tensor, inputs_embeds=None) -> torch.Tensor:
        return self.norm(self.up(self.tok_embeddings(input_ids)))


class Pooled(nn.Module):
    """[1, pooled] -> the same, standardised."""

    def __init__(self, trained: nn.Module):
        super().__init__()
        self.register_buffer("centre", trained.centre)
        self.register_buffer("spread", trained.spread)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        return (pooled - self.centre) / self.spread


class Head(nn.Module):
    """[1, pooled] -> [1, pooled + head]: the pooled numbers, and a hidden layer beside them."""

    def __init__(self, dense: nn.Linear):
        super().__init__()
        self.dense = in_int8(dense)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        return torch.cat((pooled, F.gelu(self.dense(pooled))), -1)


def in_int8(dense: nn.Linear) -> nn.Linear:
    """The same with weights of 255 even steps for each output, so that int8 loses nothing. An error made after the mean
    is not averaged any more; this one costs the model some 1e-4 of its cosine to the teacher, once and for all runtimes."""
    made = copy.deepcopy(dense)
    rows, scale = whole_steps(made.weight.detach())
    made.weight.data = rows * scale
    return made


def modern_bert(shape: Shape, vocabulary: int) -> ModernBertModel:
    made = ModernBertConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.positions,
        global_attn_every_n_layers=shape.global_every,
        local_attention=shape.local_attention,
        norm_eps=student.NORM_EPS,
        global_rope_theta=student.GLOBAL_THETA,
        local_rope_theta=student.LOCAL_THETA,
        pad_token_id=student.PAD,
        embedding_dropout=0.0,
        reference_compile=False,
    )
    made._attn_implementation = "eager"
    return ModernBertModel(made)


class Exported(nn.Module):
    """`input_ids` int64 [1, S] -> `embedding` float32 [1, output], every token counted."""

    def __init__(self, trained: Student):
        super().__init__()
        vocabulary = trained.encoder["embeddings"]["tok_embeddings"].num_embeddings
        self.encoder = modern_bert(trained.shape, vocabulary)
        weights = trained.encoder.state_dict()
        inside = {name: value for name, value in weights.items() if not name.startswith("embeddings.")}
        self.encoder.embeddings = Embeddings(trained.encoder["embeddings"])
        missing, unknown = self.encoder.load_state_dict(inside, strict=False)
        assert not unknown and all(name.startswith("embeddings.") for name in missing), (missing, unknown)
        self.pooled, self.head = Pooled(trained.pooled), Head(trained.head["dense"])
        self.projection = in_int8(trained.projection)
        self.seen: list[torch.Tensor] = []
        for layer in self.encoder.layers:
            for matrix in (layer.attn.Wo, layer.mlp.Wo):
                matrix.register_forward_pre_hook(lambda _, given: self.seen.append(given[0]))
        self.eval()

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        mask = torch.ones_like(input_ids)
        self.seen.clear()
        hidden = self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        pooled = torch.cat([part.mean(dim=1) for part in (*self.seen, hidden)], -1)
        x = self.projection(self.head(self.pooled(pooled)))
        return x / torch.sqrt((x * x).sum(dim=-1, keepdim=True) + 1e-12)


def name_weights(graph: onnx.GraphProto) -> None:
    """One initializer per weight, named after its module.

    The exporter leaves transposed matrices nameless and lets equal weights share one initializer
    through Identity nodes.
    """
    stored = {t.name: t for t in graph.initializer}
    for node in [n for n in graph.node if n.op_type == "Identity" and n.input[0] in stored]:
        copy = graph.initializer.add()
        copy.CopyFrom(stored[node.input[0]])
        copy.name = node.output[0]
        graph.node.remove(node)
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name in stored and re.fullmatch(r"onnx::MatMul_\d+", name):
                module = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
                stored[name].name = node.input[i] = f"{module}.weight_t"


def properties(config, shape) -> dict[str, str]:
    """What a runtime with kernels of its own needs to know beside the weights."""
    known = {
        "architecture": "modernbert",
        **vars(shape),
        "readout": True,
        "norm_eps": config.norm_eps,
        "global_rope_theta": config.global_rope_theta,
        "local_rope_theta": config.local_rope_theta,
    }
    return {key: str(value) for key, value in known.items()}


def save_onnx(model: Exported, shape, path: Path) -> None:
    ids = torch.arange(1000, 1048).unsqueeze(0)
    torch.onnx.export(
        model, (ids,), str(path), dynamo=False, opset_version=OPSET, do_constant_folding=True,
        input_names=["input_ids"], output_names=["embedding"], dynamic_axes={"input_ids": {1: "S"}},
    )
    proto = onnx.load(str(path))
    del proto.graph.value_info[:]
    name_weights(proto.graph)
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.helper.set_model_props(proto, properties(model.encoder.config, shape))
    onnx.checker.check_model(proto)
    onnx.save(proto, str(path))


@torch.no_grad()
def load_onnx(trained: Student, path: Path) -> None:
    """Puts the weights of a file that `save_onnx` wrote into a student of its shape: to go on without a checkpoint."""
    stored = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in onnx.load(str(path)).graph.initializer}
    table = "encoder.embeddings.tok_embeddings"
    stored[f"{table}.weight"] = stored.pop(f"{table}.rows").float() * stored.pop(f"{table}.scale")
    for name in [name for name in stored if name.endswith("_t")]:
        stored[name.removesuffix("_t")] = stored.pop(name).T
    student.widen_head(stored, trained.shape.head)
    trained.load_state_dict(stored)


@torch.no_grad()
def load_mean(trained: Student, paths: list[Path]) -> None:
    """The mean of the weights of several such files, which one training must have led to."""
    others = [copy.deepcopy(trained) for _ in paths]
    for other, path in zip(others, paths):
        load_onnx(other, path)
        other.standardise_by(others[0].pooled.centre.clone(), others[0].pooled.spread.clone())
    states = [other.state_dict() for other in others]
    trained.load_state_dict({name: sum(state[name] for state in states) / len(states) for name in states[0]})


class Session:
    """The exported file in onnxruntime; texts in, vectors out."""

    def __init__(self, path: Path, tokenizer, cap: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.tokenizer, self.cap = tokenizer, cap

    def ids(self, text: str) -> list[int]:
        """What the runtime reads (`encoder/src/text.rs`): of a long text three quarters from its head, the rest from its
        tail; a literal [SEP] is text."""
        ids = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        room = self.cap - 2
        if len(ids) > room:
            tail = room // 4
            ids = ids[: room - tail] + ids[-tail:]
        return [self.tokenizer.cls_token_id, *ids, self.tokenizer.sep_token_id]

    def run(self, ids: list[int]) -> np.ndarray:
        return self.session.run(None, {"input_ids": np.array([ids], np.int64)})[0][0]

    def embed(self, texts: list[str]) -> np.ndarray:
        return np.stack([self.run(self.ids(t)) for t in texts])


def check(model: Exported, session: Session, vocabulary: int) -> float:
    """The largest difference between torch and onnxruntime over several lengths, 512 among them."""
    worst, rng = 0.0, np.random.default_rng(0)
    for length in (2, 3, 16, 33, 64, 65, 128, 256, 512):
        ids = rng.integers(1000, vocabulary, length).tolist()
        with torch.no_grad():
            torch_vector = model(torch.tensor([ids]))[0].numpy()
        worst = max(worst, float(np.abs(session.run(ids) - torch_vector).max()))
    return worst


def save_tokenizer(tokenizer, path: Path) -> None:
    """The teacher's tokenizer without padding and truncation: the caller sets the cap."""
    made = json.loads(tokenizer.backend_tokenizer.to_str())
    made["padding"] = made["truncation"] = None
    path.write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
