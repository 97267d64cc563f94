import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dataset import SplitWriter, finish_domain
from baichuan_jax.data.flow.card import escape_markdown, markdown_table, write_card
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.funnel import Count, Funnel, Removed
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.select.config import SelectConfig
from baichuan_jax.data.split import SPLITS

HOSTILE = "# <script>alert(1)</script> | a | `b` **c** [d](e)\n\n1. ~~f~~ &amp; \\| $g$ ![h](i)\x1b[0m"
CFG = CorpusConfig(
    DataConfig({"zh": "texts/*_[0-9].jsonl", "en": "demo:en_speeches"}, licences={"en": "public domain"}),
    quality=QualityConfig(good=("zh",), cut=0.25),
    select=SelectConfig(evaluation_sets={"quiz": "quiz.jsonl"}, ngram=11),
)
REPORT = {
    "zh": {"good": 90, "bad": 80, "auc": 0.9876, "auc_of_length": 0.61, "auc_equal_length": 0.95, "calibration": []},
    "en": {"good": 3, "bad": 2},
}
QUIZ = {
    **{"strings": 90, "rows": 40, "searched": 38, "too_short": 2, "documents": 7, "characters": 1234},
    "short": [{"source": "sets/quiz.jsonl row 9", "text": "a *short*\none"}],
}


def removed(documents, size, *texts):
    return Removed(
        documents, size, [{"source": f"/home/me/texts/a_1.jsonl:{n}", "text": t} for n, t in enumerate(texts)]
    )


@pytest.fixture
def result():
    zh = Funnel(
        Count(1000, 50_000),
        Count(880, 40_000),
        {"too_short": removed(20, 500, "短"), "duplicate": removed(97, 9_000, *"abc")},
        {"boilerplate": removed(1_234, 700, HOSTILE)},
        replaced=7,
    )
    zh.removed["contaminated"] = removed(3, 500, "question")
    en = Funnel(Count(10, 800), Count(10, 800))
    split = {"documents": 5, "bytes": 400}
    domain = {"train": split, "validation": split, "scores": [0] * 20}
    return {
        "domains": {
            "zh": {**domain, "documents": 880, "bytes": 40_000, "language": {"code": 30, "zh": 850}},
            "en": {**domain, "documents": 10, "bytes": 800, "language": {"en": 10}},
        },
        "funnel": {"zh": zh.as_json(), "en": en.as_json()},
        "quality": REPORT,
        "evaluation_sets": {"quiz": QUIZ},
    }


def card(cfg, result, directory) -> str:
    write_card(cfg, result, directory)
    return (directory / "DATA_CARD.md").read_text(encoding="utf-8")


def cells(markdown: str) -> list[list[str]]:
    """Return the rows of all tables as a reader sees them, checked to hold no HTML and no other markup."""
    rows = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        assert token.type != "html_block"
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.level >= 4 and rows:
            assert {child.type for child in token.children} <= {"text", "text_special"}, token.content
            rows[-1].append("".join(child.content for child in token.children))
    return rows


def test_it_tells_every_number(result, tmp_path):
    rows = cells(card(CFG, result, tmp_path))
    domain = ["zh", "texts/*_[0-9].jsonl", "not stated", "880", "40,000", "5", "5", "zh 850, code 30"]
    assert domain in rows
    assert ["en", "demo:en_speeches", "public domain", "10", "800", "5", "5", "en 10"] in rows
    start = rows.index(["read", "1,000", "50,000", "100.00%"])
    assert rows[start + 1] == ["duplicate", "97", "9,000", "18.00%"]
    assert rows[start + 2 : start + 5] == [
        ["too_short", "20", "500", "1.00%"],
        ["contaminated", "3", "500", "1.00%"],
        ["kept", "880", "40,000", "80.00%"],
    ]
    assert ["boilerplate", "1,234", "700"] in rows
    assert ["zh", "0.988", "0.610", "0.950"] in rows
    assert ["quiz", "40", "38", "2", "7", "1,234"] in rows
    assert ["QualityConfig.cut", "0.25"] in rows
    assert ["SelectConfig.evaluation_sets", "{'quiz': 'quiz.jsonl'}"] in rows
    assert not any(row[0].endswith((".sources", ".licences")) for row in rows)


def test_sentences_say_what_tables_do_not(result, tmp_path):
    text = card(CFG, result, tmp_path)
    assert "| too_short | 20 |" in text  # names are legible before they are rendered
    assert text.startswith("# Data card\n\n890 documents, 40,800 bytes of UTF-8 text, in 2 domains")
    assert "3 documents went whole, because little else was in them." in text
    assert "Rows of fewer than 11 tokens" in text
    assert "- sets/quiz.jsonl row 9: a \\*short\\* one" in text
    assert "7 became U+FFFD" in text
    assert "Good examples: zh. Bad examples: rejected." in text


def test_two_samples_of_each_reason_without_the_directories_of_this_machine(result, tmp_path):
    text = card(CFG, result, tmp_path)
    rows = cells(text)
    assert [row for row in rows if row[:2] == ["zh", "duplicate"]] == [
        ["zh", "duplicate", "a_1.jsonl:0", "a"],
        ["zh", "duplicate", "a_1.jsonl:1", "b"],
    ]
    shown = "# <script>alert(1)</script> | a | `b` **c** [d](e) 1. ~~f~~ &amp; \\| $g$ ![h](i) [0m"
    assert ["zh", "boilerplate", "a_1.jsonl:0", shown] in rows
    assert "/home/me" not in text
    assert str(tmp_path) not in text


def test_a_long_sample_is_cut_and_a_long_setting_is_not(result, tmp_path):
    result["funnel"]["zh"]["removed"]["too_short"]["samples"][0]["text"] = "长" * 400
    sets = {f"set{n}": f"sets/{n}.jsonl" for n in range(40)}
    cfg = CorpusConfig(CFG.data, select=SelectConfig(evaluation_sets=sets))
    rows = cells(card(cfg, result, tmp_path))
    assert ["zh", "too_short", "a_1.jsonl:0", "长" * 149 + "…"] in rows
    assert ["SelectConfig.evaluation_sets", repr(sets)] in rows


def test_the_same_result_makes_the_same_bytes(result, tmp_path):
    again = copy.deepcopy(result)
    again["funnel"]["zh"]["removed"] = dict(reversed(again["funnel"]["zh"]["removed"].items()))
    assert card(CFG, result, tmp_path / "a") == card(CFG, again, tmp_path / "b")


def test_nothing_removed_scored_or_looked_for(result, tmp_path):
    result |= {"quality": {}, "evaluation_sets": {}}
    result["funnel"]["zh"] |= {"removed": {}, "pruned": {}, "replaced": 0}
    text = card(CFG, result, tmp_path)
    for said in ("No document was scored", "None was named, so the dataset may hold", "Nothing was removed."):
        assert said in text
    assert "quality.png" not in text


def test_its_code_loads_the_dataset(result, tmp_path):
    document = {"text": "文", "id": "0" * 16, "source": "a:1", "language": "zh", "score": -1.0}
    files = {}
    for split in SPLITS:
        with SplitWriter(tmp_path, split) as writer:
            writer.write(document)
        files[split] = [(tmp_path / name, *counts) for name, *counts in writer.files]
    finish_domain(tmp_path, "zh", files)
    code = card(CFG, result, tmp_path).split("```python\n")[1].split("```")[0]
    assert 'data_source("corpus/zh"' in code
    found = {}
    exec(code.replace("THIS DIRECTORY", str(tmp_path)), found)
    assert found["documents"][0]["text"].decode() == "文"
    assert set(found["documents"][0]) == set(document)


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text("|\\`*_[]()<>&#~$!:-+. \n\tab中", max_size=40))
def test_any_text_reads_as_itself_on_one_line(text):
    made = cells(markdown_table(("a", "b"), [[escape_markdown(text), "end"]]))
    visible = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    assert made == [["a", "b"], [visible, "end"]]
