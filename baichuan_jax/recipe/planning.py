"""Plan the training of a run on machines that are not here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baichuan_jax.recipe.run_config import RunConfig

if TYPE_CHECKING:
    from baichuan_jax.plan.train_plan import Plan, Settings


def plan_training(config: RunConfig, target: str, rows: int = 1, length: int | None = None, tune: bool = False) -> Plan:
    """Compile the train step for a target, such as "v5p:4x4x4"; return its memory and time.

    rows: sequences of a device at once. length: tokens of a sequence; default: DecoderConfig.context. tune: plan the
    step of tuning, of all parameters or of adapters (LoraConfig.rank), by default at TuneConfig.length. Raise UserError
    if the target is unknown, its compiler is not installed, or the mesh does not fit.

        plan = plan_training(load_config("model/baichuan_7b"), "v5p:4x4x4", rows=2)
        plan.fits, plan.step, plan.tokens_per_second
    """
    from baichuan_jax.parallel import targets
    from baichuan_jax.plan.train_plan import plan

    return plan(plan_settings(config, tune), targets.find(target), rows, length or plan_length(config, tune))


def plan_length(config: RunConfig, tune: bool) -> int:
    """Return the tokens of a sequence if nobody says how many."""
    return config.tune.length if tune else config.model.context


def plan_settings(config: RunConfig, tune: bool) -> Settings:
    """Return what of a config shapes its train step, or the step of its tuning."""
    from baichuan_jax.plan.train_plan import Settings

    if tune:
        train_cfg, optim_cfg = config.tune.train(config.train, start=""), config.tune.optim()
        return Settings(config.model, train_cfg, optim_cfg, config.mesh, config.rules, config.lora, packing=True)
    return Settings(config.model, config.train, config.optim, config.mesh, config.rules)
