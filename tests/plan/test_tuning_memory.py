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

ROWS, LENGTH = 1, 512


def planned(config, lora):
    """Return the plan of tuning on one device of this machine, at a data sheet that has room for it."""
    here = Target("here", CHIPS["h200"]._replace(platform="cpu"), jax.devices()[:1], 1)
    return plan(plan_settings(replace(config, lora=lora), tune=True), here, ROWS, LENGTH)


@pytest.mark.slow
def test_lora_takes_a_third_of_the_memory_of_full_tuning():
    config = load_config("model/1b", {"DecoderConfig.remat": "block", "TuneConfig.batch": ROWS})
    full, lora = planned(config, LoraConfig()), planned(config, LoraConfig(rank=8))
    parameters, adapters = parameter_count(config.model), adapter_count(LoraConfig(rank=8), config.model)
    assert full.arguments == pytest.approx(12 * parameters, rel=0.01), "parameters and both moments"
    assert lora.arguments == pytest.approx(4 * parameters + 12 * adapters, rel=0.01), "adapters and their moments"
    needed, most = (each.arguments + each.temporaries for each in (lora, full))
    print(f"LoRA {needed / 2**30:.2f} GiB, full {most / 2**30:.2f} GiB: {needed / most:.1%}")
    assert needed <= 0.35 * most
    assert lora.total <= 0.35 * full.total
    assert lora.step < full.step
