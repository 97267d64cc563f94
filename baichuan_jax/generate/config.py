"""Settings of generation: of one request, and of the engine."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require
from baichuan_jax.model.storage import STORAGES, Storage


@dataclass(frozen=True)
class SampleConfig:
    """prompts: texts that a run continues. max_tokens: longest continuation. temperature: 0 is greedy. top_k: the draw
    is among the k most probable tokens; 0 is off. seed: of the draws; prompt number n has seed + n.

    top_p: the draw is among the most probable tokens that together reach this probability (nucleus sampling,
    Holtzman et al., arXiv 1904.09751). repetition_penalty: logits of tokens that the text has already, the prompt
    included, are divided by it if positive and multiplied by it if negative (CTRL, Keskar et al., arXiv 1909.05858, as
    transformers reads it); 1 is off, Baichuan-7B's README has 1.1. stop: a continuation ends before the first of these.
    """

    prompts: tuple[str, ...] = ()
    max_tokens: int = 128
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 0.95
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.max_tokens > 0, "SampleConfig.max_tokens", self.max_tokens, "a positive integer")
        require(self.temperature >= 0, "SampleConfig.temperature", self.temperature, "0 (greedy) or more")
        require(self.top_k >= 0, "SampleConfig.top_k", self.top_k, "0 (off) or more")
        require(0 < self.top_p <= 1, "SampleConfig.top_p", self.top_p, "a probability in (0, 1]")
        penalty = self.repetition_penalty
        require(penalty > 0, "SampleConfig.repetition_penalty", penalty, "a number above 0; 1 is off")
        require(all(self.stop), "SampleConfig.stop", self.stop, "texts that are not empty")


@dataclass(frozen=True)
class EngineConfig:
    """How requests share the device, and what is held on it.

    slots: requests that are decoded together, rounded up to what the mesh splits a batch into. burst: tokens a row
    decoded in one dispatch; a request may join, and a text is shown, after each. weights, cache: what kernels, and keys
    and values, are held in: as they are computed with, in bfloat16, or as 8-bit integers. Less of them is read for
    each token, and the texts change a little.
    """

    slots: int = 8
    burst: int = 8
    weights: Storage = "compute"
    cache: Storage = "compute"

    def __post_init__(self) -> None:
        require(self.slots > 0, "EngineConfig.slots", self.slots, "a positive integer")
        require(self.burst > 0, "EngineConfig.burst", self.burst, "a positive integer")
        for name in ("weights", "cache"):
            held = getattr(self, name)
            require(held in STORAGES, f"EngineConfig.{name}", held, f"one of {', '.join(STORAGES)}")
