"""What the processes of a run must have alike: settings, inputs, code and libraries."""

from __future__ import annotations

from collections.abc import Iterable

from baichuan_jax.config.literal import gin_text
from baichuan_jax.core.files import digest
from baichuan_jax.core.revision import source_digest
from baichuan_jax.core.stage import versions
from baichuan_jax.recipe.pipeline import Pipeline
from baichuan_jax.recipe.table import needs_of

# Hosts may mount the same storage at different places; whether it is the same is found out by a file in it.
MAY_DIFFER = "RunConfig.workdir"


def facts(pipeline: Pipeline, names: Iterable[str]) -> dict[str, str]:
    """Return {name: value} of what these stages are made of, as it is for this process."""
    pairs = (line.partition(" = ") for line in gin_text(pipeline.config).splitlines())
    found = {name: value for name, _, value in pairs if name != MAY_DIFFER}
    for need in dict.fromkeys(need for name in names for need in needs_of(name, pipeline.config) if need not in names):
        found[f"the input, stage {need!r},"] = pipeline.alone(need).identity_there() or "absent"
    index = pipeline.place("tokens") / "index.json"
    found["the index of the token shards"] = digest(index.read_text(encoding="utf-8")) if index.exists() else "absent"
    found["the code of baichuan_jax"] = source_digest()
    return found | {f"the version of {name}": number for name, number in versions().items()}
