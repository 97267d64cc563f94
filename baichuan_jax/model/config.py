"""Shape of the decoder and the variant of each part. The tables of variants are next to their code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.settings import setting

Pattern = Literal["full", "local", "strided", "fixed"]
Storage = Literal["compute", "bfloat16", "int8"]  # in what form decoding holds weights and the cache
STORAGES: tuple[Storage, ...] = get_args(Storage)


@dataclass(frozen=True)
class PositionConfig:
    """Position scheme and RoPE scaling (positions.py)."""

    kind: Literal["none", "sinusoidal", "learned", "rope", "alibi"] = setting("rope", "position scheme")
    rope_base: float = setting(10_000.0, "base of RoPE's wavelengths")
    scaling: Literal["none", "linear", "ntk", "yarn", "llama3"] = setting(
        "none", "scaling of RoPE beyond the training context"
    )
    factor: float = setting(1.0, "factor of the scaling of RoPE's context")
    original_context: int = setting(0, "context before scaling, for yarn and llama3")
    fast: float = setting(
        32.0,
        "rotations over original_context above which yarn and llama3 keep a frequency; YaRN has 32, Llama 3.1 has 4",
    )
    slow: float = setting(
        1.0,
        "rotations over original_context below which yarn and llama3 divide a frequency by the factor; both have 1",
    )
    attention_factor: float = setting(
        0.0, "multiplies queries and keys in yarn; 0 is the paper's 0.1 ln(factor) + 1 (arXiv 2309.00071)"
    )

    def __post_init__(self) -> None:
        if self.kind != "rope":
            _refuse_set(self, ("rope_base", "scaling"), "its default: only PositionConfig.kind = 'rope' reads it")
        unread = {
            "none": ("factor", "original_context", "fast", "slow", "attention_factor"),
            "linear": ("original_context", "fast", "slow", "attention_factor"),
            "ntk": ("original_context", "fast", "slow", "attention_factor"),
            "yarn": (),
            "llama3": ("attention_factor",),
        }[self.scaling]
        _refuse_set(self, unread, f"its default: PositionConfig.scaling = {self.scaling!r} does not read it")
        require(self.rope_base > 1, "PositionConfig.rope_base", self.rope_base, "a number above 1")
        require(self.factor >= 1, "PositionConfig.factor", self.factor, "1 or more")
        require(self.attention_factor >= 0, "PositionConfig.attention_factor", self.attention_factor, "0 or more")
        require(self.fast > self.slow > 0, "PositionConfig.fast", self.fast, f"more than slow = {self.slow}, above 0")
        known = self.original_context > 0 or self.scaling not in ("yarn", "llama3")
        require(known, "PositionConfig.original_context", self.original_context, "the context before the stretch")


@dataclass(frozen=True)
class AttentionConfig:
    """Attention pattern (patterns.py) and implementation."""

    kv_heads: int = setting(
        0,
        "key/value heads, each shared by an equal group of query heads (Ainslie et al., arXiv 2305.13245); 0 means one "
        "per query head, 1 is multi-query",
    )
    pattern: tuple[Pattern, ...] = setting(
        ("full",),
        "patterns of the layers, in turn: all earlier positions ('full'), the last `window` positions ('local'), these "
        "and every window-th one before ('strided'), or the query's own block of `window` and the last `summary` "
        "positions of earlier blocks ('fixed'); the last two: Sparse Transformers (Child et al., arXiv 1904.10509)",
    )
    window: int = setting(0, "positions of a sparse pattern")
    summary: int = setting(0, "positions at the end of a block that later blocks attend to, in the pattern 'fixed'")
    soft_cap: float = setting(0.0, "bounds scores to +-soft_cap by tanh (Gemma 2, arXiv 2408.00118); 0 is off")
    qk_norm: bool = setting(
        False,
        "whether each head's query and key is normalised as DecoderConfig.norm says, before RoPE (Henry et al., arXiv "
        "2010.04245; with a gain shared by the heads as in Qwen 3, arXiv 2505.09388)",
    )
    implementation: Literal["auto", "xla", "chunked", "cudnn", "splash"] = setting(
        "auto",
        "implementation of the pattern 'full' (attention/attention.py); 'auto' depends on the platform: cuDNN's flash "
        "attention on a GPU, splash attention on a TPU",
    )

    def __post_init__(self) -> None:
        read = self.implementation == "auto" or "full" in self.pattern
        require(
            read,
            "AttentionConfig.implementation",
            self.implementation,
            "'auto': no layer of AttentionConfig.pattern is 'full'",
        )
        require(self.kv_heads >= 0, "AttentionConfig.kv_heads", self.kv_heads, "0 (as many as query heads) or more")
        require(bool(self.pattern), "AttentionConfig.pattern", self.pattern, "one pattern or more")
        require(self.soft_cap >= 0, "AttentionConfig.soft_cap", self.soft_cap, "0 (off) or more")
        sparse, summarised = set(self.pattern) != {"full"}, "fixed" in self.pattern
        window = "positions, for a sparse pattern" if sparse else "0: AttentionConfig.pattern is 'full' in every layer"
        require((self.window > 0) == sparse, "AttentionConfig.window", self.window, window)
        summary = f"1 to window = {self.window}" if summarised else "0: only the pattern 'fixed' reads it"
        fits = 0 < self.summary <= self.window if summarised else self.summary == 0
        require(fits, "AttentionConfig.summary", self.summary, summary)


@dataclass(frozen=True)
class HeadConfig:
    """From the last hidden state to logits (head.py)."""

    tied: bool = setting(False, "whether the head is the token table")
    normalised: bool = setting(
        False, "whether each token's vector is scaled to length 1 (NormHead of Baichuan 2, arXiv 2309.10305)"
    )
    soft_cap: float = setting(0.0, "bounds logits to +-soft_cap by tanh (Gemma 2, arXiv 2408.00118); 0 is off")

    def __post_init__(self) -> None:
        require(self.soft_cap >= 0, "HeadConfig.soft_cap", self.soft_cap, "0 (off) or more")


@dataclass(frozen=True)
class DecoderConfig:
    """A pre-norm decoder without biases; the defaults are Baichuan-7B (config.json of baichuan-inc/Baichuan-7B)."""

    vocab: int = setting(64_000, "rows of the token table and of the head")
    layers: int = setting(32, "number of blocks")
    hidden: int = setting(4096, "width of the residual stream")
    heads: int = setting(32, "number of query heads")
    head_dim: int = setting(128, "width of a head")
    inner: int = setting(
        11_008,
        "inner width of the feed-forward; 0 gives every kind the same number of parameters, at Baichuan-7B's ratio: "
        "43/16 of hidden with a gate, 129/32 without",
    )
    feed_forward: Literal["relu", "gelu", "silu", "relu2", "glu", "bilinear", "reglu", "geglu", "swiglu"] = setting(
        "swiglu", "activation of the feed-forward, with a gate or without (feedforward.py)"
    )
    context: int = setting(4096, "longest sequence in tokens")
    norm: Literal["rms", "layer"] = setting("rms", "normalisation (layers.py)")
    norm_eps: float = setting(1e-6, "added to the variance in a norm")
    init_std: float = setting(0.02, "standard deviation of the initial weight matrices")
    remat: Literal["auto", "none", "products", "block"] = setting(
        "auto",
        "recomputation in the backward pass: nothing ('none'), everything except products with weights and cuDNN's "
        "attention ('products'), or each block from its input ('block'); 'auto' trains with the first that fits in "
        "memory",
    )
    positions: PositionConfig = field(default_factory=PositionConfig)
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    head: HeadConfig = field(default_factory=HeadConfig)

    def __post_init__(self) -> None:
        for name in ("vocab", "layers", "hidden", "heads", "head_dim", "context"):
            require(getattr(self, name) > 0, f"DecoderConfig.{name}", getattr(self, name), "a positive integer")
        for name in ("norm_eps", "init_std"):
            require(getattr(self, name) > 0, f"DecoderConfig.{name}", getattr(self, name), "a positive number")
        require(self.inner >= 0, "DecoderConfig.inner", self.inner, "a width, or 0 for equal parameters")
        even = self.inner > 0 or self.hidden % 32 == 0
        require(even, "DecoderConfig.hidden", self.hidden, "a multiple of 32 where DecoderConfig.inner is 0")
        even = self.positions.kind != "rope" or self.head_dim % 2 == 0
        require(even, "DecoderConfig.head_dim", self.head_dim, "an even size (RoPE rotates pairs)")
        even = self.positions.kind != "sinusoidal" or self.hidden % 2 == 0
        require(even, "DecoderConfig.hidden", self.hidden, "even: sinusoids come in pairs")
        grouped = self.heads % self.kv_heads == 0
        require(grouped, "AttentionConfig.kv_heads", self.kv_heads, f"a divisor of DecoderConfig.heads = {self.heads}")
        period = len(self.attention.pattern)
        require(
            self.layers % period == 0,
            "AttentionConfig.pattern",
            self.attention.pattern,
            f"as many as divide DecoderConfig.layers = {self.layers}: they are repeated in turn",
        )

    @property
    def kv_heads(self) -> int:
        """Number of key/value heads."""
        return self.attention.kv_heads or self.heads


def _refuse_set(cfg: Any, names: tuple[str, ...], expected: str) -> None:
    """Raise UserError if one of these unused fields is not at its default."""
    for each in fields(cfg):
        if each.name in names:
            value = getattr(cfg, each.name)
            require(value == each.default, f"{type(cfg).__name__}.{each.name}", value, expected)


ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")  # as PEFT names them


@dataclass(frozen=True)
class LoraConfig:
    """Adapters of low rank, trained beside a frozen base (arXiv 2106.09685)."""

    rank: int = setting(0, "rank of the adapters; 0 tunes all parameters instead")
    alpha: float = setting(16.0, "what an adapter adds is multiplied by alpha / rank")
    drop: float = setting(0.0, "share of the input of an adapter that training drops")
    targets: tuple[str, ...] = setting(
        (".*",),
        "regular expressions, of which the name of a weight has to match one to get an adapter: attention.query, key, "
        "value, output; mlp.gate, up, down",
    )
    base: Storage = setting(
        "compute",
        "storage of the frozen weights while adapters are trained: 'compute' (as trained), 'bfloat16' or 'int8'",
    )
    adapter: str = setting(
        "", "directory of an adapter in PEFT's layout, which the model has as it is; it says its own rank and targets"
    )

    def __post_init__(self) -> None:
        require(self.rank >= 0, "LoraConfig.rank", self.rank, "0 (off) or more")
        require(not (self.rank and self.adapter), "LoraConfig.rank", self.rank, "0 beside LoraConfig.adapter")
        require(self.alpha > 0, "LoraConfig.alpha", self.alpha, "a positive number")
        require(0 <= self.drop < 1, "LoraConfig.drop", self.drop, "a share in [0, 1)")
        require(bool(self.targets), "LoraConfig.targets", self.targets, "a pattern at least; rank = 0 for no adapters")
        for pattern in self.targets:
            try:
                re.compile(pattern)
            except re.error as error:
                raise UserError(f"LoraConfig.targets: {pattern!r} is no regular expression ({error})") from None

    @property
    def scale(self) -> float:
        """What an adapter's product is multiplied by."""
        return self.alpha / self.rank

    @property
    def adapter_files(self) -> tuple[Path, ...]:
        """The files of the adapter that the config names."""
        return tuple(Path(self.adapter) / name for name in ADAPTER_FILES) if self.adapter else ()
