"""Observers of tuning: its conversations, and its program."""

from pathlib import Path

import jax

from baichuan_jax.core.files import digest
from baichuan_jax.model.lora import init_adapters
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.trained import make_layout
from baichuan_jax.train.adapt import adapt
from baichuan_jax.train.input import abstract_batch
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.state import ShardedState, abstract_params
from baichuan_jax.train.step import make_execution, make_step
from baichuan_jax.tune.batches import SampleBatches
from baichuan_jax.tune.prepare import prepare
from tests.chat.spelling import talk
from tests.settings.base import on_one_device
from tests.tune.making import template, write_lines

LENGTH = 160


def write_chats(directory: Path) -> None:
    """Write chats.jsonl, in alpaca's fields and in others, and talks.jsonl, one of them too long and one with a bot."""
    asked = [{"instruction": f"{n}+1?", "question": f"{n}+2?", "output": f"{n + 1}"} for n in range(10)]
    write_lines(directory / "chats.jsonl", asked)
    talks = [{"messages": talk(f"{n}?", f"{n}", "and?", "no")} for n in range(28)]
    long = {"messages": talk("a" * 140, "b", "c", "d")}
    bot = {"messages": [{"role": "user", "content": "a"}, {"role": "bot", "content": "b"}]}
    write_lines(directory / "talks.jsonl", [*talks, long, bot])


def conversations(config: RunConfig, scratch: Path) -> tuple:
    """Return the samples, what became of the records, and the first batches."""
    write_chats(Path.cwd())
    cfg = config.instruction
    found = prepare(cfg, template(), LENGTH)
    batches = SampleBatches(found.samples, 4, LENGTH, 0, packing=cfg.packing, weights=cfg.weights)
    samples = [digest(repr(array.tobytes())) for array in (found.samples.ids, found.samples.held_out)]
    tallies = {name: tally.as_record() for name, tally in found.tallies.items()}
    return samples, tallies, [digest(repr([array.tobytes() for array in batches[step]])) for step in range(3)]


def split_tuning(config: RunConfig, scratch: Path) -> tuple:
    """Return the settings of the loop, the step as it is lowered for eight devices, and fresh adapters."""
    train_cfg, optim_cfg, lora = config.tune.train(config.train, "base"), config.tune.optim(), config.lora
    layout = make_layout(config)
    exe, params = make_execution(train_cfg, config.model, layout), abstract_params(config.model, layout)
    adaptation = adapt(lora, config.model, params, exe.dtype)
    optimizer = make_optimizer(optim_cfg, train_cfg.steps, adaptation.axes)
    sharded = ShardedState(config.model, optimizer, layout, adaptation)
    step = make_step(train_cfg, config.model, optimizer, sharded, exe)
    taken = abstract_batch(train_cfg.batch, train_cfg.length, packing=True)
    adapters = init_adapters(lora, config.model, jax.random.key(train_cfg.seed))
    lowered = step.lower(sharded.abstract, taken, adaptation.frozen).as_text()
    return repr(train_cfg), digest(lowered), digest(repr(jax.device_get(jax.tree.leaves(adapters))))


tuning = on_one_device(split_tuning)
