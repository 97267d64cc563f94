"""`baichuan-jax serve CONFIG`: the model of a run behind an endpoint that OpenAI's clients know."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from baichuan_jax.chat.config import AUTO
from baichuan_jax.cli.progress import console, terminal_progress
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.extras import install_extra
from baichuan_jax.recipe.run import Run

if TYPE_CHECKING:
    from baichuan_jax.chat.encode import ChatTemplate
    from baichuan_jax.generate.engine import WarmUp


def serve(loaded: Loaded, args: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM. Raise UserError if it cannot, and Interrupted at the end."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise UserError(f"serve needs starlette and uvicorn: {install_extra('serve')}") from None
    from baichuan_jax.generate.serve.server import bound, serve_until_stopped  # brings jax in
    from baichuan_jax.generate.serve.service import Service

    run = Run(loaded.config, terminal_progress())
    cfg = run.config.serve
    run.pipeline.check_model()
    chat = _chat_template(run)
    with bound(cfg) as listener:
        engine = run.load_engine()
        if cfg.warm_up:
            with run.progress.status(f"compiling, for {cfg.warm_up:g} seconds at most"):
                warm_up = engine.warm_up(cfg.warm_up)
            console.print(_compiled(warm_up), soft_wrap=True)
        name = cfg.name or run.workdir.resolve().name
        service = Service(cfg, name, run.config.sample, engine, run.tokenizer, chat)
        ready = lambda place: console.print(f"serving {service.name} at {place}/v1; Ctrl-C stops", soft_wrap=True)
        serve_until_stopped(service, listener, ready)


def _chat_template(run: Run) -> ChatTemplate | UserError:
    """Return the chat template, or why there is none, which then answers requests for chat; completions need none.

    Raise UserError if the config names a template that cannot be used.
    """
    try:
        _ = run.chat_template.end_ids  # which renders a conversation
        return run.chat_template
    except UserError as error:
        if run.config.chat.template != AUTO:
            raise
        return error


def _compiled(warm_up: WarmUp) -> str:
    """Return what has been compiled, and what is still to be waited for."""
    told = f"compiled {warm_up.compiled} of {warm_up.programs} programs in {warm_up.seconds:.1f} s"
    if warm_up.compiled == warm_up.programs:
        return told
    each = warm_up.seconds / max(1, warm_up.compiled)
    return f"{told}; a request that needs another waits for it, about {each:.1g} s (ServeConfig.warm_up)"
