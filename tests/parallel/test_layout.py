import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from baichuan_jax.core.errors import UserError
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh


def test_one_axis_takes_the_devices_that_are_left():
    assert dict(make_mesh(MeshConfig(data=2, fsdp=-1, tensor=2)).shape) == {
        "data": 2,
        "fsdp": 2,
        "context": 1,
        "tensor": 2,
    }


@pytest.mark.parametrize("cfg", [MeshConfig(fsdp=3), MeshConfig(data=16), MeshConfig(tensor=3)])
def test_a_mesh_that_does_not_fit_the_devices(cfg):
    with pytest.raises(UserError, match="number of devices, 8"):
        make_mesh(cfg)


def test_two_open_axes_are_refused():
    with pytest.raises(UserError, match="at most one axis of size -1"):
        MeshConfig(data=-1, fsdp=-1)


def test_rules_name_mesh_axes():
    with pytest.raises(UserError, match=r"AxisRules.embed = 'fdsp'.*data, fsdp, context, tensor"):
        AxisRules(embed="fdsp")


def test_one_mesh_axis_for_two_dimensions_is_refused():
    layout = Layout(make_mesh(MeshConfig()), AxisRules(embed="tensor"))
    with pytest.raises(UserError, match="only one dimension of an array"):
        layout.spec(("embed", "mlp"))


def test_spec_and_divisibility():
    layout = Layout(make_mesh(MeshConfig(data=2, fsdp=2, tensor=2)), AxisRules())
    assert layout.spec(("batch", "length", "heads", "head_dim")) == P(("data", "fsdp"), "context", "tensor", None)
    assert layout.batch_shards == 4
    with pytest.raises(UserError, match=r"'heads' of size 3 is not divisible.*AxisRules.heads = None"):
        layout.sharding(("heads",), (3,))


def test_constrain_inside_jit():
    layout = Layout(make_mesh(MeshConfig(data=2, fsdp=2, tensor=2)), AxisRules())
    x = jax.jit(lambda x: layout.constrain(x * 2, "batch", "mlp"))(jnp.ones((8, 4)))
    assert x.sharding.is_equivalent_to(layout.sharding(("batch", "mlp")), 2)
