"""Shape of the decoder, and which variant of each of its parts. The tables that the names index stand with the code."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from baichuan_jax.core.errors import require

Pattern = Literal["full", "local", "strided", "fixed"]


@dataclass(frozen=True)
class PositionConfig:
    """How the decoder knows the order of tokens (positions.py), and how RoPE is stretched (rope.py).

    kind: which scheme. rope_base: base of the rotary wavelengths. scaling: how RoPE reaches past the context it was
    trained on. factor: by how many times. original_context: that context, for yarn and llama3. fast, slow: rotations
    over it above which a frequency is kept, and below which it is divided by the factor; YaRN has 32 and 1, Llama 3.1
    has 4 and 1. attention_factor: multiplies queries and keys in yarn; 0 is the paper's 0.1 ln(factor) + 1.
    """

    kind: Literal["none", "sinusoidal", "learned", "rope", "alibi"] = "rope"
    rope_base: float = 10_000.0
    scaling: Literal["none", "linear", "ntk", "yarn", "llama3"] = "none"
    factor: float = 1.0
    original_context: int = 0
    fast: float = 32.0
    slow: float = 1.0
    attention_factor: float = 0.0

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
    """Who attends to whom (patterns.py).

    kv_heads: heads of keys and values, each shared by an equal group of query heads (Ainslie et al., arXiv
    2305.13245); 0 is as many as query heads, 1 is multi-query. pattern: of the layers, repeated in turn: all of the
    past ("full"), the last `window` positions ("local"), these and every window-th one before ("strided"), or the
    query's own block of `window` and the last `summary` positions of the blocks before ("fixed"): the last two are
    those of Sparse Transformers (Child et al., arXiv 1904.10509). window, summary: in positions. soft_cap: bounds
    scores to +-soft_cap by tanh (Gemma 2, arXiv 2408.00118); 0 is off. implementation: what computes the layers of the
    pattern "full" (attention/implementations.py); "auto" is by platform: the flash attention of cuDNN on a GPU, splash
    attention on a TPU.
    """

    kv_heads: int = 0
    pattern: tuple[Pattern, ...] = ("full",)
    window: int = 0
    summary: int = 0
    soft_cap: float = 0.0
    implementation: Literal["auto", "xla", "chunked", "cudnn", "splash"] = "auto"

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
    """From the last hidden state to logits (head.py).

    tied: the head is the token table. normalised: its vectors, one a token, are scaled to length 1 (NormHead of
    Baichuan 2, arXiv 2309.10305). soft_cap: bounds logits to +-soft_cap by tanh (Gemma 2); 0 is off.
    """

    tied: bool = False
    normalised: bool = False
    soft_cap: float = 0.0

    def __post_init__(self) -> None:
        require(self.soft_cap >= 0, "HeadConfig.soft_cap", self.soft_cap, "0 (off) or more")


@dataclass(frozen=True)
class DecoderConfig:
    """A pre-norm decoder without biases; the defaults are Baichuan-7B (config.json of baichuan-inc/Baichuan-7B).

    vocab: rows of the token table and of the head. layers: blocks. hidden: width of the residual stream.
    heads, head_dim: of queries.
    inner: width inside the feed-forward; 0 gives every kind of it as many parameters as Baichuan-7B's ratio has: 43/16
    of hidden with a gate, 129/32 without. feed_forward: its activation, with a gate or without (feedforward.py).
    context: longest sequence in tokens. norm, norm_eps: which normalisation (norms.py), and what it adds to a variance.
    init_std: of every weight matrix. remat: what the backward pass recomputes: nothing ("none"), all but products with
    weights ("products"; attention too, where cuDNN does not compute it), or each block from its input ("block").
    """

    vocab: int = 64_000
    layers: int = 32
    hidden: int = 4096
    heads: int = 32
    head_dim: int = 128
    inner: int = 11_008
    feed_forward: Literal["relu", "gelu", "silu", "glu", "bilinear", "reglu", "geglu", "swiglu"] = "swiglu"
    context: int = 4096
    norm: Literal["rms", "layer"] = "rms"
    norm_eps: float = 1e-6
    init_std: float = 0.02
    remat: Literal["none", "products", "block"] = "block"
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
        """Heads of keys and values."""
        return self.attention.kv_heads or self.heads


def _refuse_set(cfg: Any, names: tuple[str, ...], expected: str) -> None:
    """Raise UserError if one of these fields, which nothing would read, is not at its default."""
    for each in fields(cfg):
        if each.name in names:
            value = getattr(cfg, each.name)
            require(value == each.default, f"{type(cfg).__name__}.{each.name}", value, expected)
