"""Shape of the decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import require


@dataclass(frozen=True)
class DecoderConfig:
    """A Baichuan-7B-style decoder; the defaults are Baichuan-7B itself (config.json of baichuan-inc/Baichuan-7B).

    vocab: rows of the token table and of the head, which are not tied. inner: width inside the feed-forward.
    context: longest sequence in tokens. rope_base: base of the rotary wavelengths. init_std: of every weight matrix.
    remat: what the backward pass recomputes: nothing ("none"), or each block from its input ("block").
    """

    vocab: int = 64_000
    layers: int = 32
    hidden: int = 4096
    heads: int = 32
    head_dim: int = 128
    inner: int = 11_008
    context: int = 4096
    rope_base: float = 10_000.0
    norm_eps: float = 1e-6
    init_std: float = 0.02
    remat: Literal["none", "block"] = "block"

    def __post_init__(self) -> None:
        for name in ("vocab", "layers", "hidden", "heads", "head_dim", "inner", "context"):
            require(getattr(self, name) > 0, f"DecoderConfig.{name}", getattr(self, name), "a positive integer")
        require(self.head_dim % 2 == 0, "DecoderConfig.head_dim", self.head_dim, "an even size (RoPE rotates pairs)")
        for name in ("rope_base", "norm_eps", "init_std"):
            require(getattr(self, name) > 0, f"DecoderConfig.{name}", getattr(self, name), "a positive number")
