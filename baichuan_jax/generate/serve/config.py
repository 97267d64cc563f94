"""Settings of the server."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting


@dataclass(frozen=True)
class ServeConfig:
    """Where completions are served, and how much at once."""

    host: str = setting("127.0.0.1", "address to listen on; loopback by default, since there are no passwords")
    port: int = setting(8000, "port to listen on; 0 takes a free one")
    max_body: int = setting(2**20, "most bytes of a request")
    max_open: int = setting(512, "most continuations under way or waiting; a request beyond is refused")
    grace: float = setting(5.0, "seconds that continuations under way have to finish when the server is stopped")
    warm_up: float = setting(
        2.0,
        "seconds spent on compiling before the first request is taken, programs for short texts first; others are "
        "compiled when a request needs them, which then waits",
    )
    name: str = setting("", "name of the model, which clients ask for; '' is the name of the run's folder")

    def __post_init__(self) -> None:
        require(bool(self.host), "ServeConfig.host", self.host, "a name or an address of this machine")
        require(0 <= self.port < 2**16, "ServeConfig.port", self.port, "a port, 0 (any free one) to 65535")
        require(self.max_body > 0, "ServeConfig.max_body", self.max_body, "a positive integer")
        require(self.max_open > 0, "ServeConfig.max_open", self.max_open, "a positive integer")
        require(self.warm_up >= 0, "ServeConfig.warm_up", self.warm_up, "0 or more seconds")
        require(self.grace >= 0, "ServeConfig.grace", self.grace, "0 or more seconds")
