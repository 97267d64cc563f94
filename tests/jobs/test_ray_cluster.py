"""Tasks on Ray."""

import socket
import sys
import time

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.ray_cluster import check_reachable, task_memory
from baichuan_jax.jobs.runner import Runner
from tests.jobs.jobs import Squares, run, squares, times

ON_RAY = {"kind": "ray", "workers": 2, "memory": 1}


@pytest.mark.ray
def test_every_task_is_done_and_those_of_a_killed_process_again(tmp_path, capfd):
    shown = []
    with Runner(RunnerConfig(**ON_RAY), tmp_path / "engine") as runner:
        for phase in ("without_jax", "killed_once"):
            (tmp_path / phase).mkdir()
            runner.run(phase, Squares(tmp_path / phase, phase), 5, lambda *progress: shown.append(progress))
            assert squares(tmp_path / phase) == [0, 1, 4, 9, 16]
            assert shown[-6:] == [(done, 5) for done in range(6)]
    assert times(tmp_path / "killed_once") == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1}
    assert capfd.readouterr().err == ""


@pytest.mark.ray
@pytest.mark.parametrize(
    ("how", "failed", "kind", "message"),
    [
        ("killed_always", 2, UserError, "the process of task 2 of phase 'squares' died 3 times"),
        ("wrong", 1, UserError, r"line 1 of a\.jsonl is wrong"),
        ("broken", 1, ZeroDivisionError, "by zero"),
    ],
)
def test_a_failure_is_raised_as_it_was(tmp_path, how, failed, kind, message):
    with pytest.raises(kind, match=message):
        run(tmp_path, how, **ON_RAY)
    assert not (tmp_path / f"out/{failed:05d}").exists()


def test_without_ray(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[scale\]'"):
        run(tmp_path, "well", kind="ray")


def node(gigabytes, cores, alive=True):
    return {"Alive": alive, "Resources": {"CPU": cores, "memory": gigabytes * 2.0**30}}


@pytest.mark.parametrize(
    ("asked", "nodes", "found"),
    [
        (0, [node(100, 8)], 4),
        (0, [node(3, 2)], 1.5),
        (0, [node(3, 8)], 1.5),  # of two tasks at once
        (0, [node(3, 2), node(64, 0), node(64, 4, alive=False)], 1.5),
        (3, [node(3, 2)], 3),
        (4, [node(3, 2), node(5, 1)], 4),
    ],
)
def test_a_task_asks_for_what_a_node_has(asked, nodes, found):
    assert task_memory(RunnerConfig(kind="ray", workers=2, memory=asked), nodes) == found * 2**30


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [node(3.5, 2), node(64, 0)],
            r"RunnerConfig\.memory = 4: no node .* has 4 GB for a task, the largest has 3\.5",
        ),
        ([node(64, 0), node(64, 2, alive=False)], "no node with a core for tasks"),
    ],
)
def test_what_no_node_has_is_refused(nodes, message):
    with pytest.raises(UserError, match=message):
        task_memory(RunnerConfig(kind="ray", memory=4), nodes)


def test_an_address_where_nothing_listens():
    with socket.create_server(("localhost", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
        check_reachable(address)
    for wrong in (address, f"ray://{address}"):
        with pytest.raises(UserError, match=f"RunnerConfig.address = '{wrong}': no Ray cluster answers there"):
            check_reachable(wrong)
    for name in ("", "auto"):
        check_reachable(name)


@pytest.mark.ray
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"memory": 10**6}, r"RunnerConfig\.memory = 1000000: no node of the Ray cluster has 1000000 GB for a task"),
        ({"address": "auto"}, r"RunnerConfig\.address = 'auto': no Ray cluster to use \(Could not find any running"),
    ],
)
def test_what_the_cluster_cannot_do_is_one_message_in_time(tmp_path, capfd, settings, message):
    begun = time.monotonic()
    with pytest.raises(UserError, match=message):
        run(tmp_path, "well", **{"kind": "ray", "workers": 1, **settings})
    assert time.monotonic() - begun < 60  # most of it starts Ray
    assert capfd.readouterr().err == ""


@pytest.mark.ray
def test_the_memory_is_sized_from_what_is_there(tmp_path):
    with Runner(RunnerConfig(kind="ray", workers=2), tmp_path) as runner:
        nodes = runner._engine._ray.nodes()
        assert 0 < runner._engine._memory <= nodes[0]["Resources"]["memory"] / 2
