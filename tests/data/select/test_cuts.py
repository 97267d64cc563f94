"""What goes around a test question ends where sentences do, and little that is left goes too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.rules.sentences import sentences
from baichuan_jax.data.select.contamination import MATCH
from baichuan_jax.data.select.cuts import CUT, LEFT, PIECE, WINDOW, in_cuts, pieces, question_cuts

FIRST, LAST = "院子里的枣树又结了果。", "The old house by the river stood empty all winter. "
PARTS = st.lists(
    st.sampled_from([FIRST, LAST, "孩子们都跑来看！", "- one item\n", "\n\n", "逗号，分开的很长的话，" * 9])
)


def matches(*spans):
    return np.array(list(spans), MATCH)


@settings(max_examples=80, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=4), st.data())
def test_cuts_hold_the_matches_and_end_where_sentences_do(parts, data):
    texts = ["".join(part) * 6 or "x" for part in parts]
    spans = []
    for number, text in enumerate(texts):
        for _ in range(data.draw(st.integers(0, 2))):
            start = data.draw(st.integers(0, len(text) - 1))
            spans.append((number, start, data.draw(st.integers(start + 1, min(len(text), start + 80))), len(spans)))
    spans.sort()
    found = question_cuts(texts, matches(*spans))
    for number, text in enumerate(texts):
        mine = found[found["document"] == number]
        left = pieces(len(text), mine["start"].tolist(), mine["end"].tolist())
        for _, start, end, _ in (span for span in spans if span[0] == number):
            assert ((mine["start"] <= start) & (end <= mine["end"])).sum() == 1
        if not any(span[0] == number for span in spans):
            assert left == [(0, len(text))]
        assert all(end - start >= PIECE for start, end in left) or not len(mine)
        assert not left or sum(end - start for start, end in left) >= LEFT * len(text)
        bounds = {0, *np.cumsum(list(map(len, sentences(text)))).tolist()}
        for first, last in mine[["start", "end"]].tolist():
            held = [span for span in spans if span[0] == number and first <= span[1] < last]
            low, high = min(span[1] for span in held), max(span[2] for span in held)
            assert first in bounds or not any(low - WINDOW <= bound <= low for bound in bounds)
            assert last in bounds or not any(high <= bound <= high + WINDOW for bound in bounds)


@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_what_is_left_of_a_page(place):
    page, question = FIRST * 100, "问：下面哪一句是对的？"
    at = {"start": 0, "middle": 50 * len(FIRST), "end": len(page)}[place]
    text = page[:at] + question + page[at:]
    (cut,) = question_cuts([text], matches((0, at, at + len(question), 5)))
    left = [text[start:end] for start, end in pieces(len(text), [cut["start"]], [cut["end"]])]
    assert len(left) == (2 if place == "middle" else 1)
    assert all(part.startswith(FIRST) and part.endswith(FIRST) for part in left)
    assert 0 < len(page) - sum(map(len, left)) <= 2 * WINDOW
    assert cut["row"] == 5


def test_a_document_goes_whole_only_if_little_is_left():
    text = FIRST * 60
    sheet = matches(*((0, start, start + 30, 1) for start in range(0, len(text) - 40, 150)))
    assert question_cuts([text], sheet)[["start", "end"]].tolist() == [(0, len(text))]
    assert question_cuts([text[:300]], matches((0, 120, 140, 1)))[["start", "end"]].tolist() == [(0, 300)]
    many = FIRST * 2000
    spread = matches(*((0, start, start + 30, 1) for start in range(900, len(many), 1500)))
    found = question_cuts([many], spread)
    assert len(found) == len(spread)


SPANS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 6)), max_size=6)


@given(SPANS, SPANS)
def test_what_overlaps_a_cut(cut_spans, spans):
    apart, end = [], (0, 0)
    for document, start, size in sorted(cut_spans):
        if (document, start) >= end:
            apart.append((document, start, start + size, 0))
            end = (document, start + size)
    documents, starts, sizes = (np.array(column, np.int64) for column in (zip(*spans) if spans else ([], [], [])))
    found = in_cuts(np.array(apart, CUT), documents, starts, starts + sizes)
    assert found.tolist() == [
        any(other == document and first < start + size and start < last for other, first, last, _ in apart)
        for document, start, size in spans
    ]


def test_order_of_the_texts_changes_nothing():
    texts = [FIRST * 70, LAST * 40, FIRST + LAST * 30]
    spans = [(number, 400, 440, number) for number in range(3)]
    one = question_cuts(texts, matches(*spans))
    for number in range(3):
        alone = question_cuts([texts[number]], matches((0, 400, 440, number)))
        assert (
            one[one["document"] == number][["start", "end", "row"]].tolist() == alone[["start", "end", "row"]].tolist()
        )
    assert len(question_cuts(texts, matches())) == 0
