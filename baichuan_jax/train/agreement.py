"""What the processes of a run find out from each other, so that all of them do the same."""

from __future__ import annotations

import jax
import numpy as np
from jax.experimental import multihost_utils


def texts_of_all(text: str, size: int = 1000) -> list[str]:
    """Return the text that each of the processes has, cut to `size` bytes."""
    sent = np.frombuffer(text.encode()[:size].ljust(size, b"\0"), np.uint8)
    rows = np.asarray(multihost_utils.process_allgather(sent)).reshape(-1, size)
    return [row.tobytes().rstrip(b"\0").decode(errors="ignore") for row in rows]


def asked_of_any(*asked: bool) -> tuple[bool, ...]:
    """Return what one of the processes asks for at least. They wait for each other, and for the devices."""
    if jax.process_count() == 1:
        return asked
    return tuple(np.any(multihost_utils.process_allgather(np.array(asked)), axis=0).tolist())


def least_of_all(value: float) -> float:
    """Return the least of what the processes have, in float32."""
    if jax.process_count() == 1:
        return value
    return float(np.min(multihost_utils.process_allgather(np.float32(value))))
