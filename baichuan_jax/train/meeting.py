"""Where the processes of a run meet between the parts of a save: one that fails tells the others, and none waits."""

from __future__ import annotations

import jax
import orbax.checkpoint as ocp

from baichuan_jax.core.errors import UserError


class FailedElsewhere(UserError):
    """A save has failed in another process. The message is its reason."""


class Meeting:
    """A barrier after each part of a save. Every process calls it as often, or `fail` in place of the next call."""

    def __init__(self) -> None:
        self._alone = jax.process_count() == 1
        self._save = self._part = 0
        if not self._alone:
            self._barrier = ocp.multihost.get_barrier_sync_fn()
            self._client = ocp.multihost.get_jax_distributed_client()

    def begin(self) -> None:
        """Begin the next save, as all processes do."""
        self._save, self._part = self._save + 1, 0

    def __call__(self, *, key: str = "", timeout_ms: int = 600_000) -> None:
        """Wait for the others. Raise FailedElsewhere if one of them has failed.

        key: what orbax calls the part, which is not needed.
        """
        if self._alone:
            return
        name = self._next()
        self._barrier(key=name, timeout_ms=timeout_ms)
        try:
            reason = self._client.key_value_try_get(f"{name} failed")
        except jax.errors.JaxRuntimeError:  # nobody has set it
            return
        raise FailedElsewhere(reason)

    def fail(self, reason: str) -> None:
        """Tell the others, who wait at the next part or will."""
        if self._alone:
            return
        name = self._next()
        self._client.key_value_set(f"{name} failed", f"process {jax.process_index()}: {reason}", allow_overwrite=True)
        self._barrier(key=name, timeout_ms=600_000)

    def _next(self) -> str:
        self._part += 1
        return f"checkpoint {self._save} part {self._part}"
