"""The memory of tuning that `plan` predicts, from programs compiled here."""

from dataclasses import replace

import jax
import pytest

from baichuan_jax.model.config import LoraConfig
from baichuan_jax.model.decoder import parameter_count
from baichuan_jax.model.lora import adapter_count
from baichuan_jax.parallel.targets import CHIPS, Target
from baichuan_jax.plan.train_plan import plan
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.planning import plan_settings

ROWS = 1


def planned(config, lora):
    """Return the plan of tuning on one device of this machine, at a data sheet that has room for it."""
    here = Target("here", CHIPS["h200"]._replace(platform="cpu"), jax.devices()[:1], 1)
    return plan(plan_settings(replace(config, lora=lora), tune=True), here, ROWS, min(512, config.model.context))


@pytest.mark.parametrize(("preset", "share"), [("debug", None), pytest.param("1b", 0.35, marks=pytest.mark.slow)])
def test_lora_takes_less_memory_than_full_tuning(preset, share):
    config = load_config(f"model/{preset}", {"DecoderConfig.remat": "block", "TuneConfig.batch": ROWS})
    full, lora = planned(config, LoraConfig()), planned(config, LoraConfig(rank=8))
    parameters = parameter_count(config.model)
    adapters = adapter_count(LoraConfig(rank=8), config.model)
    assert full.arguments == pytest.approx(12 * parameters, rel=0.02), "parameters and both moments"
    assert lora.arguments == pytest.approx(4 * parameters + 12 * adapters, rel=0.02), "adapters and their moments"
    print(f"LoRA {lora.total / 2**30:.2f} GiB, full {full.total / 2**30:.2f} GiB: {lora.total / full.total:.1%}")
    assert lora.total < (share or 1) * full.total
    assert lora.step < full.step
