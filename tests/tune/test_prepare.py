"""Conversations become samples, or faults with their lines; the split; what is cut."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baichuan_jax.chat.encode import ChatTemplate, Sample
from baichuan_jax.core.errors import UserError
from baichuan_jax.tune.data_config import InstructionConfig
from baichuan_jax.tune.faults import tally_lines
from baichuan_jax.tune.prepare import FAULTS, prepare, prepared_in
from tests.chat.spelling import talk
from tests.tune.making import TOKENIZER, prepared, template, write_lines

GOOD = {"instruction": "2+2?", "output": "4"}
LINES = [
    GOOD,
    '{"instruction": "2+2?", "output": "4"',
    {"instruction": "2+2?", "output": ""},
    "",
    {"instruction": "2+2?"},
    {"messages": talk("a", "b")[::-1]},
    b'{"instruction": "\xff\xfe\xfa", "output": "4"}',
    '{"instruction": "\\ud83d", "output": "4"}',
    "[]",
    {"instruction": "长" * 100, "output": "4"},
    GOOD | {"output": "5"},
    {"instruction": "2+2?", "output": "  "},
]
EXPECTED = {
    2: "not_json",
    3: "empty_response",
    5: "missing_field",
    6: "role_order",
    7: "undecodable",
    8: "surrogate",
    9: "not_an_object",
    10: "too_long",
    12: "empty_response",
}


def test_every_fault_is_counted_with_its_line(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", LINES)
    found = prepared(path, length=200, max_bad=0.9)
    assert {
        int(fault.message.removeprefix(f"{path}:").split(":")[0]): fault.reason for fault in found.faults
    } == EXPECTED
    tally = found.tallies["a"]
    assert (tally.read, tally.kept, tally.samples, tally.bad) == (11, 2, 2, 8)
    assert tally.faults == Counter(EXPECTED.values())
    assert [found.samples.place(number) for number in range(2)] == [f"{path}:1", f"{path}:11"]
    spelled = [TOKENIZER.spell(sample.ids_T) for sample in found.samples]
    asked = "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
    assert spelled == [f"{asked}{answer}<|im_end|>\n" for answer in "45"]
    assert [TOKENIZER.spell(sample.ids_T[sample.mask_T]) for sample in found.samples] == ["4<|im_end|>", "5<|im_end|>"]


def test_too_much_that_is_bad_is_an_error_that_names_lines(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", LINES)
    with pytest.raises(UserError) as caught:
        prepared(path, length=200)
    said = str(caught.value)
    assert "InstructionConfig.sources['a']: 8 of 11 records are bad, more than InstructionConfig.max_bad = 0.05" in said
    assert f"  empty_response: 2; {path}:3: message 2 of 2: the response is empty" in said
    assert f"{path}:12: message 2 of 2" in said
    with pytest.raises(UserError, match=r"of 11 records none can be trained on \(InstructionConfig.format"):
        prepared(path, max_bad=1.0, format="sharegpt")
    with pytest.raises(UserError, match=r"raise TuneConfig.length"):
        prepared(write_lines(path, [GOOD] * 3), length=20)


def test_files_that_cannot_be_read_to_their_end_are_errors(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"a.parquet: not a whole Parquet file"):
        prepared(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl.gz").write_bytes(b"\x1f\x8b and no more")
    with pytest.raises(UserError, match=r"sources\['a'\]: .*truncated or corrupt"):
        prepared(tmp_path / "a.jsonl.gz")
    with pytest.raises(UserError, match=r"sources\['a'\]: no file matches"):
        prepared(tmp_path / "b.jsonl")
    with pytest.raises(UserError, match="at least one source"):
        prepared(tmp_path / "b.jsonl", sources={})


FIVE = {"messages": [*talk(*(letter * 20 for letter in "abcdefghij"), system="s")]}
TURN = 20 + 20 + 2 * 3 + len("user\n") + len("assistant\n")  # letters, marks with a line end, roles
HEAD = 1 + 3 + len("system\n")


@pytest.mark.parametrize("turns", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("spare", [0, TURN - 1])
def test_the_oldest_turns_are_cut(tmp_path, turns, spare):
    path = write_lines(tmp_path / "a.jsonl", [FIVE])
    found = prepared(path, length=HEAD + turns * TURN - 1 + spare)
    rest = [FIVE["messages"][0], *FIVE["messages"][11 - 2 * turns :]]
    [expected] = template().encode(rest)
    np.testing.assert_array_equal(found.samples[0], expected)
    tally = found.tallies["a"]
    assert (tally.kept, tally.samples, tally.cut, tally.answers_cut) == (1, 1, int(turns < 5), 5 - turns)
    assert tally.bad == 0
    assert [fault.reason for fault in found.faults] == ["cut"] * (turns < 5)


def test_what_does_not_fit_is_dropped(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [FIVE, GOOD])
    found = prepared(path, length=HEAD + TURN - 2)
    assert (found.tallies["a"].kept, dict(found.tallies["a"].faults)) == (1, {"too_long": 1})
    assert found.faults[0].message == f"{path}:1: {HEAD + 5 * TURN - 1} tokens; TuneConfig.length is {HEAD + TURN - 2}"
    found = prepared(path, length=HEAD + 5 * TURN - 2, long="drop")
    assert (found.tallies["a"].kept, found.tallies["a"].cut) == (1, 0)


def test_answers_with_samples_of_their_own_are_cut_alone(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"messages": talk("a" * 9, "b" * 9, "c", "d", "e", "f" * 90)}])
    whole = prepared(path, chat="qwen3")
    assert whole.tallies["a"].samples == len(whole.samples) == 3
    found = prepared(path, length=max(whole.samples.lengths[:2]) - 1, chat="qwen3")
    assert len(found.samples) == 2
    assert (found.tallies["a"].cut, found.tallies["a"].answers_cut) == (1, 1)
    shorter = prepared(path, length=whole.samples.lengths[0] - 1, chat="qwen3")
    [alone] = template("qwen3").encode(talk("c", "d"))
    np.testing.assert_array_equal(shorter.samples[1], alone)
    assert (shorter.tallies["a"].cut, shorter.tallies["a"].answers_cut) == (1, 1)


def questions(count: int) -> list[dict]:
    return [{"prompt": f"question {number}", "response": "answer"} for number in range(count)]


def held_out(path, **settings) -> set[str]:
    found = prepared(path, **{"held_out": 0.25, **settings}).samples
    return {TOKENIZER.spell(sample.ids_T) for sample, held in zip(found, found.held_out) if held}


def test_the_split_is_by_content_alone(tmp_path):
    records = questions(120)
    path = write_lines(tmp_path / "a.jsonl", records)
    held = held_out(path)
    assert 15 < len(held) < 45
    order = np.random.default_rng(0).permutation(120)
    shuffled = write_lines(tmp_path / "b.jsonl", [records[number] for number in order] + records[:50])
    assert held_out(shuffled) == held
    assert held_out(path, sources={"b": str(path), "c": str(shuffled)}) == held
    assert held < held_out(path, held_out=0.5)
    turns = [{"messages": talk(record["prompt"], record["response"])} for record in records]
    assert held_out(write_lines(tmp_path / "c.jsonl", turns)) == held


def test_duplicates_never_stand_on_both_sides(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", questions(40) * 3)
    found = prepared(path, held_out=0.3).samples
    sides = {}
    for sample, held in zip(found, found.held_out):
        sides.setdefault(sample.ids_T.tobytes(), set()).add(bool(held))
    assert all(len(side) == 1 for side in sides.values())
    assert {True} in sides.values()


def test_all_samples_of_a_conversation_stand_on_one_side(tmp_path):
    records = [{"messages": talk(f"{n}", "b", "c", "d")} for n in range(40)]
    found = prepared(write_lines(tmp_path / "a.jsonl", records), held_out=0.5, chat="qwen3").samples
    assert len(found) == 80
    np.testing.assert_array_equal(found.held_out[::2], found.held_out[1::2])


def test_a_sample_with_an_empty_mask_is_an_error(tmp_path, monkeypatch):
    encode = ChatTemplate.encode_batch
    empty = lambda sample: Sample(sample.ids_T, np.zeros_like(sample.mask_T))
    wrong = lambda self, talks: [[empty(each) for each in found] for found in encode(self, talks)]
    path = write_lines(tmp_path / "a.jsonl", [GOOD])
    _ = template().end_ids  # before the template is wrong
    monkeypatch.setattr(ChatTemplate, "encode_batch", wrong)
    with pytest.raises(UserError, match=r"a.jsonl:1: chat template chatml leaves no answer in the loss \(empty mask\)"):
        prepared(path)


def test_a_template_without_an_end_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    endless = ChatTemplate("endless", "", lambda messages, _: "".join(m["content"] for m in messages), TOKENIZER)
    path = write_lines(tmp_path / "a.jsonl", [GOOD])
    monkeypatch.setattr("baichuan_jax.tune.prepare.read_records", lambda *_: pytest.fail("read"))
    with pytest.raises(
        UserError, match=r"chat template endless: no special token .* use another tokenizer, or ChatConfig"
    ):
        prepare(InstructionConfig(sources={"a": str(path)}), endless, 100)


def test_what_a_template_refuses_is_counted(tmp_path):
    every = "".join(map(chr, range(0xFDD0, 0xFDF0)))
    path = write_lines(tmp_path / "a.jsonl", [GOOD, GOOD | {"input": every}])
    found = prepared(path, max_bad=0.5)
    assert found.tallies["a"].faults == {"template": 1}
    assert found.faults[0].message.startswith(f"{path}:2: a conversation with each of the noncharacters")


def test_samples_on_disk_are_those_in_memory(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", LINES)
    made = prepared(path, length=200, max_bad=0.9, held_out=0.5)
    first = prepared_in(tmp_path / "kept", lambda: made)
    again = prepared_in(tmp_path / "kept", lambda: pytest.fail("prepared twice"))
    for samples, tallies in (first, again):
        assert (samples.names, len(samples)) == (("a",), 2)
        for name in ("ids", "mask", "starts", "sources", "held_out"):
            np.testing.assert_array_equal(getattr(samples, name), getattr(made.samples, name))
        assert samples.place(1) == f"{path}:11"
        assert tallies == {"a": made.tallies["a"].as_record()}
    lines = (tmp_path / "kept" / FAULTS).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [vars(fault) for fault in made.faults]


def test_a_process_that_may_not_write_has_the_same_samples(tmp_path):
    made = prepared(write_lines(tmp_path / "a.jsonl", [GOOD]))
    samples, tallies = prepared_in(tmp_path / "kept", lambda: made, write=False)
    assert (samples, tallies["a"]["kept"]) == (made.samples, 1)
    assert not (tmp_path / "kept").exists()


def test_what_a_user_should_know_is_said(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [*LINES, *[GOOD | {"output": ""}] * 3, FIVE])
    tallies = {"a": prepared(path, length=200, max_bad=0.9).tallies["a"].as_record()}
    said = list(tally_lines(tallies))
    assert said[0] == "a: 3 of 15 conversations, 1 shortened (oldest turns left out); 0 are held out"
    first = "; ".join(
        f"{path}:{line}: message 2 of 2: the response is empty; drop this conversation" for line in (3, 12, 13)
    )
    assert said[1] == f"  empty_response: 5; {first}; ..."
    assert len(said) == 1 + len(set(EXPECTED.values()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "weight", "type", "text"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
NAMES = [
    "instruction",
    "input",
    "output",
    "history",
    "system",
    "messages",
    "conversations",
    "prompt",
    "response",
    "\ud83d",
]
LINE = (
    st.just(json.dumps(GOOD).encode())
    | st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4).map(lambda record: json.dumps(record).encode())
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b""))
)


def tried(path):
    try:
        return prepared(path, max_bad=1.0)
    except UserError as error:
        return error


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@given(st.lists(LINE, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_is_accounted_for(name, tmp_path, lines):
    path = tmp_path / name
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    found = tried(path)
    if isinstance(found, UserError):
        assert str(found).encode()
        return
    tally = found.tallies["a"]
    assert tally.read == tally.kept + tally.faults.total()
    assert tally.faults.total() == len(found.faults)
    assert tally.kept == len(found.samples) >= 1
    if name == "a.jsonl" and not path.read_bytes().startswith((b"\xff\xfe", b"\xfe\xff")):
        assert tally.read == sum(bool(line.strip()) for line in lines)
