"""Settings of the held-out evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require


@dataclass(frozen=True)
class EvaluateConfig:
    """length: tokens per window. batch: windows scored at once. windows: of each domain; 0 is all of them."""

    length: int = 256
    batch: int = 16
    windows: int = 0

    def __post_init__(self) -> None:
        require(self.length > 0, "EvaluateConfig.length", self.length, "a positive integer")
        require(self.batch > 0, "EvaluateConfig.batch", self.batch, "a positive integer")
        require(self.windows >= 0, "EvaluateConfig.windows", self.windows, "0 (all) or more")
