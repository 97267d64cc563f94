"""Needs the compilers for TPU and GPU: pip install libtpu jax-cuda13-plugin."""

import json
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.parallel import targets
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


def planned(*arguments: str) -> dict:
    return json.loads(run("plan", CONFIG, *SMALL, "--json", *arguments).stdout)


@pytest.mark.aot
def test_1024_cards():
    """Gradients are reduce-scattered within a host; in loops everything runs beside other work."""
    pytest.importorskip("jax_plugins.xla_cuda13")
    found = planned("--target", "h100:8x128", "--set=MeshConfig.data=128", "--set=MeshConfig.fsdp=8", "--length=1024")
    assert found["devices"] == 1024
    assert found["fits"]
    assert found["sent_bytes"]["reduce-scatter"] > found["sent_bytes"]["all-reduce"]
    assert 0 < found["mfu_causal"] < found["mfu_full"] < found["hfu"] < 1


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
def test_a_tpu_slice():
    pytest.importorskip("libtpu")
    found = planned("--target", "v5e:2x2", "--length=1024")
    assert found["kernel"] == "splash"
    assert found["fits"]
    assert found["total"] > found["arguments"] > 0  # with the program itself, which is the larger part here
