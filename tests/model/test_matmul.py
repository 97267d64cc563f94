"""`matmul` is a matrix product whose gradients are autodiff's, whatever axes it contracts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from baichuan_jax.model.execution import Execution, matmul


@pytest.mark.parametrize(
    ("spec", "x_shape", "kernel_shape", "axes"),
    [
        ("BTD,DF->BTF", (2, 5, 8), (8, 12), 1),
        ("BTD,DNH->BTNH", (2, 5, 8), (8, 3, 4), 1),
        ("BTNH,NHD->BTD", (2, 5, 3, 4), (3, 4, 8), 2),
        ("nD,DF->nF", (7, 8), (8, 12), 1),
    ],
)
@pytest.mark.parametrize(("dtype", "to_float32"), [(jnp.float32, False), (jnp.bfloat16, False), (jnp.bfloat16, True)])
def test_gradients_are_those_of_einsum(spec, x_shape, kernel_shape, axes, dtype, to_float32):
    keys = jax.random.split(jax.random.key(0), 3)
    x, kernel = jax.random.normal(keys[0], x_shape, dtype), jax.random.normal(keys[1], kernel_shape, dtype)
    ours, backward = jax.vjp(lambda x, kernel: matmul(x, kernel, axes, None, to_float32), x, kernel)
    theirs, reference = jax.vjp(lambda x, kernel: jnp.einsum(spec, x, kernel), x, kernel)
    dy = jax.random.normal(keys[2], ours.shape, dtype)
    for mine, other in zip((ours, *backward(dy)), (theirs, *reference(dy)), strict=True):
        assert (mine.shape, mine.dtype) == (other.shape, dtype)
        tolerance = 1e-5 if dtype == jnp.float32 else 2e-2
        np.testing.assert_allclose(mine.astype(jnp.float32), other.astype(jnp.float32), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_products_of_bfloat16_on_a_cpu_are_float32(dtype):
    exe = Execution(jnp.dtype(dtype))
    kernel = nnx.Param(jnp.ones((8, 12)))
    program = jax.make_jaxpr(jax.grad(lambda x: exe.matmul(x, kernel).sum().astype(jnp.float32)))(
        jnp.ones((3, 8), dtype)
    )
    text = str(program)
    assert "dot_general" in text
    assert ("preferred_element_type=bfloat16" in text) is False
    assert text.count("preferred_element_type=float32") == text.count("dot_general")


def test_the_wider_factor_is_not_transposed():
    """What the order of the gradient is for."""

    def compiled(multiply):
        def gradient(x, kernel):
            gate, backward = jax.vjp(multiply, x, kernel)
            return backward(jnp.tanh(gate))[1]

        return jax.jit(gradient).lower(jnp.ones((4, 64, 128)), jnp.ones((128, 512))).compile().as_text()

    transposed = "f32[512,256]"
    assert transposed in compiled(lambda x, kernel: x @ kernel)
    assert transposed not in compiled(matmul)
