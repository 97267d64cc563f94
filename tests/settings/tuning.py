"""An observer of the conversations that a config tunes on."""

from pathlib import Path

from baichuan_jax.core.files import digest
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.tune.batches import SampleBatches
from baichuan_jax.tune.prepare import prepare
from tests.chat.spelling import talk
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
