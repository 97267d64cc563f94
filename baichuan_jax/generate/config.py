"""Settings of sampling."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require


@dataclass(frozen=True)
class SampleConfig:
    """prompts: texts to continue. max_tokens: longest continuation. temperature: 0 is greedy. seed: of the draws.

    top_p: the draw is among the most probable tokens that together reach this probability (nucleus sampling,
    Holtzman et al., arXiv 1904.09751).
    """

    prompts: tuple[str, ...] = ()
    max_tokens: int = 128
    temperature: float = 0.8
    top_p: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.max_tokens > 0, "SampleConfig.max_tokens", self.max_tokens, "a positive integer")
        require(self.temperature >= 0, "SampleConfig.temperature", self.temperature, "0 (greedy) or more")
        require(0 < self.top_p <= 1, "SampleConfig.top_p", self.top_p, "a probability in (0, 1]")
