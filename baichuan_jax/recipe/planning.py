"""Plan the training of a run on machines that are not here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baichuan_jax.recipe.run_config import RunConfig

if TYPE_CHECKING:
    from baichuan_jax.plan.train_plan import Plan, Settings


def plan_training(config: RunConfig, target: str, rows: int = 1, length: int | None = None) -> Plan:
    """Compile the train step for a target, such as "v5p:4x4x4"; return its memory and time.

    rows: sequences of a device at once. length: tokens of a sequence; default: DecoderConfig.context. Raise UserError
    if the target is unknown, its compiler is not installed, or the mesh does not fit.

        plan = plan_training(load_config("model/baichuan_7b"), "v5p:4x4x4", rows=2)
        plan.fits, plan.step, plan.tokens_per_second
    """
    from baichuan_jax.parallel import targets
    from baichuan_jax.plan.train_plan import plan

    return plan(plan_settings(config), targets.find(target), rows, length or config.model.context)


def plan_settings(config: RunConfig) -> Settings:
    """Return what of a config shapes its train step."""
    from baichuan_jax.plan.train_plan import Settings

    return Settings(config.model, config.train, config.optim, config.mesh, config.rules)
