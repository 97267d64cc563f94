import re

import pytest

from baichuan_jax.lab.inspect import write_page
from tests.lab.checker import Checker

HOSTILE = '<script>alert(1)</script></p></details>&amp;\x00\x1b[0m" onload="x'


def document(text: str, source: str = "texts.jsonl:7", score: float = 0.91) -> dict:
    return {"text": text, "source": source, "language": "zh", "score": score, "id": "0" * 16}


@pytest.fixture
def make_page(data_result, tmp_path):
    """Return make_page(kept, pairs of zh_news, changes of the result) -> (page, what a browser reads)."""

    def make(kept=(), pairs=(), **changes) -> tuple[str, Checker]:
        result = {**data_result, **changes}
        texts = {domain: {"kept": [], "pairs": []} for domain in result["funnel"]}
        texts["zh_news"] = {"kept": list(kept), "pairs": list(pairs)}
        parts = ({domain: text[name] for domain, text in texts.items()} for name in ("kept", "pairs"))
        write_page("my run", result, *parts, tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        return page, Checker(page)

    return make


def test_the_page_is_whole_and_needs_nothing_else(make_page):
    page, checked = make_page()
    assert "script" not in checked.tags
    assert all(link.startswith("#") for link in checked.links)
    assert {link[1:] for link in checked.links} == set(checked.ids)
    assert {"all-domains", "zh_reviews", "zh_news", "en_speeches", "code"} == set(checked.ids)
    assert not re.search(r"url\((?!#)|@import", page)


def test_numbers_and_samples_of_a_domain(make_page):
    page, checked = make_page()
    section = page[page.index('id="zh_news"') : page.index('id="en_speeches"')].replace("\u00a0", " ")
    assert '<th scope="row">duplicate</th><td>61</td><td>6.09%</td><td>400 kB</td>' in section
    assert '<th scope="row">kept</th><td>880</td><td>87.91%</td><td>4.10 MB</td>' in section
    assert "<summary>too_short: 40 documents, for example</summary>" in section
    assert "<cite>texts.jsonl:7</cite>不错</p>" in section
    assert "<summary>boilerplate: 1,234 sentences, for example</summary>" in section
    assert checked.text.count("点击查看更多") == 4


def test_near_duplicates_stand_side_by_side(make_page):
    sides = {"gone": document("房间很干净，服务好。", "a:1"), "kept": document("房间不干净，服务好。", "b:2")}
    page, _ = make_page(pairs=[sides])
    left = '<p class="text" lang="zh-Hans"><cite>a:1</cite>房间<mark>很</mark>干净，服务好。</p>'
    right = left.replace("a:1", "b:2").replace("很", "不")
    assert f'<div class="pair">{left}{right}</div>' in page


def test_hostile_text_stays_text(make_page):
    sides = {"gone": document(HOSTILE, HOSTILE), "kept": document(HOSTILE, HOSTILE)}
    _, checked = make_page(kept=[document(HOSTILE, HOSTILE)], pairs=[sides])
    assert not {"script", "b"} & set(checked.tags)
    shown = HOSTILE.replace("\x00", "␀").replace("\x1b", "␛")
    assert sum(shown in text for text in checked.text) == 6


def test_kept_documents_tell_their_score_if_they_have_one(make_page):
    _, checked = make_page(kept=[document("一"), document("二", score=-1.0)])
    assert "texts.jsonl:7 (zh, score 0.91)" in checked.text
    assert "texts.jsonl:7 (zh)" in checked.text
    assert "Documents kept (2)" in checked.text


def test_a_long_document_is_cut(make_page):
    page, checked = make_page(kept=[document("长" * 2500)])
    assert "长" * 2000 + "…" in checked.text
    assert page.count("长") == 2000


def test_scores_are_bars_whose_numbers_can_be_read_aloud(make_page, data_result):
    page, checked = make_page()
    assert page.count("<svg") == 4
    assert checked.labels[0].endswith("0, 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121")
    assert 'x="19.05" y="0.0000" width="0.9" height="1.0000"' in page
    unscored = {domain: {**counts, "scores": [0] * 20} for domain, counts in data_result["domains"].items()}
    assert "<svg" not in make_page(domains=unscored)[0]


def test_what_has_no_texts_has_no_heading(make_page, data_result):
    none = {"removed": {}, "pruned": {}}
    page, _ = make_page(funnel={domain: {**counts, **none} for domain, counts in data_result["funnel"].items()})
    assert "<h3>" not in page
    assert "<details>" not in page
