"""A small model, its data and its step, shared by the tests of training."""

from pathlib import Path

import jax
import numpy as np

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import param_axes
from baichuan_jax.model.execution import Batch
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.tokenizer.shards import TokenStore, write_index
from baichuan_jax.train.config import OptimConfig, TrainConfig
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import make_execution, make_step

MODEL = DecoderConfig(vocab=64, layers=2, hidden=32, heads=4, head_dim=8, inner=48, context=64)
OPTIM = OptimConfig(peak_lr=1e-2, warmup_steps=2)


def layout(devices: int = 8, rules: AxisRules | None = None, **axes: int) -> Layout:
    return Layout(make_mesh(MeshConfig(**axes), jax.devices()[:devices]), rules or AxisRules())


def setup(cfg: TrainConfig, layout: Layout, model_cfg: DecoderConfig = MODEL, optim_cfg: OptimConfig = OPTIM):
    """Return (optimizer, fresh state, step)."""
    optimizer = make_optimizer(optim_cfg, cfg.steps, param_axes(model_cfg))
    sharded, exe = ShardedState(model_cfg, optimizer, layout), make_execution(cfg, model_cfg, layout)
    return optimizer, sharded.init(cfg.seed), make_step(cfg, model_cfg, optimizer, sharded, exe)


def learnable(batch: int, length: int, step: int) -> Batch:
    """Return rows in which each id follows from the one before."""
    start = np.random.default_rng(step).integers(0, 64, (batch, 1))
    windows = ((start + np.arange(length + 1)) % 64).astype(np.int32)
    return Batch(windows[:, :-1], windows[:, 1:])


def store(directory: Path) -> TokenStore:
    """Two domains of token shards whose ids tell the domain (even: a, odd: b)."""
    rng = np.random.default_rng(0)
    shards = {}
    for parity, (domain, size) in enumerate({"a": 3000, "b": 1000}.items()):
        shards[domain] = {}
        for split in ("train", "validation"):
            ids = (2 * rng.integers(0, 32, size) + parity).astype("<u2")
            path = directory / domain / f"{split}-00000.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            ids.tofile(path)
            shards[domain][split] = [{"file": f"{domain}/{path.name}", "documents": 1, "tokens": size}]
    write_index(directory, 64, shards)
    return TokenStore(directory)
