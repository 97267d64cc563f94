"""The whole Baichuan-7B recipe in JAX, from raw bilingual text to a trained, evaluated decoder.

From Python:

    import baichuan_jax as bj

    run = bj.Run(bj.load_config("quickstart"))
    run.build("train")

`help(baichuan_jax.Run)` has more. Importing this package loads no jax.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baichuan_jax.core.errors import UserError
    from baichuan_jax.recipe.hugging_face import import_checkpoint
    from baichuan_jax.recipe.load import load_config
    from baichuan_jax.recipe.planning import plan_training
    from baichuan_jax.recipe.progress import PrintProgress, Progress
    from baichuan_jax.recipe.run import Run
    from baichuan_jax.recipe.run_config import RunConfig

__version__ = "0.1.0"
__all__ = [
    "PrintProgress",
    "Progress",
    "Run",
    "RunConfig",
    "UserError",
    "import_checkpoint",
    "load_config",
    "plan_training",
]

_PLACES = {
    "PrintProgress": "recipe.progress",
    "Progress": "recipe.progress",
    "Run": "recipe.run",
    "RunConfig": "recipe.run_config",
    "UserError": "core.errors",
    "import_checkpoint": "recipe.hugging_face",
    "load_config": "recipe.load",
    "plan_training": "recipe.planning",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: processes that only clean text never load the rest."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return [*globals(), *_PLACES]
