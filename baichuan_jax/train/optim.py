"""AdamW as in the recipe, or Muon: a schedule of the rate, decay on matrices only, clipping by global norm."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from baichuan_jax.model.decoder import Params
from baichuan_jax.train.config import OptimConfig
from baichuan_jax.train.moments import in_bfloat16
from baichuan_jax.train.muon import muon_for_matrices


def schedule(cfg: OptimConfig, steps: int) -> optax.Schedule:
    """Return the learning rate of step 0, 1, ...: a linear warm-up to the peak, then `cfg.schedule` to the last step.

    The first step already learns: step s of the warm-up has rate peak * (s + 1) / warmup_steps. The last step of the
    warm-up has the peak. Step `steps` - 1 has final_lr_ratio of it, unless it is the only one or the rate is constant.
    """
    cfg.check_steps(steps)
    peak_step = max(1, cfg.warmup_steps) - 1
    after = _after_warmup(cfg, max(1, steps - 1 - peak_step), cfg.decay_steps(steps))
    if peak_step == 0:
        return after
    warmup = optax.linear_schedule(cfg.peak_lr / cfg.warmup_steps, cfg.peak_lr, peak_step)
    return optax.join_schedules([warmup, after], [peak_step])


def _after_warmup(cfg: OptimConfig, steps: int, decay_steps: int) -> optax.Schedule:
    """Return the rate of the steps from the peak, 0, to the last, `steps`."""
    final = cfg.peak_lr * cfg.final_lr_ratio
    match cfg.schedule:
        case "cosine":
            return optax.cosine_decay_schedule(cfg.peak_lr, steps, alpha=cfg.final_lr_ratio)
        case "linear":
            return optax.linear_schedule(cfg.peak_lr, final, steps)
        case "constant":
            return optax.constant_schedule(cfg.peak_lr)
        case "wsd":
            done = lambda step: jnp.clip((step - (steps - decay_steps)) / decay_steps, 0.0, 1.0)
            return lambda step: cfg.peak_lr + (final - cfg.peak_lr) * jnp.sqrt(done(step))


def decayed(axes: Params) -> Params:
    """Return True for every parameter that weight decay applies to: those that multiply, and not the norms."""
    return jax.tree.map(lambda names: "norm" not in names, axes, is_leaf=lambda node: isinstance(node, tuple))


def make_optimizer(cfg: OptimConfig, steps: int, axes: Params, seed: int = 0) -> optax.GradientTransformation:
    """Return the whole update rule; `axes` are the parameters' logical axes. seed: of what is rounded at random."""
    direction = optax.scale_by_adam(cfg.b1, cfg.b2, cfg.eps)
    if cfg.moments != "float32":
        direction = in_bfloat16(direction, None if cfg.moments == "bfloat16_nearest" else seed)
    if cfg.optimizer == "muon":
        direction = muon_for_matrices(axes, direction)
    update = optax.chain(
        direction,
        optax.add_decayed_weights(cfg.weight_decay, decayed(axes)),
        optax.scale_by_learning_rate(schedule(cfg, steps)),
    )
    return optax.chain(optax.clip_by_global_norm(cfg.clip), update)
