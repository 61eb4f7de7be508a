"""The student: a ModernBERT with mean pooling, a projection and L2 normalisation."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import ModernBertConfig, ModernBertModel


@dataclass(frozen=True)
class Shape:
    layers: int = 4
    hidden: int = 128
    heads: int = 2
    intermediate: int = 192
    local_attention: int = 64
    global_every: int = 2
    positions: int = 512
    output: int = 384


def config(shape: Shape, tokenizer, attention: str) -> ModernBertConfig:
    """`attention`: "sdpa" for training, "eager" for the export."""
    made = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.positions,
        global_attn_every_n_layers=shape.global_every,
        local_attention=shape.local_attention,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        embedding_dropout=0.0,
        reference_compile=False,
    )
    made._attn_implementation = attention
    return made


class Student(nn.Module):
    def __init__(self, shape: Shape, tokenizer, attention: str = "sdpa"):
        super().__init__()
        self.shape = shape
        self.encoder = ModernBertModel(config(shape, tokenizer, attention))
        self.projection = nn.Linear(shape.hidden, shape.output)

    def forward(self, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        keep = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * keep).sum(1) / keep.sum(1)
        return F.normalize(self.projection(pooled).float(), dim=-1)

    @torch.no_grad()
    def start_from(self, token_vectors: np.ndarray) -> None:
        """Token table: PCA of the teacher's token vectors, rare tokens louder; projection: the PCA's way back.

        A WordPiece vocabulary is sorted by frequency, roughly, so log(rank) is the weight.
        """
        mean = token_vectors.mean(0)
        _, _, rows = np.linalg.svd(token_vectors - mean, full_matrices=False)
        basis = rows[: self.shape.hidden]
        count = len(token_vectors)
        table = (token_vectors - mean) @ basis.T
        table *= (np.log1p(np.arange(count)) / np.log(count))[:, None]
        table /= table.std()
        self.encoder.embeddings.tok_embeddings.weight.copy_(torch.from_numpy(table))
        self.projection.weight.copy_(torch.from_numpy(np.ascontiguousarray(basis.T)))
        self.projection.bias.zero_()
