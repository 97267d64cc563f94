"""Published checkpoints of random weights, written with the safetensors library."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from baichuan_jax.convert.check import check
from baichuan_jax.convert.hf_config import read_config
from baichuan_jax.convert.layouts import LayoutName, matrices
from baichuan_jax.convert.load import load
from baichuan_jax.convert.merged import Addition
from baichuan_jax.convert.publish import publish, write_config
from baichuan_jax.convert.save import save
from baichuan_jax.convert.source import CONFIG, Source
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, init_params, param_axes
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.train.checkpoint import Checkpoints, newest_params
from baichuan_jax.train.saving import CheckpointWriter
from baichuan_jax.train.state import TrainState, abstract_params

SMALL = DecoderConfig(vocab=96, layers=2, hidden=32, heads=4, head_dim=8, inner=48, context=64, init_std=0.1)


def random_tensors(cfg: DecoderConfig, layout: LayoutName, dtype: np.dtype, seed: int = 0) -> dict[str, np.ndarray]:
    """Return {published name: values}: normal, norms around one."""
    rng = np.random.default_rng(seed)
    found = {}
    for matrix in matrices(publish(cfg, layout), layout):
        values = rng.normal(0, cfg.init_std, matrix.tensor_shape)
        found[matrix.tensor] = (values + (len(matrix.tensor_shape) == 1)).astype(dtype)
    return found


def write_published(
    directory: Path, cfg: DecoderConfig, layout: LayoutName, dtype: np.dtype = np.float32, files: int = 1
) -> dict[str, np.ndarray]:
    """Write a checkpoint of random weights, in one file or in several with an index; return its tensors."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = random_tensors(cfg, layout, dtype)
    write_tensors(directory, tensors, files)
    config = write_config(publish(cfg, layout), layout, "float32")
    (directory / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    return tensors


def write_tensors(directory: Path, tensors: dict[str, np.ndarray], files: int = 1) -> None:
    """Write tensors in one file, or in several with an index."""
    if files == 1:
        save_file(tensors, directory / "model.safetensors", {"format": "pt"})
        return
    listed = {}
    for number in range(files):
        part = dict(list(tensors.items())[number::files])
        name = f"model-{number + 1:05}-of-{files:05}.safetensors"
        save_file(part, directory / name)
        listed |= dict.fromkeys(part, name)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}), encoding="utf-8")


def imported(source: Path, directory: Path) -> tuple[DecoderConfig, Path]:
    """Import a checkpoint; return its config and where its parameters are."""
    opened = Source(source)
    layout, cfg = read_config(opened.config, source / CONFIG)
    check(opened, cfg, layout)
    load(opened, cfg, layout, directory, lambda done, total: None)
    return cfg, newest_params(directory)


def trained(cfg: DecoderConfig, directory: Path) -> Path:
    """Write random parameters as training does, sharded over eight devices; return where they are."""
    layout = Layout(make_mesh(MeshConfig(fsdp=4, tensor=2)), AxisRules(vocab=None, heads=None, kv_heads=None))
    params = init_params(cfg, jax.random.key(0))
    placed = jax.device_put(params, layout.shardings(param_axes(cfg), params))
    with CheckpointWriter(directory, 1) as checkpoints:
        checkpoints.save(TrainState(jnp.zeros((), jnp.int32), placed, {}), {})
    return newest_params(directory)


def write(
    params: Path,
    cfg: DecoderConfig,
    layout: LayoutName,
    directory: Path,
    dtype: np.dtype | None = None,
    file_bytes: int = 10**9,
    addition: Addition | None = None,
) -> dict:
    """Export parameters with their config.json; return what `save` does."""
    directory.mkdir()
    found = save(params, cfg, layout, dtype, file_bytes, directory, lambda done, total: None, addition)
    config = write_config(publish(cfg, layout), layout, found["dtypes"][0])
    (directory / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    return found


def restored(cfg: DecoderConfig, params: Path) -> Params:
    """Return parameters as training restores them, float32."""
    layout = Layout(make_mesh(MeshConfig(), jax.devices()[:1]), AxisRules())
    with Checkpoints(params.parents[1]) as checkpoints:
        return checkpoints.restore_params(abstract_params(cfg, layout))
