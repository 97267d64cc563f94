from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from baichuan_jax.parallel.permutes import is_possible, scatter_sum


def over_devices(function, axis_size: int, x):
    """Run function on x[device] on so many devices; return the results, stacked."""
    mesh = Mesh(np.array(jax.devices()[:axis_size]), ("a",))
    spec = PartitionSpec("a")
    split = jax.shard_map(lambda x: function(x[0])[None], mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    return jax.jit(split)(x)


@pytest.mark.parametrize("axis_size", [1, 2, 4, 8])
@pytest.mark.parametrize("dimension", [0, 1, 2])
def test_scatter_sum_is_that_of_jax(axis_size, dimension):
    x = np.random.default_rng(axis_size).normal(size=(axis_size, 8, 16, 24)).astype(np.float32)
    plain = partial(jax.lax.psum_scatter, axis_name="a", scatter_dimension=dimension, tiled=True)
    found = over_devices(partial(scatter_sum, axis="a", dimension=dimension), axis_size, x)
    np.testing.assert_allclose(found, over_devices(plain, axis_size, x), rtol=1e-5, atol=1e-5)


def test_sums_of_bfloat16_are_rounded_less_often_than_in_a_chain():
    x = np.random.default_rng(0).normal(size=(8, 8, 512)).astype(jnp.bfloat16)
    found = over_devices(partial(scatter_sum, axis="a", dimension=0), 8, x)
    assert found.dtype == jnp.bfloat16
    exact = x.astype(np.float64).sum(axis=0)
    error = np.abs(np.asarray(found, np.float64)[:, 0] - exact)
    one_after_the_other = np.asarray(reduce(np.add, x), np.float64)
    assert error.mean() < np.abs(one_after_the_other - exact).mean()


def test_which_sizes_are_possible():
    assert [axis_size for axis_size in range(1, 20) if is_possible(axis_size)] == [1, 2, 4, 8, 16]
