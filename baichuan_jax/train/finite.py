"""Whether the numbers of training are finite, and no spikes, looked at only where the host waits for the devices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from baichuan_jax.train.spikes import WATCHED, Detector
from baichuan_jax.train.state import TrainState


class Diverged(Exception):
    """Training has made a number that is not finite, or a spike.

    step: where it was found. last_good: the step of the newest state that may still be good. A loss that is not finite
    at a step is that of the state before it. steps: all at which it was found.
    """

    def __init__(self, what: str, step: int, last_good: int, steps: Sequence[int] = ()):
        super().__init__(f"{what} at step {step}")
        self.step, self.last_good, self.steps = step, last_good, steps or [step]


class Watch:
    """Keeps the loss and the gradient norm of every step, on the devices, until they are looked at.

    detector: of spikes; None: only numbers that are not finite are found.
    """

    def __init__(self, detector: Detector | None = None) -> None:
        self._detector = detector
        self._unread: list[tuple[int, dict[str, jax.Array]]] = []

    def add(self, step: int, values: dict[str, jax.Array]) -> None:
        """Note a step that has been dispatched."""
        self._unread.append((step, {name: values[name] for name in WATCHED}))

    def look(self) -> None:
        """Wait for the steps noted so far. Raise Diverged at the first of which a number is not finite, or a spike."""
        unread, self._unread = self._unread, []
        spikes: dict[int, str] = {}
        for step, values in jax.device_get(unread):
            for name, value in values.items():
                if not math.isfinite(value) and not spikes:
                    raise Diverged(f"{WATCHED[name]} is {float(value)}", step, step - 2)
            if self._detector and (why := self._detector.add({name: float(x) for name, x in values.items()})):
                spikes[step] = why
        if spikes:
            first = min(spikes)
            raise Diverged(spikes[first], first, first - 2, list(spikes))


def check_finite(state: TrainState) -> None:
    """Raise Diverged unless all of a state is finite, and so are the squares of its parameters, which norms sum up."""
    if not is_finite(state):
        raise Diverged("the parameters are not finite", int(state.step), int(state.step) - 1)


@jax.jit
def is_finite(state: TrainState) -> jax.Array:
    """Return whether a state may be kept, as `check_finite` has it."""
    floats = [leaf for leaf in jax.tree.leaves(state.optimizer) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    finite = [jnp.isfinite(optax.tree.norm(state.params)), *(jnp.isfinite(leaf).all() for leaf in floats)]
    return jnp.stack(finite).all()
