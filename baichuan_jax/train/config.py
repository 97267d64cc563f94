"""Settings of training, of the optimizer and of the data mixture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting

LOCAL = "a directory on a local or shared file system: object storage has no rename that is whole or absent"
CHECKPOINTS = "checkpoints"  # the folder of a training that has them, each in one named by its step
ITEM = "metadata"  # the file that a JSON item of a checkpoint is in
BATCH_HASHES = "batches.txt"  # a line for each step of a training: its number, and the hash of its batch in hexadecimal


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps of the finished checkpoints in a folder of them, in order, readable or not."""
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())


def no_checkpoint(folder: Path) -> str:
    """Return the message that a folder has no finished checkpoint, with the verb that makes one."""
    verb = "tune" if folder.parent.name == "tune" else "train"
    return f"no finished checkpoint in {folder}; {verb} first: baichuan-jax {verb} CONFIG"


def aside_of(folder: Path) -> Path:
    """Return where checkpoints go that cannot be used: beside the training."""
    return folder.parent.with_name(f"{folder.parent.name}-aside")


@dataclass(frozen=True)
class TrainConfig:
    """How long and on what shapes to train."""

    steps: int = setting(1000, "optimizer steps; 0 keeps the weights of `start`")
    start: str = setting(
        "",
        "directory of checkpoints, such as `convert import` writes, from whose newest parameters training starts; '' "
        "initialises them at random",
    )
    batch: int = setting(16, "sequences per step, over all devices and hosts")
    length: int = setting(256, "tokens per sequence")
    accumulate: int = setting(1, "microbatches a step is computed in")
    seed: int = setting(0, "random seed of the initial parameters, of the data order, and of stochastic rounding")
    compute_dtype: Literal["auto", "float32", "bfloat16"] = setting(
        "auto",
        "dtype of the forward and backward pass, with parameters in float32; 'auto' is bfloat16 on an accelerator, and "
        "to train on one CPU device that has avx512_bf16, and otherwise float32",
    )
    log_every: int = setting(10, "steps between two lines of the log")
    eval_every: int = setting(100, "steps between two evaluations on held-out text")
    eval_windows: int = setting(32, "held-out sequences per domain in each evaluation")
    checkpoint_every: int = setting(100, "steps between two checkpoints")
    keep: int = setting(2, "how many of the newest checkpoints are kept")
    max_z: float = setting(
        0.0,
        "weight of the squared largest logit in the minimised loss, which keeps logits small; Baichuan 2 has 2e-4 "
        "(arXiv 2309.10305, section 2.4); the reported loss leaves it out",
    )
    logits_mb: int = setting(
        256, "most MiB of float32 logits on a device; the loss is computed in chunks of as many tokens"
    )
    inner_mb: int = setting(
        0,
        "most MiB of an array of the inner width of a feed-forward layer on a device; the layer is computed in chunks, "
        "and again in the backward pass; 0 computes it whole",
    )

    def __post_init__(self) -> None:
        steps = "a positive integer" + (", or 0" if self.start else ", or 0 with TrainConfig.start")
        require(self.steps >= (0 if self.start else 1), "TrainConfig.steps", self.steps, steps)
        for name in ("batch", "length", "accumulate", "log_every", "eval_every", "eval_windows", "keep", "logits_mb"):
            require(getattr(self, name) > 0, f"TrainConfig.{name}", getattr(self, name), "a positive integer")
        require(self.checkpoint_every > 0, "TrainConfig.checkpoint_every", self.checkpoint_every, "a positive integer")
        for name in ("max_z", "inner_mb"):
            require(getattr(self, name) >= 0, f"TrainConfig.{name}", getattr(self, name), "0 (off) or more")
        require("://" not in self.start, "TrainConfig.start", self.start, LOCAL)
        require(
            self.batch % self.accumulate == 0,
            "TrainConfig.accumulate",
            self.accumulate,
            f"a divisor of TrainConfig.batch = {self.batch}",
        )


@dataclass(frozen=True)
class OptimConfig:
    """AdamW with the recipe's settings (train.py and config/deepspeed.json of baichuan-inc/Baichuan-7B)."""

    optimizer: Literal["adamw", "muon"] = setting(
        "adamw",
        "'muon' orthogonalises the momentum of the matrices in the blocks (arXiv 2502.16982) with the same rate and "
        "decay; token table, head and norms keep AdamW",
    )
    peak_lr: float = setting(3e-4, "highest learning rate, after the warm-up")
    warmup_steps: int = setting(100, "steps of a linear warm-up from 0; with 0 and 1 the first step has the peak")
    schedule: Literal["cosine", "linear", "constant", "wsd"] = setting(
        "cosine",
        "how the rate goes from the peak to the last step: a cosine, a line, not at all, or 'wsd' (warm-up, stable, "
        "decay): it stays at the peak until the last `decay_share` of the steps, and falls with 1 - sqrt "
        "(arXiv 2405.18392)",
    )
    final_lr_ratio: float = setting(0.1, "share of the peak that a falling rate has at the last step")
    decay_share: float = setting(0.2, "share of the steps in which the rate of 'wsd' falls")
    b1: float = setting(0.9, "share of Adam's mean gradient that each step keeps")
    b2: float = setting(0.95, "share of Adam's mean squared gradient that each step keeps")
    eps: float = setting(1e-8, "added to the root of the mean squared gradient")
    weight_decay: float = setting(0.1, "decay of weight matrices and the token table; norms have none")
    clip: float = setting(1.0, "largest global gradient norm")
    moments: Literal["float32", "bfloat16", "bfloat16_nearest"] = setting(
        "float32",
        "dtype of Adam's moments; bfloat16 takes half the memory and is rounded stochastically, so that means stay "
        "right; 'bfloat16_nearest' rounds to the nearest, to compare with",
    )

    def __post_init__(self) -> None:
        for name in ("peak_lr", "eps", "clip"):
            require(getattr(self, name) > 0, f"OptimConfig.{name}", getattr(self, name), "a positive number")
        for name in ("b1", "b2"):
            require(0 <= getattr(self, name) < 1, f"OptimConfig.{name}", getattr(self, name), "a number in [0, 1)")
        require(0 <= self.final_lr_ratio <= 1, "OptimConfig.final_lr_ratio", self.final_lr_ratio, "a ratio in [0, 1]")
        require(
            self.optimizer == "adamw" or self.moments == "float32",
            "OptimConfig.moments",
            self.moments,
            f"'float32' with OptimConfig.optimizer = {self.optimizer!r}",
        )
        require(0 < self.decay_share <= 1, "OptimConfig.decay_share", self.decay_share, "a share in (0, 1]")
        require(self.weight_decay >= 0, "OptimConfig.weight_decay", self.weight_decay, "0 or more")
        require(self.warmup_steps >= 0, "OptimConfig.warmup_steps", self.warmup_steps, "0 or more")

    def check_steps(self, steps: int) -> None:
        """Raise UserError unless the warm-up ends before training of `steps` does, or before the decay of 'wsd'."""
        fewer = f"less than TrainConfig.steps = {steps}"
        require(self.warmup_steps < steps or steps == 0, "OptimConfig.warmup_steps", self.warmup_steps, fewer)
        if self.schedule == "wsd":
            stable = steps - self.decay_steps(steps)
            fewer = f"at most {stable}, the step from which the rate of 'wsd' falls"
            require(self.warmup_steps <= stable or steps == 0, "OptimConfig.warmup_steps", self.warmup_steps, fewer)

    def decay_steps(self, steps: int) -> int:
        """Return in how many of the last steps the rate of 'wsd' falls."""
        return max(1, round(self.decay_share * steps))


@dataclass(frozen=True)
class RetentionConfig:
    """Checkpoints that are kept for good, beside the newest TrainConfig.keep; a run may go on with others."""

    every: int = setting(0, "those of steps that it divides; 0: none for that")
    minutes: float = setting(0.0, "the first, and then one in so many minutes; 0: none for that")

    def __post_init__(self) -> None:
        for name in ("every", "minutes"):
            require(getattr(self, name) >= 0, f"RetentionConfig.{name}", getattr(self, name), "0 (off) or more")


@dataclass(frozen=True)
class SpikeConfig:
    """Spikes of the loss and the gradient norm: training goes back, and goes on without the batches that made them."""

    score: float = setting(
        0.0,
        "robust deviations above what was usual that make a spike of a step, such as 6; 0: off, and training ends "
        "where a number is not finite",
    )
    window: int = setting(128, "steps before, of which what is usual is taken")
    rollbacks: int = setting(3, "how often a run goes back, with restarts; at the next spike training ends")

    def __post_init__(self) -> None:
        require(self.score >= 0, "SpikeConfig.score", self.score, "0 (off) or more")
        require(self.window >= 48, "SpikeConfig.window", self.window, "48 steps or more")
        require(self.rollbacks > 0, "SpikeConfig.rollbacks", self.rollbacks, "a positive integer")


@dataclass(frozen=True)
class ProfileConfig:
    """Steps to trace with JAX's profiler, for xprof and TensorBoard; a run may go on with others."""

    first: int = setting(0, "first step that is traced; 0 traces none")
    steps: int = setting(3, "number of steps that are traced")

    def __post_init__(self) -> None:
        require(self.first >= 0, "ProfileConfig.first", self.first, "the number of a step, or 0 for none")
        require(self.steps > 0, "ProfileConfig.steps", self.steps, "a positive integer")


@dataclass(frozen=True)
class WandbConfig:
    """Weights & Biases, which metrics of training, the config and the results may go to as well; needs `[wandb]`."""

    project: str = setting("", "project that training is shown in; '' for none")
    mode: Literal["online", "offline"] = setting(
        "online", "'offline' sends nothing and writes to train/wandb, for `wandb sync`"
    )


@dataclass(frozen=True)
class MixConfig:
    """Share of each domain in the training sequences, and how documents fill them."""

    weights: dict[str, float] = setting(
        {}, "domain name -> its weight, in any unit; empty weighs every domain by its tokens"
    )
    changes: tuple[tuple[int, dict[str, float]], ...] = setting(
        (),
        "(tokens, weights) pairs in rising order: what the weights become after so many tokens of training, at once or "
        "over `ramp` tokens",
    )
    ramp: int = setting(0, "tokens over which each of `changes` moves the shares linearly; 0: at once")
    max_epochs: float = setting(
        0.0, "how often the text of a domain is read at most; its share then goes to the others; 0: no limit"
    )
    packing: bool = setting(
        False,
        "pack whole documents into sequences: positions restart at each, and neither attention nor loss crosses from "
        "one to another; False joins documents and cuts the text anywhere, as the recipe does",
    )

    def __post_init__(self) -> None:
        named = {"weights": self.weights, **{f"changes[{k}]": new for k, (_, new) in enumerate(self.changes)}}
        for name, weights in named.items():
            for domain, weight in weights.items():
                require(weight >= 0, f"MixConfig.{name}[{domain!r}]", weight, "0 or more")
        for k, (tokens, _) in enumerate(self.changes):
            after = self.changes[k - 1][0] + self.ramp if k else 0
            require(tokens > after, f"MixConfig.changes[{k}]", tokens, f"more than {after} tokens")
        for name in ("ramp", "max_epochs"):
            require(getattr(self, name) >= 0, f"MixConfig.{name}", getattr(self, name), "0 (off) or more")
