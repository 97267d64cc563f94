import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baichuan_jax.model.embed import look_up
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.plan.hlo import collectives


@pytest.mark.parametrize("mesh", [MeshConfig(data=2, fsdp=4), MeshConfig(data=2, fsdp=2, tensor=2)])
def test_the_token_table_and_its_gradient_stay_split(mesh):
    """And the gradient is that of plain indexing."""
    layout = Layout(make_mesh(mesh), AxisRules())
    table = jax.random.normal(jax.random.key(0), (64, 16))
    tokens = jax.random.randint(jax.random.key(1), (8, 12), 0, 64)
    weights = jax.random.normal(jax.random.key(2), (8, 12, 16))
    place = lambda x, *axes: jax.device_put(x, layout.sharding(axes))
    grad = jax.jit(
        jax.grad(lambda t, x, w: jnp.sum(look_up(t, x, layout) * w)),
        out_shardings=layout.sharding(("table_vocab", "table_embed")),
    )
    arrays = place(table, "table_vocab", "table_embed"), place(tokens, "batch", "length"), place(weights, "batch")
    expected = jax.grad(lambda t: jnp.sum(t[tokens] * weights))(table)
    np.testing.assert_allclose(grad(*arrays), expected, rtol=1e-5, atol=1e-6)
    found = collectives(grad.lower(*arrays).compile().as_text())
    assert {"all-to-all", "all-reduce"} <= {each.kind for each in found}
    part = table.nbytes // mesh.fsdp // mesh.tensor
    assert {each.size for each in found if each.kind == "all-reduce"} == {part}  # summed over the replicas
