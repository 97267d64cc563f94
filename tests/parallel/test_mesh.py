"""Meshes over devices that are not here: objects that say where they stand."""

from dataclasses import dataclass

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.parallel.mesh import across_islands, arrange


@dataclass(frozen=True)
class Card:
    """What JAX knows of a GPU, as far as meshes go: slice_index counts hosts, whatever processes there are."""

    id: int
    slice_index: int
    process_index: int
    platform: str = "gpu"
    device_kind: str = "card"


@dataclass(frozen=True)
class Chip:
    """A chip of a TPU slice, at a place in its torus."""

    id: int
    slice_index: int
    coords: tuple[int, int, int]
    process_index: int = 0
    core_on_chip: int = 0
    platform: str = "tpu"
    device_kind: str = "TPU v5"


def cards(hosts: int, of_each: int) -> list[Card]:
    """One process for each card, as Slurm starts them."""
    return [Card(number, number // of_each, number) for number in range(hosts * of_each)]


def chips(slices: int) -> list[Chip]:
    """Slices of 2 x 2 x 4 chips."""
    places = [(x, y, z) for z in range(4) for y in range(2) for x in range(2)]
    return [Chip(16 * each + number, each, place) for each in range(slices) for number, place in enumerate(places)]


@pytest.mark.parametrize(
    ("sizes", "across"),
    [
        ((4, 8, 1, 1), (4, 1, 1, 1)),  # fsdp within a host, data between hosts
        ((8, 4, 1, 1), (4, 1, 1, 1)),
        ((4, 2, 1, 4), (4, 1, 1, 1)),
        ((1, 32, 1, 1), (1, 4, 1, 1)),
        ((2, 8, 1, 2), (2, 2, 1, 1)),
        ((32, 1, 1, 1), (4, 1, 1, 1)),
        ((4, 2, 4, 1), (4, 1, 1, 1)),  # and context within a host, as tensor is
        ((2, 4, 2, 2), (2, 2, 1, 1)),
    ],
)
def test_data_crosses_hosts_before_fsdp_does(sizes, across):
    devices = cards(4, 8)
    assert across_islands(sizes, devices) == across
    mesh = arrange(sizes, across, devices)
    assert mesh.shape == sizes
    assert {card.id for card in mesh.flat} == set(range(32))
    hosts = lambda group: {card.slice_index for card in group.flat}
    assert all(len(hosts(mesh[data])) == across[1] for data in range(sizes[0]))
    assert all(len(hosts(mesh[data, fsdp])) == 1 for data in range(sizes[0]) for fsdp in range(sizes[1]))


def test_slices_of_a_torus():
    devices = chips(2)
    assert across_islands((2, 16, 1, 1), devices) == (2, 1, 1, 1)
    mesh = arrange((2, 4, 4, 1), (2, 1, 1, 1), devices)
    assert [{chip.slice_index for chip in part.flat} for part in mesh] == [{0}, {1}]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((2, 1, 1, 16), r"MeshConfig.tensor = 16: expected a divisor of the 8 devices .* 4 islands"),
        ((1, 2, 1, 16), r"MeshConfig.tensor = 16"),
        ((1, 2, 16, 1), r"MeshConfig.context \* tensor = 16"),
    ],
)
def test_tensor_and_context_stay_inside(sizes, message):
    with pytest.raises(UserError, match=message):
        across_islands(sizes, cards(4, 8))


def test_a_shard_of_an_island_and_a_half_is_refused():
    with pytest.raises(UserError, match=r"fsdp \* tensor = 9: expected a divisor or a multiple of the 6 .*fsdp = 6"):
        across_islands((2, 9, 1, 1), cards(3, 6))


def test_islands_of_different_sizes_are_refused():
    with pytest.raises(UserError, match=r"devices of each island = \[7, 8\]"):
        across_islands((5, 3, 1, 1), cards(2, 8)[1:])
