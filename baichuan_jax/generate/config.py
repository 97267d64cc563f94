"""Settings of generation: of one request, and of the engine."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.model.config import STORAGES, Storage


@dataclass(frozen=True)
class SampleConfig:
    """How a text is continued."""

    prompts: tuple[str, ...] = setting((), "texts that a run continues")
    max_tokens: int = setting(128, "most tokens of a continuation")
    temperature: float = setting(0.8, "divides the logits; 0 is greedy")
    top_k: int = setting(0, "sample from the k most probable tokens; 0 is off")
    top_p: float = setting(
        0.95,
        "sample from the most probable tokens whose sum reaches this probability (nucleus sampling, Holtzman et al., "
        "arXiv 1904.09751)",
    )
    repetition_penalty: float = setting(
        1.0,
        "logits of tokens that the text already has, prompt included, are divided by it if positive and multiplied by "
        "it if negative (CTRL, Keskar et al., arXiv 1909.05858, as transformers implements it); 1 is off; the README "
        "of Baichuan-7B has 1.1",
    )
    stop: tuple[str, ...] = setting((), "a continuation ends before the first of these texts")
    seed: int = setting(0, "random seed; prompt number n is sampled with seed + n")

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
    """How requests share the device, and in what their weights and caches are stored.

    With less to read for each token decoding is faster, and the texts change a little.
    """

    slots: int = setting(8, "requests decoded at once, rounded up to a multiple of what the mesh splits a batch into")
    burst: int = setting(
        8, "tokens per row that one dispatch decodes; between dispatches requests may join and text is shown"
    )
    weights: Storage = setting(
        "compute", "how weight matrices are stored: in the compute dtype, in bfloat16, or as 8-bit integers"
    )
    cache: Storage = setting("compute", "how keys and values are stored, likewise")

    def __post_init__(self) -> None:
        require(self.slots > 0, "EngineConfig.slots", self.slots, "a positive integer")
        require(self.burst > 0, "EngineConfig.burst", self.burst, "a positive integer")
        for name in ("weights", "cache"):
            held = getattr(self, name)
            require(held in STORAGES, f"EngineConfig.{name}", held, f"one of {', '.join(STORAGES)}")
