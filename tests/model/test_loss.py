import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.model.config import DecoderConfig, HeadConfig
from baichuan_jax.model.decoder import apply, init_params, loss
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.loss import Objective, cross_entropy, max_z, token_nll
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from tests.model.variants import decoder


def drawn(rng: np.random.Generator, batch: int, length: int, hidden: int, vocab: int) -> tuple:
    """Return hidden states, a head, targets, and weights of which some are 0."""
    x, kernel = rng.standard_normal((batch, length, hidden)), rng.standard_normal((hidden, vocab))
    targets = rng.integers(0, vocab, (batch, length))
    weights = rng.random((batch, length)) * (rng.random((batch, length)) > 0.2)
    return x.astype(np.float32), kernel.astype(np.float32), targets, weights.astype(np.float32)


def plain(x, kernel, targets, weights, z_weight: float, soft_cap: float) -> jax.Array:
    logits = x @ kernel
    logits = soft_cap * jnp.tanh(logits / soft_cap) if soft_cap else logits
    return jnp.sum((token_nll(logits, targets) + z_weight * max_z(logits)) * weights)


def assert_same(arrays: tuple, objective: Objective, rtol: float = 1e-5) -> None:
    x, kernel, targets, weights = arrays
    ours = jax.jit(
        jax.value_and_grad(lambda x, kernel: cross_entropy(x, kernel, targets, weights, objective)[0], (0, 1))
    )
    other = jax.jit(jax.value_and_grad(lambda x, kernel: plain(x, kernel, targets, weights, *objective[:2]), (0, 1)))
    for a, b in zip(jax.tree.leaves(ours(x, kernel)), jax.tree.leaves(other(x, kernel))):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * float(np.abs(b).max()))
    total = jax.jit(lambda x, kernel: cross_entropy(x, kernel, targets, weights, objective))(
        x, kernel
    )  # without a gradient
    np.testing.assert_allclose(total[0], other(x, kernel)[0], rtol=rtol)
    np.testing.assert_allclose(total[1], plain(x, kernel, targets, weights, 0.0, objective.soft_cap), rtol=rtol)


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
    assert_same(arrays, Objective(weight, soft_cap, Execution(logits_bytes=chunk * 4 * vocab)))


@settings(max_examples=5)  # each is compiled
@given(
    batch=st.integers(1, 3),
    length=st.integers(2, 13),
    chunk=st.integers(1, 40),
    weight=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_masked_position_changes_neither_loss_nor_gradient(batch, length, chunk, weight, seed):
    """Other hidden states and targets there leave every bit of the sums and of the head's gradient."""
    rng = np.random.default_rng(seed)
    x, kernel, targets, weights = drawn(rng, batch, length, 8, 33)
    weights[0, rng.integers(length)] = 0
    masked = weights == 0
    other_x = np.where(masked[..., None], rng.standard_normal(x.shape).astype(np.float32), x)
    other_targets = np.where(masked, rng.integers(0, 33, targets.shape), targets)
    objective = Objective(weight, 0.0, Execution(logits_bytes=chunk * 4 * 33))

    @jax.jit
    def run(x, targets):
        value = lambda x, kernel: cross_entropy(x, kernel, targets, weights, objective)[0]
        return jax.value_and_grad(value, (0, 1))(x, kernel)

    (value, (dx, dkernel)), (other_value, (other_dx, other_dkernel)) = run(x, targets), run(other_x, other_targets)
    np.testing.assert_array_equal(value, other_value)
    np.testing.assert_array_equal(dkernel, other_dkernel)
    np.testing.assert_array_equal(dx, other_dx)
    assert not np.asarray(dx)[masked].any()


def test_sums_by_domain():
    cfg = decoder(layers=1)
    params = init_params(cfg, jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (4, 13), 0, cfg.vocab)
    weights = (jax.random.uniform(jax.random.key(2), (4, 12)) > 0.3).astype(jnp.float32)
    batch = Batch(tokens[:, :-1], tokens[:, 1:], weights, domains=jnp.array([2, 0, 2, 0]))
    sums = jax.jit(lambda batch: loss(cfg, params, batch, Execution(domains=3)))(batch)
    alone = jax.jit(lambda batch: loss(cfg, params, batch))
    for domain, rows in enumerate(([1, 3], [], [0, 2])):
        of_domain = jax.tree.map(lambda x, rows=rows: x[jnp.array(rows, int)], batch)
        part = alone(of_domain) if rows else None
        np.testing.assert_allclose(sums.domain_nll[domain], part.nll if part else 0, rtol=1e-6)
        np.testing.assert_array_equal(sums.domain_count[domain], part.count if part else 0)
    np.testing.assert_allclose(sums.domain_nll.sum(), sums.nll, rtol=1e-6)


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
    assert_same(arrays, Objective(0.5, 2.0, Execution(layout=layout, logits_bytes=3 * 4 * 32)))


def test_a_head_with_everything():
    cfg = decoder(head=HeadConfig(tied=True, normalised=True, soft_cap=3.0), layers=1)
    params = init_params(cfg, jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (2, 13), 0, cfg.vocab)
    batch, exe = Batch(tokens[:, :-1], tokens[:, 1:]), Execution(logits_bytes=5 * 4 * cfg.vocab)
    whole = jax.jit(jax.grad(lambda p: token_nll(apply(cfg, p, batch), batch.targets).sum()))(params)
    split = jax.jit(jax.grad(lambda p: loss(cfg, p, batch, exe).minimised))(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5), split, whole)


def test_temporaries_do_not_grow_with_the_vocabulary():
    """Of the loss and all gradients, over 8 devices: 64k against 8k; the logits alone would take 8 times as much.

    What grows is the head, gathered once: here 15 MB a device, beside activations of 16 x 1,024 tokens.
    """
    layout = Layout(make_mesh(MeshConfig()), AxisRules())
    sizes = {"layers": 2, "hidden": 64, "heads": 4, "head_dim": 16, "inner": 172, "context": 1024}

    def temporaries(vocab: int, logits_bytes: int) -> int:
        cfg = DecoderConfig(vocab=vocab, **sizes)
        params = jax.eval_shape(lambda: init_params(cfg, jax.random.key(0)))
        rows = jax.ShapeDtypeStruct((128, 1024), jnp.int32, sharding=layout.sharding(("batch", "length")))
        exe = Execution(layout=layout, logits_bytes=logits_bytes)
        grad = jax.grad(lambda p, x, y: loss(cfg, p, Batch(x, y), exe).minimised)
        return jax.jit(grad).lower(params, rows, rows).compile().memory_analysis().temp_size_in_bytes

    small, large = (temporaries(vocab, 2**24) for vocab in (8_192, 65_536))
    assert large < 1.05 * small
