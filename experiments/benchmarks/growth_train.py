"""Memory of the gradients against vocabulary and length, read from compiled programs: nothing is run.

Command: python -m experiments.benchmarks.growth_train. Each row compiles the loss and its gradients for 8 simulated
devices, fsdp, 8 rows on each: with logits in chunks of 16 MiB and whole, with attention in blocks and dense, with
feed-forward layers in chunks and whole. Cost: two minutes.
"""

from __future__ import annotations

import argparse
import os
from functools import partial

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8 " + os.environ.get("XLA_FLAGS", "")
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp

from baichuan_jax.model.config import AttentionConfig, DecoderConfig
from baichuan_jax.model.decoder import loss, param_axes, param_shapes
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh

CHUNK, WHOLE = 2**24, 2**40
VOCABULARIES, LENGTHS = (8_192, 32_768, 65_536, 262_144), (1024, 4096, 16_384, 32_768)


def small(vocab: int, length: int, implementation: str) -> DecoderConfig:
    """Return a decoder that is little beside its logits, or its scores."""
    sizes = {"layers": 2, "hidden": 64, "heads": 4, "head_dim": 16, "inner": 172, "context": length}
    return DecoderConfig(vocab=vocab, **sizes, attention=AttentionConfig(implementation=implementation))


def temporaries(cfg: DecoderConfig, rows: int, logits_bytes: int, inner_bytes: int = 0) -> float:
    """Return MiB of temporaries on a device, sequences as long as the context."""
    layout = Layout(make_mesh(MeshConfig()), AxisRules())
    params = jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        param_shapes(cfg),
        layout.shardings(param_axes(cfg), param_shapes(cfg)),
    )
    tokens = jax.ShapeDtypeStruct((8 * rows, cfg.context), jnp.int32, sharding=layout.sharding(("batch", "length")))
    exe = Execution(layout=layout, logits_bytes=logits_bytes, inner_bytes=inner_bytes)
    grad = jax.grad(lambda p, x, y: loss(cfg, p, Batch(x, y), exe).minimised)
    return jax.jit(grad).lower(params, tokens, tokens).compile().memory_analysis().temp_size_in_bytes / 2**20


def main() -> None:
    """Print the tables."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()  # there are no options: for --help
    print("vocabulary   logits in chunks   whole      MiB of temporaries, 8 rows of 1,024, attention in blocks")
    for vocab in VOCABULARIES:
        split, whole = (temporaries(small(vocab, 1024, "chunked"), 8, size) for size in (CHUNK, WHOLE))
        print(f"{vocab:10,}{split:19,.0f}{whole:8,.0f}", flush=True)
    print("length       attention in blocks  dense    MiB of temporaries, 1 row, vocabulary 8,192")
    for length in LENGTHS:
        split, dense = (temporaries(small(8192, length, name), 1, CHUNK) for name in ("chunked", "xla"))
        print(f"{length:10,}{split:19,.0f}{dense:8,.0f}", flush=True)
    print("inner MiB    remat 'block'        'none'   MiB of temporaries, 2 rows of 4,096, hidden 1,024, inner 2,752")
    for size in (0, 32, 8):
        sizes = {"layers": 4, "hidden": 1024, "heads": 8, "head_dim": 128, "inner": 2752, "context": 4096}
        model = partial(DecoderConfig, vocab=8192, **sizes, attention=AttentionConfig(implementation="chunked"))
        block, none = (temporaries(model(remat=remat), 2, CHUNK, size * 2**20) for remat in ("block", "none"))
        print(f"{size or 'whole':>10}{block:19,.0f}{none:8,.0f}", flush=True)


if __name__ == "__main__":
    main()
