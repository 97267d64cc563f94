"""Records of all formats become the same conversation; whatever is wrong with one has a reason."""

import gzip
import json

import pyarrow
import pytest
from pyarrow import parquet

from baichuan_jax.chat.conversation import BadConversation
from baichuan_jax.core.errors import UserError
from baichuan_jax.tune.data_config import InstructionConfig
from baichuan_jax.tune.formats import RecordReader
from baichuan_jax.tune.records import Record, read_records, record_files
from tests.chat.spelling import talk

TALK = talk("你好", "你好！", "2+2?\n用数字", "4", system="简短")
TURNS = [("human", "你好"), ("gpt", "你好！"), ("human", "2+2?\n用数字"), ("gpt", "4")]
RECORDS = {
    "messages": {"messages": TALK},
    "sharegpt": {"system": "简短", "conversations": [{"from": role, "value": text} for role, text in TURNS]},
    "alpaca": {
        "instruction": "2+2?",
        "input": "用数字",
        "output": "4",
        "system": "简短",
        "history": [["你好", "你好！"]],
    },
}
ONE = {"prompt": {"prompt": "2+2?", "response": "4"}, "alpaca": {"instruction": "2+2?", "input": "", "output": "4"}}


def messages(record, **settings):
    return RecordReader(InstructionConfig(sources={"a": "a.jsonl"}, **settings), "a").messages(record)


def reason(record, **settings) -> str:
    with pytest.raises(BadConversation) as caught:
        messages(record, **settings)
    return caught.value.reason


@pytest.mark.parametrize("name", RECORDS)
def test_all_formats_become_the_same_conversation(name):
    assert messages(RECORDS[name]) == messages(RECORDS[name], format=name) == TALK


@pytest.mark.parametrize("name", ONE)
def test_a_prompt_with_a_response(name):
    assert messages(ONE[name]) == messages(ONE[name], formats={"a": name}) == talk("2+2?", "4")


def test_fields_and_roles_have_other_names():
    record = {"meta": {"q": "2+2?"}, "a": "4", "instruction": "not this"}
    names = {"prompt": "b", "a.prompt": "meta.q", "response": "a"}
    assert messages(record, fields=names) == talk("2+2?", "4")
    turns = [{"who": "问", "value": "2+2?"}, {"who": "答", "value": "4"}]
    asked = {"fields": {"from": "who"}, "roles": {"问": "user", "答": "assistant"}}
    assert messages({"conversations": turns}, **asked) == talk("2+2?", "4")


def test_variants_in_the_wild():
    parts = [{"type": "text", "text": "2+"}, {"type": "text", "text": "2?"}]
    spread = {"messages": [{"role": "user", "content": parts, "name": "Li"}, {"role": "assistant", "content": "4"}]}
    assert messages(spread) == talk("2+2?", "4")
    assert messages({"conversations": TALK}) == TALK
    assert messages({"instruction": "2+2?", "output": "4", "history": None, "system": None}) == talk("2+2?", "4")
    with_own = {"system": "简短", "conversations": [{"from": "system", "value": "简短"}]}
    with_own["conversations"] += RECORDS["sharegpt"]["conversations"]
    assert messages(with_own) == TALK
    assert messages({"system": "简短", "messages": TALK}) == messages({"system": "简短", "messages": TALK[1:]}) == TALK
    for weight in (0, 1, 1.0, None):
        assert messages(changed("messages", 1, weight=weight)) == TALK
    assert messages(changed("messages", 2, weight=1)) == TALK


def changed(name: str, place: int | None = None, **fields) -> dict:
    """Return a record with other fields, of a turn if `place` is given."""
    record = json.loads(json.dumps(RECORDS[name]))
    where = record if place is None else record[{"messages": "messages", "sharegpt": "conversations"}[name]][place]
    where.update(fields)
    return record


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ([1], "not_an_object"),
        ("text", "not_an_object"),
        ({}, "missing_field"),
        ({"text": "a"}, "missing_field"),
        ({"instruction": "2+2?"}, "missing_field"),
        ({"instruction": "2+2?", "output": None}, "missing_field"),
        (changed("messages", 1, content=None), "missing_field"),
        (changed("sharegpt", 1, value=None), "missing_field"),
        ({"instruction": "2+2?", "output": 4}, "not_text"),
        ({"prompt": ["2+2?"], "response": "4"}, "not_text"),
        (changed("messages", 1, content=4), "not_text"),
        ({"messages": "2+2?"}, "not_text"),
        ({"messages": ["2+2?"]}, "not_text"),
        (changed("alpaca", history=[["a"]]), "not_text"),
        (changed("alpaca", history="a"), "not_text"),
        ({"messages": []}, "no_messages"),
        (changed("alpaca", output=" \n"), "empty_response"),
        (changed("alpaca", history=[["a", ""]]), "empty_response"),
        (changed("sharegpt", 3, value=""), "empty_response"),
        (changed("alpaca", instruction="", input=" "), "empty_question"),
        (changed("messages", 1, role="bot"), "unknown_role"),
        (changed("messages", 1, role=None, content="4"), "missing_field"),
        (changed("messages", 1, role=["user"]), "unknown_role"),
        (changed("messages", 2, role="user"), "role_order"),
        ({"messages": TALK[:-1]}, "role_order"),
        ({"messages": TALK[2:]}, "role_order"),
        ({"messages": [*TALK, TALK[0]]}, "role_order"),
        (changed("messages", 1, content="\ud83d"), "surrogate"),
        (changed("messages", 2, tool_calls=[{"id": "1"}], content=None), "unsupported"),
        (changed("messages", 2, weight=0), "unsupported"),
        *((changed("messages", 2, weight=weight), "bad_weight") for weight in (0.5, -1, 2, "0", "1", True, False, [1])),
        (changed("sharegpt", 0, weight=0.5), "bad_weight"),
        ({"system": "a", "messages": TALK}, "two_systems"),
        (changed("sharegpt", conversations=[{"from": "system", "value": "a"}]), "two_systems"),
        (changed("messages", 1, content=[{"type": "image_url", "image_url": "a.png"}]), "unsupported"),
    ],
)
def test_what_is_wrong_has_a_reason(record, expected):
    assert reason(record) == expected


def test_messages_say_what_to_do():
    with pytest.raises(
        BadConversation, match=r"no field 'output' \(format alpaca\); its fields are instruction, answer"
    ):
        messages({"instruction": "a", "answer": "b"})
    with pytest.raises(
        BadConversation, match=r"unknown role 'bot'; known are .*gpt; InstructionConfig.roles maps others"
    ):
        messages(changed("messages", 1, role="bot"))
    assert reason({"prompt": "a", "response": "b"}, format="alpaca") == "missing_field"


def test_every_kind_of_file_has_the_same_records(tmp_path):
    records = [RECORDS["alpaca"], {"instruction": "一", "output": "二"}, RECORDS["alpaca"]]
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (tmp_path / "a.jsonl").write_text(lines.replace("\n", "\n\n"), encoding="utf-8")
    (tmp_path / "b.json").write_text(lines, encoding="utf-8")
    (tmp_path / "c.json").write_text(json.dumps(records, indent=1), encoding="utf-8")
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(lines.encode("gb18030")))
    parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "e.parquet")
    columns = RecordReader(InstructionConfig(), "a").columns
    for path in record_files(f"{tmp_path}/*; {tmp_path}/a.jsonl"):
        found = list(read_records(path, columns))
        filled = [{"history": None, "input": None, "system": None} | record for record in records]
        expected = filled if path.suffix == ".parquet" else records
        assert [record.value for record in found] == expected, path
    places = [[record.place for record in read_records(tmp_path / name, columns)] for name in ("a.jsonl", "c.json")]
    assert places[0] == [f"{tmp_path}/a.jsonl:{line}" for line in (1, 3, 5)]
    text = (tmp_path / "c.json").read_text(encoding="utf-8").splitlines()
    opened = [number for number, line in enumerate(text, 1) if line == " {"]
    assert places[1] == [f"{tmp_path}/c.json:{line} (entry {n})" for n, line in enumerate(opened, 1)]
    assert next(read_records(tmp_path / "e.parquet", columns)).place == f"{tmp_path}/e.parquet (row 1)"


def test_a_file_is_read_once_however_it_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    file = tmp_path / "a.jsonl"
    file.write_text("{}\n")
    (tmp_path / "b.jsonl").symlink_to(file)
    spec = f"{file}; {tmp_path}/in/../a.jsonl; {tmp_path}/b.jsonl; {tmp_path}/*.jsonl"
    assert record_files(spec) == (file,)


def test_one_conversation_alone(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(RECORDS["sharegpt"], indent=1), encoding="utf-8")
    assert list(read_records(tmp_path / "a.json", [])) == [Record(f"{tmp_path}/a.json", RECORDS["sharegpt"])]


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("prompt,response\na,b\n")
    with pytest.raises(UserError, match=r"a.csv: conversations are read from .json, .jsonl, .ndjson, .parquet"):
        record_files(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "chat"}, "expected one of auto, messages, sharegpt, alpaca, prompt"),
        ({"formats": {"b": "alpaca"}}, "expected sources of InstructionConfig.sources"),
        ({"formats": {"a": "alpca"}}, r"formats\['a'\] = 'alpca'"),
        ({"fields": {"instructon": "q"}}, "did you mean 'instruction'"),
        ({"fields": {"b.instruction": "q"}}, "a source of a before the dot"),
        ({"fields": {"instruction": ""}}, "the name of a field"),
        ({"roles": {"bot": "gpt"}}, "system, user or assistant"),
        ({"held_out": 1.0}, "held_out"),
        ({"max_bad": 2.0}, "max_bad"),
        ({"long": "truncate"}, "'cut' or 'drop'"),
        ({"weights": {"b": 1.0}}, "weights"),
        ({"weights": {"a": -1.0}}, "a number >= 0"),
        ({"sources": {"a": "a.jsonl", "b": "b.jsonl"}, "weights": {"a": 1.0}}, "a weight for b too"),
        ({"sources": {"A": "a.jsonl"}}, "source names like"),
        ({"sources": {"a": " ;"}}, "a path or a glob"),
    ],
)
def test_a_wrong_setting_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        InstructionConfig(**{"sources": {"a": "a.jsonl"}, **settings})
