"""`baichuan-jax serve CONFIG`: the model of a run behind an endpoint that OpenAI's clients know."""

from __future__ import annotations

import argparse
import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_jax.cli.progress import console, terminal_progress
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.interrupt import Interrupted, stop_on_signal
from baichuan_jax.generate.serve.config import ServeConfig
from baichuan_jax.recipe.run import Run

if TYPE_CHECKING:
    from baichuan_jax.generate.engine import WarmUp


def serve(loaded: Loaded, args: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM. Raise UserError if it cannot, and Interrupted at the end."""
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError:
        raise UserError("serve needs starlette and uvicorn: pip install -e '.[serve]'") from None
    from baichuan_jax.generate.serve.app import make_app
    from baichuan_jax.generate.serve.service import Service

    run = Run(loaded.config, terminal_progress())
    config, cfg = run.config, run.config.serve
    run.pipeline.check_model()
    with bound(cfg) as listener:
        engine = run.load_engine()
        if cfg.warm_up:
            with run.progress.status(f"compiling, for {cfg.warm_up:g} seconds at most"):
                warm_up = engine.warm_up(cfg.warm_up)
            console.print(_compiled(warm_up), soft_wrap=True)
        name = cfg.name or Path(config.workdir).resolve().name
        service = Service(cfg, name, config.sample, engine, run.tokenizer)

        class Server(uvicorn.Server):
            """One that ends with the worker, and the worker with it."""

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                host, port = listener.getsockname()[:2]
                address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                console.print(f"serving {service.name} at http://{address}/v1; Ctrl-C stops", soft_wrap=True)

            async def on_tick(self, counter: int) -> bool:
                return await super().on_tick(counter) or not service.worker.alive

            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                service.stopping = True
                service.worker.stop(cfg.grace)
                await super().shutdown(sockets)
                service.worker.stop(0)
                await asyncio.to_thread(service.worker.join)

        options = uvicorn.Config(
            make_app(service),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_level="error",
            timeout_graceful_shutdown=int(cfg.grace) + 5,  # a client that does not read holds nobody up
        )
        service.worker.start()
        with stop_on_signal() as stop:  # uvicorn hands the signal on when it has ended
            Server(options).run([listener])
    if service.worker.failure:
        raise service.worker.failure
    if stop.requested:
        raise Interrupted("stopped serving")


def _compiled(warm_up: WarmUp) -> str:
    """Return what has been compiled, and what is still to be waited for."""
    told = f"compiled {warm_up.compiled} of {warm_up.programs} programs in {warm_up.seconds:.1f} s"
    if warm_up.compiled == warm_up.programs:
        return told
    each = warm_up.seconds / max(1, warm_up.compiled)
    return f"{told}; a request that needs another waits for it, about {each:.1g} s (ServeConfig.warm_up)"


def bound(cfg: ServeConfig) -> socket.socket:
    """Return a socket that has the address to itself, and does not listen yet."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            cfg.host, cfg.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise UserError(
            f"ServeConfig.host, .port = {cfg.host!r}, {cfg.port}: cannot be served at ({error.strerror})"
        ) from error
    return listener
