"""Memory of the gradients against vocabulary and length, read from compiled programs: nothing is run.

Command: python -m experiments.growth_train. Each row compiles the loss and its gradients for 8 simulated devices, fsdp,
8 rows on each: with logits in chunks of 16 MiB and whole, with attention in blocks and dense. Cost: a minute.
"""

from __future__ import annotations

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8 " + os.environ.get("XLA_FLAGS", "")
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp

from baichuan_jax.model.config import AttentionConfig, DecoderConfig
from baichuan_jax.model.decoder import loss, param_axes, param_shapes
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh

CHUNK, WHOLE = 2**24, 2**40
VOCABULARIES, LENGTHS = (8_192, 32_768, 65_536, 262_144), (1024, 4096, 16_384, 32_768)


def temporaries(vocab: int, length: int, rows: int, chunk_bytes: int, kernel: str) -> float:
    """Returns MiB of temporaries on a device."""
    sizes = {"layers": 2, "hidden": 64, "heads": 4, "head_dim": 16, "inner": 172, "context": length}
    cfg = DecoderConfig(vocab=vocab, **sizes, attention=AttentionConfig(kernel=kernel))
    layout = Layout(make_mesh(MeshConfig()), AxisRules())
    params = jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        param_shapes(cfg),
        layout.shardings(param_axes(cfg), param_shapes(cfg)),
    )
    tokens = jax.ShapeDtypeStruct((8 * rows, length), jnp.int32, sharding=layout.sharding(("batch", "length")))
    grad = jax.grad(lambda p, x, y: loss(cfg, p, x, y, layout=layout, chunk_bytes=chunk_bytes)[0])
    return jax.jit(grad).lower(params, tokens, tokens).compile().memory_analysis().temp_size_in_bytes / 2**20


def main() -> None:
    """Prints both tables."""
    print("vocabulary   logits in chunks   whole      MiB of temporaries, 8 rows of 1,024, attention in blocks")
    for vocab in VOCABULARIES:
        split, whole = (temporaries(vocab, 1024, 8, size, "chunked") for size in (CHUNK, WHOLE))
        print(f"{vocab:10,}{split:19,.0f}{whole:8,.0f}", flush=True)
    print("length       attention in blocks  dense    MiB of temporaries, 1 row, vocabulary 8,192")
    for length in LENGTHS:
        split, dense = (temporaries(8192, length, 1, CHUNK, kernel) for kernel in ("chunked", "xla"))
        print(f"{length:10,}{split:19,.0f}{dense:8,.0f}", flush=True)


if __name__ == "__main__":
    main()
