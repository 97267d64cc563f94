"""Settings of tuning on instructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.train.config import OptimConfig, TrainConfig


@dataclass(frozen=True)
class TuneConfig:
    """How long, on what shapes and at what rate to tune, with AdamW."""

    steps: int = setting(200, "optimizer steps")
    batch: int = setting(16, "sequences per step of tuning, over all devices and hosts")
    length: int = setting(256, "tokens per sequence; longer conversations are cut or dropped")
    accumulate: int = setting(1, "microbatches a step of tuning is computed in")
    seed: int = setting(0, "random seed of the order of the conversations, and of the adapters")
    peak_lr: float = setting(1e-4, "highest learning rate; adapters want about ten times that of full tuning")
    warmup_steps: int = setting(10, "steps of a linear warm-up of the rate")
    schedule: Literal["cosine", "linear", "constant"] = setting(
        "cosine", "how the rate goes from the peak to a tenth of it at the last step, or not at all"
    )
    weight_decay: float = setting(0.0, "decay of what is tuned")
    eval_every: int = setting(50, "steps between two measurements of the held-out response loss")
    checkpoint_every: int = setting(100, "steps between two checkpoints of tuning")

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "length", "accumulate", "eval_every", "checkpoint_every"):
            require(getattr(self, name) > 0, f"TuneConfig.{name}", getattr(self, name), "a positive integer")
        require(self.peak_lr > 0, "TuneConfig.peak_lr", self.peak_lr, "a positive number")
        require(self.weight_decay >= 0, "TuneConfig.weight_decay", self.weight_decay, "0 or more")
        fewer = f"0 or more, and less than TuneConfig.steps = {self.steps}"
        require(0 <= self.warmup_steps < self.steps, "TuneConfig.warmup_steps", self.warmup_steps, fewer)
        require(
            self.batch % self.accumulate == 0,
            "TuneConfig.accumulate",
            self.accumulate,
            f"a divisor of TuneConfig.batch = {self.batch}",
        )

    def train(self, cfg: TrainConfig, start: str) -> TrainConfig:
        """Return the settings of the train loop. start: the checkpoints of the model that is tuned."""
        own = ("steps", "batch", "length", "accumulate", "seed", "eval_every", "checkpoint_every")
        kept = ("compute_dtype", "log_every", "logits_mb", "keep")  # of training, as they shape no result
        return TrainConfig(
            start=start,
            **{name: getattr(self, name) for name in own},
            **{name: getattr(cfg, name) for name in kept},
        )

    def optim(self) -> OptimConfig:
        """Return the settings of the optimizer."""
        own = ("peak_lr", "warmup_steps", "weight_decay", "schedule")
        return OptimConfig(**{name: getattr(self, name) for name in own})
