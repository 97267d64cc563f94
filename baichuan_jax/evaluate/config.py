"""Settings of the held-out evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting


@dataclass(frozen=True)
class EvaluateConfig:
    """Scoring of held-out text."""

    length: int = setting(256, "tokens per window")
    batch: int = setting(16, "windows scored at once")
    windows: int = setting(0, "windows per domain; 0 is all of them")

    def __post_init__(self) -> None:
        require(self.length > 0, "EvaluateConfig.length", self.length, "a positive integer")
        require(self.batch > 0, "EvaluateConfig.batch", self.batch, "a positive integer")
        require(self.windows >= 0, "EvaluateConfig.windows", self.windows, "0 (all) or more")
