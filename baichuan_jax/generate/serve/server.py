"""The HTTP server around a service; it stops when its worker does."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import uvicorn

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.interrupt import Interrupted, stop_on_signal
from baichuan_jax.generate.serve.app import make_app
from baichuan_jax.generate.serve.config import ServeConfig
from baichuan_jax.generate.serve.service import Service


def bound(cfg: ServeConfig) -> socket.socket:
    """Return a socket that is bound to the address and does not listen yet. Raise UserError if it cannot be bound."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            cfg.host, cfg.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        hint = f"; another port: --set ServeConfig.port={cfg.port + 1}" if error.errno == errno.EADDRINUSE else ""
        said = f"cannot listen there ({error.strerror}){hint}"
        raise UserError(f"ServeConfig.host, .port = {cfg.host!r}, {cfg.port}: {said}") from error
    return listener


def serve_until_stopped(service: Service, listener: socket.socket, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; `ready` is called with the address once requests are accepted.

    Raise Interrupted at the end, or the exception of the worker if it failed.
    """
    cfg = service.cfg

    class Server(uvicorn.Server):
        """A server that stops with the worker, and stops the worker."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            host, port = listener.getsockname()[:2]
            ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

        def capture_signals(self) -> AbstractContextManager[None]:
            return nullcontext()  # ours tells `on_tick`

        async def on_tick(self, counter: int) -> bool:
            return await super().on_tick(counter) or stop.requested or not service.worker.alive

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
        timeout_graceful_shutdown=int(cfg.grace) + 5,  # so that a client that does not read cannot block the shutdown
    )
    service.worker.start()
    with stop_on_signal("the requests that are being answered") as stop:
        Server(options).run([listener])
        if service.worker.failure:
            raise service.worker.failure
        if stop.requested:
            raise Interrupted("stopped serving")
