import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.model.config import DecoderConfig, HeadConfig
from baichuan_jax.model.decoder import apply, init_params, loss
from baichuan_jax.model.loss import PADDING, Objective, cross_entropy, max_z, token_nll
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from tests.model.variants import decoder


def drawn(rng: np.random.Generator, batch: int, length: int, hidden: int, vocab: int) -> tuple:
    """Hidden states, a head, and targets of which some do not count."""
    x, kernel = rng.standard_normal((batch, length, hidden)), rng.standard_normal((hidden, vocab))
    targets = rng.integers(0, vocab, (batch, length))
    targets[rng.random((batch, length)) < 0.2] = PADDING
    return x.astype(np.float32), kernel.astype(np.float32), targets


def plain(x, kernel, targets, weight: float, soft_cap: float) -> jax.Array:
    logits = x @ kernel
    logits = soft_cap * jnp.tanh(logits / soft_cap) if soft_cap else logits
    return jnp.sum((token_nll(logits, targets) + weight * max_z(logits)) * (targets >= 0))


def assert_same(arrays: tuple, objective: Objective, rtol: float = 1e-5) -> None:
    x, kernel, targets = arrays
    ours = jax.jit(jax.value_and_grad(lambda x, kernel: cross_entropy(x, kernel, targets, objective)[0], (0, 1)))
    other = jax.jit(jax.value_and_grad(lambda x, kernel: plain(x, kernel, targets, *objective[:2]), (0, 1)))
    for a, b in zip(jax.tree.leaves(ours(x, kernel)), jax.tree.leaves(other(x, kernel))):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * float(np.abs(b).max()))
    total = jax.jit(lambda x, kernel: cross_entropy(x, kernel, targets, objective))(x, kernel)  # without a gradient
    np.testing.assert_allclose(total[0], other(x, kernel)[0], rtol=rtol)
    np.testing.assert_allclose(total[1], plain(x, kernel, targets, 0.0, objective.soft_cap), rtol=rtol)


@settings(max_examples=5)  # each is compiled
@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 17),
    vocab=st.sampled_from([5, 33]),
    chunk=st.integers(1, 40),
    weight=st.sampled_from([0.0, 0.5]),
    soft_cap=st.sampled_from([0.0, 2.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_chunks_give_the_loss_and_gradients_of_the_whole(batch, length, vocab, chunk, weight, soft_cap, seed):
    arrays = drawn(np.random.default_rng(seed), batch, length, 8, vocab)
    assert_same(arrays, Objective(weight, soft_cap, chunk * 4 * vocab, None))


MESHES = [
    (MeshConfig(data=2, fsdp=4), {}),
    (MeshConfig(data=2, fsdp=2, tensor=2), {}),
    (MeshConfig(fsdp=1, tensor=8), {}),
    (MeshConfig(fsdp=8), {"embed": None, "vocab": "fsdp"}),
    (MeshConfig(data=2, fsdp=4), {"batch": "data", "length": "fsdp"}),
]


@pytest.mark.parametrize(("mesh", "rules"), MESHES)
def test_every_mesh_gives_the_same(mesh, rules):
    layout = Layout(make_mesh(mesh), AxisRules(**rules))
    arrays = drawn(np.random.default_rng(0), 8, 12, 8, 32)
    assert_same(arrays, Objective(0.5, 2.0, 3 * 4 * 32, layout))


def test_a_head_with_everything():
    cfg = decoder(head=HeadConfig(tied=True, normalised=True, soft_cap=3.0), layers=1)
    params = init_params(cfg, jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (2, 13), 0, cfg.vocab)
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    whole = jax.jit(jax.grad(lambda p: token_nll(apply(cfg, p, inputs), targets).sum()))(params)
    split = jax.jit(jax.grad(lambda p: loss(cfg, p, inputs, targets, chunk_bytes=5 * 4 * cfg.vocab)[0]))(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5), split, whole)


def test_temporaries_do_not_grow_with_the_vocabulary():
    """Of the loss and all gradients, over 8 devices: 64k against 8k; the logits alone would take 8 times as much.

    What grows is the head, gathered once: here 15 MB a device, beside activations of 16 x 1,024 tokens.
    """
    layout = Layout(make_mesh(MeshConfig()), AxisRules())
    sizes = {"layers": 2, "hidden": 64, "heads": 4, "head_dim": 16, "inner": 172, "context": 1024}

    def temporaries(vocab: int, chunk_bytes: int) -> int:
        cfg = DecoderConfig(vocab=vocab, **sizes)
        params = jax.eval_shape(lambda: init_params(cfg, jax.random.key(0)))
        rows = jax.ShapeDtypeStruct((128, 1024), jnp.int32, sharding=layout.sharding(("batch", "length")))
        grad = jax.grad(lambda p, x, y: loss(cfg, p, x, y, layout=layout, chunk_bytes=chunk_bytes)[0])
        return jax.jit(grad).lower(params, rows, rows).compile().memory_analysis().temp_size_in_bytes

    small, large = (temporaries(vocab, 2**24) for vocab in (8_192, 65_536))
    assert large < 1.05 * small
