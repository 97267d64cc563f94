"""What a train step will take on machines that are not here: the step itself is compiled for them, and read.

Memory and communication are the compiler's. Time is a roofline over both, with the assumptions that `ASSUMPTIONS` says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.attention.attention import choose_implementation
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import param_axes, parameter_count
from baichuan_jax.model.execution import Execution
from baichuan_jax.model.flops import flops_per_token
from baichuan_jax.parallel.buckets import Buckets
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.parallel.targets import Target, compiled_for
from baichuan_jax.plan.hlo import Collective, collectives
from baichuan_jax.train.config import OptimConfig, TrainConfig
from baichuan_jax.train.input import abstract_batch
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.options import EFFICIENCY, gradient_buckets, link, step_products
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import make_execution, make_step

LARGE = 2**20  # bytes from which on a collective counts as one of parameters or activations
MOST_ROWS = 16
ROOM = 0.95  # of the memory, that a recommendation may take: allocators leave gaps
ASSUMPTIONS = (
    f"products at {EFFICIENCY:.0%} of peak; links and HBM at the data sheet's rate; ring collectives; asynchronous "
    "ones hide behind all products, the others behind none; list prices on demand"
)


@dataclass(frozen=True)
class Plan:
    """The answer for one step. Bytes and FLOP/s are of one device; seconds are of a step.

    rows: sequences of a device at once, or of the devices that split their tokens. arguments: parameters and optimizer.
    temporaries: gradients and activations. compute: matrix products, with recomputation. optimizer: passes over its
    state. exposed: communication that nothing hides. communication: None where the compiler found the program too
    large. buckets: of the gradients, on GPUs, whose compiler takes them.
    """

    target: str
    devices: int
    mesh: dict[str, int]
    batch: int
    rows: int
    length: int
    remat: str
    attention: str
    arguments: float
    temporaries: float
    total: float
    capacity: float
    compute: float = 0.0
    optimizer: float = 0.0
    exposed: float = 0.0
    tokens_per_second: float = 0.0
    mfu_full: float = 0.0
    mfu_causal: float = 0.0
    hfu: float = 0.0
    communication: tuple[Collective, ...] | None = None
    buckets: Buckets | None = None

    @property
    def fits(self) -> bool:
        """Whether a device has the memory."""
        return self.total <= self.capacity

    @property
    def step(self) -> float:
        """Seconds of a step."""
        return self.compute + self.optimizer + self.exposed

    def record(self) -> dict[str, Any]:
        """Return the plan as a JSON value."""
        large = [each for each in self.communication or () if each.size >= LARGE]
        totals = {kind: sum(each.sent for each in large if each.kind == kind) for kind in {c.kind for c in large}}
        values = {key: value for key, value in self.__dict__.items() if key not in ("communication", "buckets")}
        if self.buckets is not None:
            values["buckets"] = self.buckets._asdict()
        hidden = sum(each.sent for each in large if each.is_async) / max(1.0, sum(totals.values()))
        collectives = [each._asdict() for each in large]
        known = {"sent_bytes": totals, "async_share": hidden, "collectives": collectives}
        known = {} if self.communication is None else known
        return {**values, "fits": self.fits, "step_seconds": self.step, **known}


@dataclass(frozen=True)
class Settings:
    """What is planned."""

    model: DecoderConfig
    train: TrainConfig
    optim: OptimConfig
    mesh: MeshConfig
    rules: AxisRules


def plan(settings: Settings, target: Target, rows: int, length: int) -> Plan:
    """Compiles the step for the target, `rows` sequences at once on a device. Raise UserError on a bad mesh."""
    layout = Layout(make_mesh(settings.mesh, target.devices), settings.rules)
    batch = rows * layout.batch_shards * settings.train.accumulate
    train_cfg = replace(settings.train, batch=batch, length=length)
    model_cfg = settings.model
    if target.chip.platform == "gpu" and model_cfg.attention.implementation in ("auto", "cudnn"):
        # cuDNN's attention is chosen by cuDNN on the card; the chunked one has the same memory, up to a block.
        model_cfg = replace(model_cfg, attention=replace(model_cfg.attention, implementation="chunked"))
    exe = make_execution(train_cfg, model_cfg, layout, domains=0)
    known = {
        "target": target.name,
        "devices": len(target.devices),
        "mesh": dict(layout.mesh.shape),
        "batch": batch,
        "rows": rows,
        "length": length,
        "remat": model_cfg.remat,
        "attention": choose_implementation(model_cfg, length, exe),
        "capacity": target.chip.hbm,
        "buckets": gradient_buckets(model_cfg, train_cfg, exe),
    }
    optimizer = make_optimizer(
        settings.optim, max(train_cfg.steps, settings.optim.warmup_steps + 1), param_axes(model_cfg)
    )
    sharded = ShardedState(model_cfg, optimizer, layout)
    state = sharded.abstract
    lowered = make_step(train_cfg, model_cfg, optimizer, sharded, exe).lower(state, abstract_batch(batch, length))
    try:
        compiled, program = compiled_for(target, lowered)
    except jax.errors.JaxRuntimeError as error:
        parts = [math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(state)]
        total = _asked(error, sum(parts))
        return Plan(**known, arguments=sum(parts), temporaries=total - sum(parts), total=total)
    memory = compiled.memory_analysis()
    arguments, temporaries = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    known |= {"arguments": arguments, "temporaries": temporaries}
    known["total"] = getattr(memory, "peak_memory_in_bytes", 0) or arguments + temporaries
    return Plan(**known, **_roofline(model_cfg, train_cfg, target, exe, collectives(program)))


def _asked(error: Exception, arguments: int) -> float:
    """Return the bytes of HBM that a program asked for which the compiler found too large.

    arguments: bytes of a device, which libtpu leaves out where temporaries alone are too large.
    """
    whole = re.search(r"Used ([\d.]+)([KMGT]) of [\d.]+[KMGT] hbm", str(error))
    match = whole or re.search(r"required for HLO temporaries \(([\d.]+)([KMGT])\) exceeds", str(error))
    if match is None:
        raise UserError(f"the step does not compile for this target: {str(error).splitlines()[0]}") from error
    return float(match[1]) * 1024.0 ** ("KMGT".index(match[2]) + 1) + (0 if whole else arguments)


def _roofline(
    model_cfg: DecoderConfig, train_cfg: TrainConfig, target: Target, exe: Execution, found: list[Collective]
) -> dict[str, Any]:
    chip, devices = target.chip, len(target.devices)
    tokens = train_cfg.batch * train_cfg.length / devices
    full, causal = (flops_per_token(model_cfg, train_cfg.length, each) for each in (False, True))
    executed, compute = step_products(model_cfg, train_cfg, exe, chip)
    optimizer = (
        7 * 4 * parameter_count(model_cfg) / exe.layout.num_shards("embed") / chip.bandwidth
    )  # reads four arrays, writes three
    seconds = {
        kind: sum(c.sent / link(chip, c.group_size, target.per_host).rate for c in found if c.is_async == kind)
        for kind in (True, False)
    }
    exposed = seconds[False] + max(0.0, seconds[True] - compute)
    step = compute + optimizer + exposed
    return {
        "compute": compute,
        "optimizer": optimizer,
        "exposed": exposed,
        "tokens_per_second": tokens * devices / step,
        "mfu_full": tokens * full / step / chip.peak,
        "mfu_causal": tokens * causal / step / chip.peak,
        "hfu": tokens * executed / step / chip.peak,
        "communication": tuple(found),
    }


def search(settings: Settings, target: Target, known: Plan, report: Callable[[Plan], None]) -> Plan | None:
    """Return the fastest plan that fits with room to spare, by compiling ever more rows, with everything kept, with
    products kept, and with blocks recomputed.

    known: a plan of these settings, which is not made again. report: called with every plan on the way. None if not
    even one row fits.
    """
    best = None
    for remat in ("none", "products", "block"):
        tried, rows = replace(settings, model=replace(settings.model, remat=remat)), 1
        while rows <= MOST_ROWS:
            is_known = (known.remat, known.rows) == (remat, rows)
            report(found := known if is_known else plan(tried, target, rows, known.length))
            if not found.fits:
                break
            spare = found.total <= ROOM * found.capacity
            if spare and (best is None or found.tokens_per_second > best.tokens_per_second):
                best = found
            rows *= 2
    return best
