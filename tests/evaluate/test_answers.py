"""Answers on disk: what was finished is there after a kill, and nothing that is torn."""

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.evaluate.harness.answers import Answers, request_key


def test_answers_come_back(tmp_path):
    first = Answers(tmp_path / "a" / "answers")
    first.add({"k": [-1.25, True], "t": "中文\nline"})
    again = Answers(tmp_path / "a" / "answers")
    assert again["k"] == [-1.25, True]
    assert again["t"] == "中文\nline"
    assert "other" not in again


@pytest.mark.parametrize("torn", ['["k3", [1', '["k3", [1, 2]]', '{"k": 1}', "5", "\x00\x00\x00"])
def test_a_torn_end_is_dropped_and_written_over(tmp_path, torn):
    path = tmp_path / "answers"
    first = Answers(path)
    first.add({"k1": 1})
    first.add({"k2": 2})
    first.close()
    with path.open("a") as file:
        file.write(torn)
    second = Answers(path)
    assert ("k1" in second, "k2" in second, "k3" in second) == (True, True, False)
    second.add({"k3": 3})
    second.close()
    assert Answers(path)["k3"] == 3


def test_cut_at_any_byte_it_holds_a_beginning(tmp_path):
    path = tmp_path / "answers"
    Answers(path).add({f"k{number}": [number, "字"] for number in range(5)})
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        known = Answers(path)
        count = data[:size].count(b"\n")
        assert [f"k{number}" in known for number in range(5)] == [number < count for number in range(5)]


def test_keys_tell_requests_apart():
    keys = [
        request_key("score", [1, 2], 1),
        request_key("score", [1, 2], 2),
        request_key("score", [1, 2, 3], 1),
        request_key("text", [1, 2], 1),
        request_key("text", [1, 2], 8, ("a",)),
    ]
    assert len(set(keys)) == len(keys)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        Answers(tmp_path / "file" / "answers")
