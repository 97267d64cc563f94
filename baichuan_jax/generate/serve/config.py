"""Settings of the server."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require


@dataclass(frozen=True)
class ServeConfig:
    """Where completions are served, and how much at once.

    host: loopback by default: there are no passwords. port: 0 takes a free one. max_body: bytes of a request.
    max_open: continuations under way or waiting; a request beyond is refused. grace: seconds that those under way have
    to finish when the server is stopped. warm_up: seconds spent on compiling before the first request is taken,
    programs for short texts first; the others are compiled when a request needs them, which then waits. name: of the
    model, which clients ask for; empty is that of the run's folder.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_body: int = 2**20
    max_open: int = 512
    grace: float = 5.0
    warm_up: float = 2.0
    name: str = ""

    def __post_init__(self) -> None:
        require(bool(self.host), "ServeConfig.host", self.host, "a name or an address of this machine")
        require(0 <= self.port < 2**16, "ServeConfig.port", self.port, "a port, 0 (any free one) to 65535")
        require(self.max_body > 0, "ServeConfig.max_body", self.max_body, "a positive integer")
        require(self.max_open > 0, "ServeConfig.max_open", self.max_open, "a positive integer")
        require(self.warm_up >= 0, "ServeConfig.warm_up", self.warm_up, "0 or more seconds")
        require(self.grace >= 0, "ServeConfig.grace", self.grace, "0 or more seconds")
