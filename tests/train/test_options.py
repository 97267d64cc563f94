from types import SimpleNamespace

import pytest

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.flags import FLAGS, flags
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.parallel.targets import CHIPS, known_card
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.options import cards_of_a_host, gradient_buckets, options
from baichuan_jax.train.step import make_execution


def test_no_thresholds_where_the_compiler_takes_none():
    layout = Layout(make_mesh(MeshConfig()), AxisRules())
    wanted = DecoderConfig(), TrainConfig(), make_execution(TrainConfig(), DecoderConfig(), layout)
    assert gradient_buckets(*wanted) is None
    assert options(*wanted) == FLAGS["cpu"] == {}


@pytest.mark.parametrize(
    ("label", "platform", "kind"),
    [("TPU v5 lite", "tpu", "v5e"), ("TPU v5p", "tpu", "v5p"), ("TPU v4", "tpu", "tpu"), ("NVIDIA H200", "gpu", "gpu")],
)
def test_flags_of_a_device(label, platform, kind):
    assert flags(SimpleNamespace(device_kind=label), platform) is FLAGS[kind]


@pytest.mark.parametrize(("label", "chip"), [("NVIDIA H200", CHIPS["h200"]), ("NVIDIA T4", None)])
def test_cards_at_hand(label, chip):
    assert known_card(SimpleNamespace(device_kind=label)) == chip


@pytest.mark.parametrize("processes", ["one for a host", "one for a card"])
def test_cards_of_a_host(processes):
    """Two hosts of 4."""
    of_card = processes == "one for a card"
    cards = [(card if of_card else card // 4, card % 4) for card in range(8)]
    devices = [SimpleNamespace(process_index=process, local_hardware_id=number) for process, number in cards]
    assert cards_of_a_host(devices) == 4
