"""What compiler flags change of the train step of 7 billion parameters: memory, messages, and what waits for them.

Command: python -m experiments.benchmarks.flags TARGET (v5e:16x16, a800:8x16, h100:8x128, ...), for every row a compile
of the step with one sequence of 4,096 on a device, parameters split over 16 chips of a TPU's axis or the 8 cards of a
host. The first row is the compiler as it comes, the second what baichuan_jax/parallel/flags.py asks of it, and the
others are what was tried as well. Cost: 5 s a row for GPUs, 40 s for TPUs. Needs libtpu or jax-cuda13-plugin, and no
accelerator.
"""

from __future__ import annotations

import argparse
import os

os.environ["JAX_PLATFORMS"] = "cpu"

import jax

from baichuan_jax.model.config import AttentionConfig, DecoderConfig
from baichuan_jax.model.decoder import param_axes
from baichuan_jax.parallel import targets
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.flags import Flags, flags
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.plan.hlo import collectives
from baichuan_jax.train.config import OptimConfig, TrainConfig
from baichuan_jax.train.input import abstract_batch
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import make_execution, make_step

LENGTH, FSDP = 4096, {"tpu": 16, "gpu": 8}
TRIED = {
    "gpu": (
        {"xla_gpu_enable_pipelined_all_gather": True},
        {"xla_gpu_enable_pipelined_reduce_scatter": True},
        {"xla_gpu_enable_pipelined_all_reduce": True},
        {"xla_gpu_enable_while_loop_double_buffering": True},
    ),
    "tpu": (
        {"xla_tpu_enable_ici_ag_pipelining": True},
        {"xla_tpu_decompose_einsum_reduce_scatter": True},
        {"xla_enable_async_all_reduce": True, "xla_tpu_enable_async_collective_fusion_fuse_all_reduce": True},
        {"xla_tpu_enable_data_parallel_all_reduce_opt": True, "xla_tpu_data_parallel_opt_different_sized_ops": True},
        {"xla_tpu_enable_all_reduce_scatter_fusion": False},
    ),
}


def lower(target: targets.Target) -> jax.stages.Lowered:
    """Return the step before it is compiled."""
    fsdp = FSDP[target.chip.platform]
    layout = Layout(make_mesh(MeshConfig(len(target.devices) // fsdp, fsdp), target.devices), AxisRules())
    implementation = "chunked" if target.chip.platform == "gpu" else "auto"  # cuDNN's needs the card
    model_cfg = DecoderConfig(attention=AttentionConfig(implementation=implementation))
    train = TrainConfig(batch=len(target.devices), length=LENGTH)
    optimizer = make_optimizer(OptimConfig(), train.steps, param_axes(model_cfg))
    sharded, exe = ShardedState(model_cfg, optimizer, layout), make_execution(train, model_cfg, layout)
    step = make_step(train, model_cfg, optimizer, sharded, exe)
    return step.lower(sharded.abstract, abstract_batch(train.batch, LENGTH))


def row(target: targets.Target, lowered: jax.stages.Lowered, more: Flags) -> str:
    """Return one line of the table. more: flags beside those that are shipped, or in place of them."""
    try:
        compiled, program = targets.compiled_for(target, lowered, more)
    except jax.errors.JaxRuntimeError as error:
        return f"does not compile: {str(error).splitlines()[0]}"
    found = collectives(program)
    sent = sum(each.sent for each in found)
    beside = sum(each.sent for each in found if each.is_async) / sent
    waits = sum(each.sent for each in found if each.loop and not each.is_async)
    memory = compiled.memory_analysis().peak_memory_in_bytes
    return f"{memory / 2**30:8.2f} GiB{len(found):10}{sent / 2**30:9.2f} GiB{beside:9.1%}{waits / 2**30:12.2f} GiB"


def main() -> None:
    """Print the table of one target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", metavar="TARGET", help="v5e:16x16, a800:8x16, h100:8x128 and the like")
    target = targets.find(parser.parse_args().target)
    platform = target.chip.platform
    lowered, shipped = lower(target), flags(target.devices[0], platform)
    print(f"{target.name}: memory, collectives, bytes a device sends, beside other work, waited for in loops")
    defaults = {flag: not value if isinstance(value, bool) else -1 for flag, value in shipped.items()}
    print(f"{row(target, lowered, defaults)}  none of ours", flush=True)
    print(f"{row(target, lowered, {})}  {', '.join(shipped) or 'none'}", flush=True)
    for more in TRIED[platform]:
        print(
            f"{row(target, lowered, more)}  + {', '.join(f'{flag}={value}' for flag, value in more.items())}",
            flush=True,
        )


if __name__ == "__main__":
    main()
