import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.plan.hlo import collectives

# Cut down from programs compiled for TPU v5e and for H100.
TPU = """
%fused_computation.3 (param_0.1: bf16[1,16,128]) -> (bf16[1,16,128], bf16[1,4096,128]) {
  %all-gather.7 = bf16[1,4096,128]{2,1,0:T(8,128)(2,1)} all-gather(%param_0.1), channel_id=5, \
replica_groups=mesh['axis_0'=256] {'axis_0'}, dimensions={1}, metadata={op_name="jit(step)/while/body/convert"}
}
%async_collective_fusion.4 (param_0.2: bf16[1,16,128]) -> bf16[8,128] {
  %all-gather.8 = bf16[1,4096,128]{2,1,0:T(8,128)(2,1)} all-gather(%param_0.2), channel_id=5, \
replica_groups=mesh['axis_0'=256] {'axis_0'}, dimensions={1}
}
%all-reduce-scatter (input: f32[64,128]) -> f32[16,128] {
  %all-reduce.9 = f32[64,128]{1,0} all-reduce(%input), channel_id=6, replica_groups=[4,4]<=[16], to_apply=%add
}
%condition.1 (param.1: (s32[], bf16[16,128])) -> pred[] {
  %constant.2 = s32[]{:T(128)} constant(32), metadata={op_name="jit(step)/while/cond"}
  ROOT %lt.1 = pred[]{:T(512)} compare(%get-tuple-element.1, %constant.2), direction=LT
}
%body.1 (param.2: (s32[], bf16[16,128])) -> (s32[], bf16[16,128]) {
  %async-collective-start.1 = (bf16[1,16,128]{2,1,0}, bf16[1,4096,128]{2,1,0}) fusion(%x), kind=kCustom, \
calls=%fused_computation.3
  %fusion.1 = bf16[8,128]{1,0} fusion(%async-collective-start.1), kind=kOutput, calls=%async_collective_fusion.4
}
ENTRY %main.1 (param.3: bf16[16,128]) -> f32[] {
  %while.1 = (s32[]{:T(128)}, /*index=1*/bf16[16,128]{1,0}) while(%tuple.1), condition=%condition.1, body=%body.1
  %all-reduce-scatter.1 = f32[16,128]{1,0} fusion(%y), kind=kCustom, calls=%all-reduce-scatter
  ROOT %all-reduce.1 = (f32[], f32[100]{0}) all-reduce(%a, %b), channel_id=7, replica_groups={{0,1},{2,3}}
}
"""
GPU = """
ENTRY %main.2 (p: bf16[8,128]) -> bf16[64,128] {
  %all-gather-start.1 = ((bf16[8,128]{1,0}, f32[4]{0}), (bf16[64,128]{1,0}, f32[32]{0})) all-gather-start(%p, %q), \
channel_id=1, replica_groups=[1,8]<=[8], dimensions={0}, backend_config={"collective_backend_config":{"is_sync":false}}
  %fusion.1 = bf16[64]{0} fusion(%s), kind=kLoop, calls=%convert
  %all-gather-done.1 = (bf16[64,128]{1,0}, f32[32]{0}) all-gather-done(%all-gather-start.1)
  %all-reduce-start.1 = f32[64]{0} all-reduce-start(%r), channel_id=2, to_apply=%add, \
replica_groups=mesh['axis_0'=1,'axis_1'=8,'axis_2'=2], device_ids=([2,8]T(1,0)) {'axis_1'}, \
backend_config={"collective_backend_config":{"is_sync":true}}
}
"""


SPARSE = """
%body.1 (param.2: bf16[16,128]) -> bf16[64,128] {
  %all-gather.1 = bf16[64,128]{1,0} all-gather(%param.2), channel_id=3, replica_groups=[1,4]<=[4], dimensions={0}
}
ENTRY %main.1 (param.3: bf16[16,128]) -> bf16[64,128] {
  %call-start.1 = ((), bf16[64,128], s32[9]) async-start(), async_execution_thread="sparsecore", calls=%body.1
  %fusion.1 = bf16[16,128] fusion(%param.3), kind=kLoop, calls=%convert.1
  %call-update.1 = ((bf16[16,128]), bf16[64,128], s32[9]) async-update(%call-start.1, %fusion.1)
  %fusion.2 = bf16[16,128] fusion(%param.3), kind=kLoop, calls=%convert.1
  %call-done.1 = bf16[64,128] async-done(%call-update.1)
  %fusion.3 = bf16[64,128] fusion(%call-done.1), kind=kLoop, calls=%convert.2
}
"""


@pytest.mark.parametrize(("program", "is_async"), [(SPARSE, True), (SPARSE.replace("%fusion.2 =", "#"), False)])
def test_what_sparse_cores_send(program, is_async):
    """They are at work once they are given an array, and not before; what comes after the end does not count."""
    (gather,) = collectives(program)
    assert gather[:5] == ("all-gather", 64 * 128 * 2, 4, 1, is_async)


def test_a_tpu_program():
    reduce, scatter, gather = sorted(collectives(TPU), key=lambda each: each.size)
    assert gather[:6] == ("all-gather", 4096 * 128 * 2, 256, 32, True, True)
    assert gather.source == "jit(step)/while/body/convert"
    assert gather.sent == 32 * 4096 * 128 * 2 * 255 / 256
    assert scatter[:6] == ("reduce-scatter", 64 * 128 * 4, 4, 1, False, False)
    assert reduce[:6] == ("all-reduce", 404, 2, 1, False, False)
    assert reduce.sent == 404


def test_the_copy_of_a_collective_that_is_taken_out_of_a_loop():
    """It keeps the channel of the one in the loop, and is sent as well."""
    start = "  %async-collective-start.9 = bf16[1,4096,128] fusion(%z), kind=kCustom, calls=%fused_computation.3\n"
    entry = "ENTRY %main.1 (param.3: bf16[16,128]) -> f32[] {\n"
    gathers = [each for each in collectives(TPU.replace(entry, entry + start)) if each.kind == "all-gather"]
    assert sorted((each.times, each.loop) for each in gathers) == [(1, False), (32, True)]


def test_a_gpu_program():
    gather, reduce = collectives(GPU)
    assert not collectives(GPU.replace("%fusion.1 =", "#"))[0].is_async
    assert gather[:6] == ("all-gather", 64 * 128 * 2 + 32 * 4, 8, 1, True, False)
    assert reduce[:6] == ("all-reduce", 256, 8, 1, False, False)


def test_what_is_compiled_here():
    """A loop of five all-reduces over 4 devices, and one reduce-scatter over 8."""
    layout = Layout(make_mesh(MeshConfig(fsdp=4, tensor=2)), AxisRules())

    def local(x):
        x, _ = jax.lax.scan(lambda x, _: (jax.lax.psum(x, "fsdp") / 3, None), x, length=5)
        return jax.lax.psum_scatter(x, ("fsdp", "tensor"), tiled=True)

    f = jax.shard_map(local, mesh=layout.mesh, in_specs=P(), out_specs=P(("fsdp", "tensor")), check_vma=False)
    found = {each.kind: each for each in collectives(jax.jit(f).lower(jnp.ones((16, 3))).compile().as_text())}
    assert found["all-reduce"][:6] == ("all-reduce", 16 * 3 * 4, 4, 5, False, True)
    assert found["reduce-scatter"][:6] == ("reduce-scatter", 16 * 3 * 4, 8, 1, False, False)
