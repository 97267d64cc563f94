"""Settings of sampling and of the engine."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.model.config import STORAGES, Storage


@dataclass(frozen=True)
class SampleConfig:
    """Prompts and sampling."""

    prompts: tuple[str, ...] = setting((), "prompts of the run's generate stage")
    max_tokens: int = setting(128, "maximum tokens of a continuation")
    temperature: float = setting(0.8, "divides the logits; 0 is greedy")
    top_k: int = setting(0, "sample from the k most probable tokens; 0 is off")
    top_p: float = setting(
        0.95,
        "sample from the smallest set of most probable tokens whose total reaches this probability (nucleus sampling, "
        "Holtzman et al., arXiv 1904.09751)",
    )
    repetition_penalty: float = setting(
        1.0,
        "divides positive and multiplies negative logits of tokens that occur in the prompt or the text (CTRL, Keskar "
        "et al., arXiv 1909.05858, as in transformers); 1 is off; the README of Baichuan-7B uses 1.1",
    )
    stop: tuple[str, ...] = setting((), "a continuation ends before the first of these strings")
    seed: int = setting(0, "random seed; prompt n uses seed + n")

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
    """Batching of requests, and storage of weights and cache.

    Smaller storage saves memory, and changes the texts slightly. Decoding is faster with it on accelerators, and slower
    on CPUs, which convert the weights in every step.
    """

    slots: int = setting(8, "requests decoded at once, rounded up to a multiple of the mesh's batch shards")
    burst: int = setting(
        8, "tokens per row decoded in one dispatch; requests join and text is shown between dispatches"
    )
    weights: Storage = setting("compute", "storage of weight matrices: compute dtype, bfloat16 or int8")
    cache: Storage = setting("compute", "storage of keys and values, likewise")

    def __post_init__(self) -> None:
        require(self.slots > 0, "EngineConfig.slots", self.slots, "a positive integer")
        require(self.burst > 0, "EngineConfig.burst", self.burst, "a positive integer")
        for name in ("weights", "cache"):
            held = getattr(self, name)
            require(held in STORAGES, f"EngineConfig.{name}", held, f"one of {', '.join(STORAGES)}")
