"""Settings of training, of the optimizer and of the data mixture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from baichuan_jax.core.errors import require


@dataclass(frozen=True)
class TrainConfig:
    """How long and on what shapes to train.

    steps: optimizer steps; 0 takes the weights of `start` as they are. start: a directory of checkpoints, such as
    `convert import` writes, whose newest parameters training starts from; without one they are drawn. batch: sequences
    per step, over all devices and hosts. length: tokens per sequence. accumulate: microbatches a step is computed in.
    seed: of the parameters and of the data order.
    compute_dtype: of the forward and backward pass; parameters stay float32. "auto" is bfloat16 on an accelerator
    and float32 on CPU, where bfloat16 is emulated. log_every, eval_every, checkpoint_every: in steps.
    eval_windows: held-out sequences per domain in each evaluation during training. keep: checkpoints kept.
    max_z: weight of the squared largest logit in what is minimised, which keeps logits small; 2e-4 in Baichuan 2 (arXiv
    2309.10305, section 2.4). The loss that is reported is without it. logits_mb: MiB of float32 logits that a device
    holds at once; the loss is computed in chunks of as many tokens. inner_mb: likewise of one array of the inner width
    of a feed-forward layer, which is then computed in chunks, in the backward pass again; 0 computes it whole.
    """

    steps: int = 1000
    start: str = ""
    batch: int = 16
    length: int = 256
    accumulate: int = 1
    seed: int = 0
    compute_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    log_every: int = 10
    eval_every: int = 100
    eval_windows: int = 32
    checkpoint_every: int = 100
    keep: int = 2
    max_z: float = 0.0
    logits_mb: int = 256
    inner_mb: int = 0

    def __post_init__(self) -> None:
        steps = "a positive integer" + (", or 0" if self.start else ", or 0 with TrainConfig.start")
        require(self.steps >= (0 if self.start else 1), "TrainConfig.steps", self.steps, steps)
        for name in ("batch", "length", "accumulate", "log_every", "eval_every", "eval_windows", "keep", "logits_mb"):
            require(getattr(self, name) > 0, f"TrainConfig.{name}", getattr(self, name), "a positive integer")
        require(self.checkpoint_every > 0, "TrainConfig.checkpoint_every", self.checkpoint_every, "a positive integer")
        for name in ("max_z", "inner_mb"):
            require(getattr(self, name) >= 0, f"TrainConfig.{name}", getattr(self, name), "0 (off) or more")
        require(
            self.batch % self.accumulate == 0,
            "TrainConfig.accumulate",
            self.accumulate,
            f"a divisor of TrainConfig.batch = {self.batch}",
        )


@dataclass(frozen=True)
class OptimConfig:
    """AdamW with the recipe's settings (train.py and config/deepspeed.json of baichuan-inc/Baichuan-7B).

    peak_lr: the highest learning rate, after the warm-up. warmup_steps: from 0 to there in equal parts; at 0 and 1 the
    first step has it. final_lr_ratio: of the peak, to which a cosine falls at the last step. b1, b2: of Adam's moments:
    the share that each step keeps of the mean gradient, and of the mean square. eps: added to the root of the latter.
    weight_decay: on weight matrices and the token table, not on norms. clip: largest global gradient norm. moments: how
    Adam's are kept; in bfloat16 they take half the memory, and are rounded at random so that their means stay right
    ("bfloat16_nearest" does not do so, and is there to compare with).
    """

    peak_lr: float = 3e-4
    warmup_steps: int = 100
    final_lr_ratio: float = 0.1
    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0
    moments: Literal["float32", "bfloat16", "bfloat16_nearest"] = "float32"

    def __post_init__(self) -> None:
        for name in ("peak_lr", "eps", "clip"):
            require(getattr(self, name) > 0, f"OptimConfig.{name}", getattr(self, name), "a positive number")
        for name in ("b1", "b2"):
            require(0 <= getattr(self, name) < 1, f"OptimConfig.{name}", getattr(self, name), "a number in [0, 1)")
        require(0 <= self.final_lr_ratio <= 1, "OptimConfig.final_lr_ratio", self.final_lr_ratio, "a ratio in [0, 1]")
        require(self.weight_decay >= 0, "OptimConfig.weight_decay", self.weight_decay, "0 or more")
        require(self.warmup_steps >= 0, "OptimConfig.warmup_steps", self.warmup_steps, "0 or more")

    def check_steps(self, steps: int) -> None:
        """Raise UserError unless the warm-up ends before training of `steps` does."""
        fewer = f"less than TrainConfig.steps = {steps}"
        require(self.warmup_steps < steps or steps == 0, "OptimConfig.warmup_steps", self.warmup_steps, fewer)


@dataclass(frozen=True)
class ProfileConfig:
    """Steps to trace with JAX's profiler, for xprof and TensorBoard; a run may go on with others.

    first: the first step that is traced; 0 traces none. steps: how many are.
    """

    first: int = 0
    steps: int = 3

    def __post_init__(self) -> None:
        require(self.first >= 0, "ProfileConfig.first", self.first, "the number of a step, or 0 for none")
        require(self.steps > 0, "ProfileConfig.steps", self.steps, "a positive integer")


@dataclass(frozen=True)
class MixConfig:
    """Share of each domain in the training sequences.

    weights: {domain: weight}, in any unit; empty weighs every domain by its tokens.
    """

    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for domain, weight in self.weights.items():
            require(weight >= 0, f"MixConfig.weights[{domain!r}]", weight, "0 or more")
