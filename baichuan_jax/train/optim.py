"""AdamW as in the recipe: warm-up and cosine, decay on matrices only, clipping by global norm."""

from __future__ import annotations

import jax
import optax

from baichuan_jax.model.decoder import Params
from baichuan_jax.train.config import OptimConfig
from baichuan_jax.train.moments import in_bfloat16


def schedule(cfg: OptimConfig, steps: int) -> optax.Schedule:
    """Return the learning rate of step 0, 1, ...: a linear warm-up to the peak, then a cosine to the last step.

    The first step already learns: step s of the warm-up has rate peak * (s + 1) / warmup_steps. One step has the peak,
    the last of the warm-up; step `steps` - 1 has final_lr_ratio of it, unless it is the only one.
    """
    cfg.check_steps(steps)
    peak_step = max(1, cfg.warmup_steps) - 1
    cosine = optax.cosine_decay_schedule(cfg.peak_lr, max(1, steps - 1 - peak_step), alpha=cfg.final_lr_ratio)
    if peak_step == 0:
        return cosine
    warmup = optax.linear_schedule(cfg.peak_lr / cfg.warmup_steps, cfg.peak_lr, peak_step)
    return optax.join_schedules([warmup, cosine], [peak_step])


def decayed(axes: Params) -> Params:
    """Return True for every parameter that weight decay applies to: those that multiply, and not the norms."""
    return jax.tree.map(lambda names: "norm" not in names, axes, is_leaf=lambda node: isinstance(node, tuple))


def make_optimizer(cfg: OptimConfig, steps: int, axes: Params, seed: int = 0) -> optax.GradientTransformation:
    """Return the whole update rule; `axes` are the parameters' logical axes. seed: of what is rounded at random."""
    adam = optax.scale_by_adam(cfg.b1, cfg.b2, cfg.eps)
    if cfg.moments != "float32":
        adam = in_bfloat16(adam, None if cfg.moments == "bfloat16_nearest" else seed)
    adamw = optax.chain(
        adam,
        optax.add_decayed_weights(cfg.weight_decay, decayed(axes)),
        optax.scale_by_learning_rate(schedule(cfg, steps)),
    )
    return optax.chain(optax.clip_by_global_norm(cfg.clip), adamw)
