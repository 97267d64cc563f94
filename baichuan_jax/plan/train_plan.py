"""Memory, speed and cost of a train step on other machines: compile the step for them and read the program.

Memory and communication are those of the compiled program. Time is a roofline over both, see `ASSUMPTIONS`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.attention.attention import choose_implementation
from baichuan_jax.model.config import DecoderConfig, LoraConfig
from baichuan_jax.model.decoder import param_axes, parameter_count
from baichuan_jax.model.execution import Execution
from baichuan_jax.model.flops import flops_per_token, multiplied
from baichuan_jax.model.lora import adapter_count
from baichuan_jax.parallel.buckets import Buckets
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.parallel.targets import Target, compiled_for
from baichuan_jax.plan.hlo import Collective, collectives
from baichuan_jax.train.adapt import adapt
from baichuan_jax.train.config import OptimConfig, TrainConfig
from baichuan_jax.train.input import abstract_batch
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.options import EFFICIENCY, gradient_buckets, link, step_products
from baichuan_jax.train.remat import BY_MEMORY, OF_DEVICE
from baichuan_jax.train.state import ShardedState, abstract_params
from baichuan_jax.train.step import make_execution, make_step

LARGE = 2**20  # least bytes of a collective of parameters or activations
MOST_ROWS = 16
ASSUMPTIONS = (
    f"products at {EFFICIENCY:.0%} of peak; links and HBM at the data sheet's rate; ring collectives; asynchronous "
    "ones hide behind all products, the others behind none; list prices on demand"
)


@dataclass(frozen=True)
class Plan:
    """The plan of one step. Bytes and FLOP/s are per device; times are in seconds per step.

    rows: sequences per device and microbatch (or per group of devices that shard tokens). arguments: bytes of
    parameters and optimizer state. temporaries: bytes of gradients and activations. compute: time of matrix products,
    recomputation included. optimizer: time of passes over its state. exposed: time of communication that is not hidden.
    communication: None if the program does not fit. buckets: gradient messages, on GPUs.
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
        """Whether the step fits in the memory of a device."""
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
    """The configs of the planned step. lora: of adapters that are trained in place of the parameters, if it has a rank.

    packing: whether batches have segments, positions and weights.
    """

    model: DecoderConfig
    train: TrainConfig
    optim: OptimConfig
    mesh: MeshConfig
    rules: AxisRules
    lora: LoraConfig = field(default_factory=LoraConfig)
    packing: bool = False


def plan(settings: Settings, target: Target, rows: int, length: int) -> Plan:
    """Compile the step for the target with `rows` sequences per device. Raise UserError if the mesh does not fit.

    With DecoderConfig.remat 'auto', compile it with more and more recomputation, until it fits or there is no more.
    """
    if settings.model.remat == "auto":
        for remat in BY_MEMORY:
            found = plan(_with_remat(settings, remat), target, rows, length)
            if found.total <= OF_DEVICE * found.capacity:
                break
        return found
    layout = Layout(make_mesh(settings.mesh, target.devices), settings.rules)
    batch = rows * layout.batch_shards * settings.train.accumulate
    train_cfg = replace(settings.train, batch=batch, length=length)
    model_cfg = settings.model
    if target.chip.platform == "gpu" and model_cfg.attention.implementation in ("auto", "cudnn"):
        # cuDNN selects its attention on the card. Chunked attention needs the same memory, up to a block.
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
    adaptation, axes, frozen = None, param_axes(model_cfg), []
    if settings.lora.rank:
        adaptation = adapt(settings.lora, model_cfg, abstract_params(model_cfg, layout), exe.dtype)
        axes, frozen = adaptation.axes, [adaptation.frozen]
    optimizer = make_optimizer(settings.optim, max(train_cfg.steps, settings.optim.warmup_steps + 1), axes)
    sharded = ShardedState(model_cfg, optimizer, layout, adaptation)
    state = sharded.abstract
    step = make_step(train_cfg, model_cfg, optimizer, sharded, exe)
    lowered = step.lower(state, abstract_batch(batch, length, settings.packing), *frozen)
    try:
        compiled, program = compiled_for(target, lowered)
    except jax.errors.JaxRuntimeError as error:
        parts = [
            math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves((state, frozen))
        ]
        total = _asked(error, sum(parts))
        return Plan(**known, arguments=sum(parts), temporaries=total - sum(parts), total=total)
    memory = compiled.memory_analysis()
    arguments, temporaries = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    known |= {"arguments": arguments, "temporaries": temporaries}
    known["total"] = getattr(memory, "peak_memory_in_bytes", 0) or arguments + temporaries
    return Plan(**known, **_roofline(settings.lora, model_cfg, train_cfg, target, exe, collectives(program)))


def _asked(error: Exception, arguments: int) -> float:
    """Return the bytes of HBM of a program that was too large to compile, from the compiler's error.

    arguments: their bytes per device, which libtpu omits if temporaries alone are too large.
    """
    whole = re.search(r"Used ([\d.]+)([KMGT]) of [\d.]+[KMGT] hbm", str(error))
    match = whole or re.search(r"required for HLO temporaries \(([\d.]+)([KMGT])\) exceeds", str(error))
    if match is None:
        raise UserError(f"the train step does not compile for this target: {str(error).splitlines()[0]}") from error
    return float(match[1]) * 1024.0 ** ("KMGT".index(match[2]) + 1) + (0 if whole else arguments)


def _roofline(
    lora: LoraConfig,
    model_cfg: DecoderConfig,
    train_cfg: TrainConfig,
    target: Target,
    exe: Execution,
    found: list[Collective],
) -> dict[str, Any]:
    chip, devices = target.chip, len(target.devices)
    tokens = train_cfg.batch * train_cfg.length / devices
    full, causal = (flops_per_token(model_cfg, train_cfg.length, each) for each in (False, True))
    executed, compute = step_products(model_cfg, train_cfg, exe, chip)
    trained = parameter_count(model_cfg)
    if lora.rank:
        trained, all_trained = adapter_count(lora, model_cfg), executed
        executed += 6 * trained - 2 * multiplied(model_cfg)  # frozen weights have no gradients
        compute *= executed / all_trained
    optimizer = 7 * 4 * trained / exe.layout.num_shards("embed") / chip.bandwidth  # reads four arrays, writes three
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


def _with_remat(settings: Settings, remat: str) -> Settings:
    return replace(settings, model=replace(settings.model, remat=remat))


def search(settings: Settings, target: Target, known: Plan, report: Callable[[Plan], None]) -> Plan | None:
    """Return the fastest plan within OF_DEVICE of the memory; None if not even one row fits.

    Compile increasing numbers of rows for each `remat` setting. known: an existing plan of these settings, which is
    reused. report: called with every plan.
    """
    best = None
    for remat in BY_MEMORY:
        tried, rows = _with_remat(settings, remat), 1
        while rows <= MOST_ROWS:
            is_known = (known.remat, known.rows) == (remat, rows)
            report(found := known if is_known else plan(tried, target, rows, known.length))
            if not found.fits:
                break
            spare = found.total <= OF_DEVICE * found.capacity
            if spare and (best is None or found.tokens_per_second > best.tokens_per_second):
                best = found
            rows *= 2
    return best
