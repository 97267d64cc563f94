"""Needs the compilers for TPU and GPU: pip install libtpu jax-cuda13-plugin."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.parallel import targets
from baichuan_jax.plan.hlo import Collective
from baichuan_jax.plan.train_plan import _asked
from tests.cli.small import run

SMALL = [
    f"--set={setting}"
    for setting in (
        "DecoderConfig.vocab=8192",
        "TokenizerConfig.vocab=8192",
        "DecoderConfig.layers=2",
        "DecoderConfig.hidden=512",
        "DecoderConfig.heads=4",
        "DecoderConfig.inner=1408",
    )
]
CONFIG = Path(__file__).parents[2] / "configs/model/baichuan_7b.gin"


@pytest.mark.parametrize("name", ["v5p", "tpu:4x4", "h100:8xmany", "h100:8x2x2", "v5e:0x4"])
def test_a_target_that_is_none(name):
    with pytest.raises(UserError, match="target"):
        targets.find(name)


@pytest.mark.parametrize(
    ("target", "compiler", "extra"), [("v5e:4x4", "libtpu", "tpu"), ("h100:8x1", "jax_plugins", "cuda13")]
)
def test_without_a_compiler_it_says_which_to_install(target, compiler, extra):
    if find_spec(compiler):
        pytest.skip(f"{compiler} is installed")
    with pytest.raises(UserError, match=rf"install the compiler: pip install -e '\.\[{extra}\]'"):
        targets.find(target)


ALL = "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 20.50G of 15.75G hbm. Exceeded by 4.75G."
TEMPORARIES = (
    "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total memory required for HLO "
    "temporaries (38.50G) exceeds available HBM (15.75G). HLO module: jit_step."
)


@pytest.mark.parametrize(("message", "total"), [(ALL, 20.5), (TEMPORARIES, 43.5)])
def test_what_a_program_that_is_too_large_asked_for(message, total):
    assert _asked(RuntimeError(message), 5 * 2**30) == total * 2**30


def test_what_does_not_compile_for_another_reason():
    with pytest.raises(UserError, match="CompileTimeScopedVmemOom"):
        _asked(RuntimeError("RESOURCE_EXHAUSTED: E1001: CompileTimeScopedVmemOom:"), 0)


def planned(*arguments: str) -> dict:
    return json.loads(run("plan", CONFIG, *SMALL, "--json", *arguments).stdout)


HIDDEN, INNER, VOCAB, LAYERS = 1024, 2816, 8192, 32
NARROW = [
    f"--set={setting}"
    for setting in (
        f"DecoderConfig.vocab={VOCAB}",
        f"TokenizerConfig.vocab={VOCAB}",
        f"DecoderConfig.hidden={HIDDEN}",
        "DecoderConfig.heads=8",
        f"DecoderConfig.inner={INNER}",
    )
]
MATRICES = LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER)  # of all layers
HEAD = 2 * VOCAB * HIDDEN  # bytes in bfloat16, and of the token table


BOTH = ("--set=AxisRules.embed=('fsdp', 'data')", "--set=AxisRules.table_embed=('fsdp', 'data')")


def sent(target: str, data: int, fsdp: int, rules: tuple[str, ...] = ()) -> tuple[dict, list[Collective]]:
    """Return the plan of a narrow decoder of 32 layers, and its collectives of at least 1 MiB."""
    mesh = (f"--set=MeshConfig.data={data}", f"--set=MeshConfig.fsdp={fsdp}", *rules)
    found = json.loads(run("plan", CONFIG, *NARROW, "--json", "--length=1024", "--target", target, *mesh).stdout)
    return found, [Collective(**each) for each in found["collectives"]]


def check_what_every_device_does(collectives: list[Collective], fsdp: int) -> None:
    """Return the head is gathered once; every gradient is reduce-scattered once, so all-reduces see shards alone.

    Neither the token table nor its gradient is gathered or scattered. A gradient of the table that is summed whole
    would be 8 % more to reduce over 4 shards, and more over others.
    """
    heads = [each for each in collectives if each.kind == "all-gather" and each.size == HEAD]
    assert [(each.times, each.loop) for each in heads] == [(1, False)]
    gathered = sum(each.times * each.size for each in collectives if each.kind == "all-gather")
    once = HEAD + 2 * 2 * MATRICES  # in bfloat16, in the forward pass and again in the backward pass
    again = 2 * 2 * LAYERS * HIDDEN * HIDDEN  # libtpu 0.0.42.1 gathers two of attention's matrices a third time
    assert gathered in (once, once + again)
    scattered = sum(each.times * each.size for each in collectives if each.kind == "reduce-scatter")
    assert scattered == pytest.approx(HEAD + 2 * MATRICES, rel=0.02)  # TPUs fill odd sizes up
    reduced = sum(each.times * each.size for each in collectives if each.kind == "all-reduce")
    assert reduced == pytest.approx((2 * HEAD + 2 * MATRICES) / fsdp, rel=0.02)


@pytest.mark.aot
@pytest.mark.parametrize(("target", "data"), [("h100:8x128", 128), ("a800:8x16", 16)])
def test_what_cards_send(target, data):
    """In loops everything runs beside other work, in as many messages as were planned."""
    pytest.importorskip("jax_plugins.xla_cuda13")
    found, collectives = sent(target, data, 8)
    assert found["devices"] == 8 * data
    assert found["fits"]
    assert 0 < found["mfu_causal"] < found["mfu_full"] < found["hfu"] < 1
    check_what_every_device_does(collectives, 8)
    assert [each for each in collectives if each.loop and not each.is_async] == []
    assert found["async_share"] >= 0.98
    messages = [each for each in collectives if each.loop and each.kind == "reduce-scatter"]
    assert len(messages) == found["buckets"]["messages"]


@pytest.mark.aot
def test_what_a_slice_sends():
    """Reduce-scatters and gathers of feed-forward matrices run beside products; those of attention are small here."""
    pytest.importorskip("libtpu")
    found, collectives = sent("v5e:4x4", 4, 4)
    assert found["fits"]
    check_what_every_device_does(collectives, 4)
    waits = {(each.kind, each.size) for each in collectives if each.loop and not each.is_async}
    assert {each for each in waits if each[0] != "all-reduce"} == {("all-gather", 2 * HIDDEN * HIDDEN)}


@pytest.mark.aot
def test_what_sparse_cores_send():
    """Everything, and beside other work."""
    pytest.importorskip("libtpu")
    found, collectives = sent("v5p:4x4x4", 4, 16)
    check_what_every_device_does(collectives, 16)
    assert [each for each in collectives if each.loop and not each.is_async] == []
    assert found["async_share"] >= 0.98


def check_sums_in_stages(collectives: list[Collective], matrices: int) -> None:
    """Every gradient is scattered over one axis once, and its parts go by permutes; nothing is all-reduced."""
    reduced = [each for each in collectives if each.kind == "all-reduce"]
    assert all(each.source.endswith("all_gather") for each in reduced)  # libtpu's way to gather token ids
    scattered = sum(each.times * each.size for each in collectives if each.kind == "reduce-scatter")
    assert scattered == pytest.approx(2 * matrices, rel=0.02)
    assert [each for each in collectives if each.loop and not each.is_async] == []


@pytest.mark.aot
def test_sparse_cores_with_parameters_over_every_axis():
    pytest.importorskip("libtpu")
    found, collectives = sent("v5p:4x4x4", 4, 16, BOTH)
    check_sums_in_stages(collectives, MATRICES + VOCAB * HIDDEN)
    assert found["async_share"] >= 0.98


@pytest.mark.aot
def test_a_torus_with_parameters_over_both_axes():
    """7 billion parameters on v5e, which has no sparse cores; older compilers let some wait."""
    pytest.importorskip("libtpu")
    mesh = ("--set=MeshConfig.data=16", "--set=MeshConfig.fsdp=16", *BOTH)
    found = json.loads(run("plan", CONFIG, "--json", "--target", "v5e:16x16", *mesh).stdout)
    assert found["total"] <= 4.5 * 2**30
    if tuple(map(int, version("libtpu").split(".")[:3])) >= (0, 0, 52):
        query = 32 * 4096 * 4096  # of every layer, is summed by permutes, as the head is
        check_sums_in_stages([Collective(**each) for each in found["collectives"]], 32 * 202_375_168 - query)
        assert found["async_share"] >= 0.98
    else:
        assert found["async_share"] >= 0.8


@pytest.mark.aot
def test_a_card_that_is_too_small():
    """Of a decoder of 7 billion parameters, float32 and its moments alone take 78 GiB."""
    pytest.importorskip("jax_plugins.xla_cuda13")
    found = json.loads(run("plan", CONFIG, "--json", "--target", "a800:1").stdout)
    assert not found["fits"]
    assert found["arguments"] == pytest.approx(12 * 7_000_559_616, rel=1e-3)
    assert found["total"] > found["capacity"]
    assert found["days"] is None


@pytest.mark.aot
def test_seven_billion_on_64_chips():
    """Two sequences of 4,096 of a chip, blocks recomputed."""
    pytest.importorskip("libtpu")
    found = json.loads(run("plan", CONFIG, "--json", "--target", "v5p:4x4x4", "--rows", "2").stdout)
    assert (found["attention"], found["remat"]) == ("splash", "block")
    assert found["total"] <= 6.3 * 2**30


@pytest.mark.aot
def test_a_tpu_slice():
    pytest.importorskip("libtpu")
    found = planned("--target", "v5e:2x2", "--length=1024")
    assert found["attention"] == "splash"
    assert found["fits"]
    assert found["total"] > found["arguments"] > 0  # with the program itself, which is the larger part here


@pytest.mark.aot
def test_sequences_that_are_split_over_a_slice():
    """Tokens are exchanged for heads around attention, and back: forward, recomputed, and in the backward pass."""
    pytest.importorskip("libtpu")
    mesh = ("--set=MeshConfig.fsdp=4", "--set=MeshConfig.context=4", "--set=DecoderConfig.context=8192")
    found = planned("--target", "v5e:4x4", *mesh)
    assert (found["attention"], found["length"], found["batch"]) == ("splash", 8192, 4)
    part = 8192 // 4 * 512 * 2  # bytes of a device's queries, in bfloat16, and of its looked-up vectors
    assert found["sent_bytes"]["all-to-all"] == 2 * 3 * 4 * part * 3 / 4 + 2 * part * 15 / 16


@pytest.mark.aot
@pytest.mark.parametrize("target", ["v5e:4x4", "v5p:2x2x2"])
def test_the_compiler_warns_of_nothing(target):
    """libtpu itself writes to standard error that it finds no TPU, once a process."""
    pytest.importorskip("libtpu")
    code = f"from baichuan_jax.parallel.targets import find; print(len(find({target!r}).devices))"
    settings = {name: value for name, value in os.environ.items() if not name.startswith("TPU_")}
    command = [sys.executable, "-c", code]
    environment = {**settings, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert (int(done.stdout), done.stderr) == ({"v5e:4x4": 16, "v5p:2x2x2": 8}[target], "")
