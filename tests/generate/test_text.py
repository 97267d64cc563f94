"""Streamed text is the whole text in pieces: no half character, nothing of a stop string."""

from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.generate.text import TextStream

TEXTS = st.text(st.sampled_from("ab中国\N{MAN}\N{ZERO WIDTH JOINER}\N{ROCKET}é \n"), max_size=30)


def pushed(stream: TextStream, ids: list[int], sizes: list[int]) -> list[str]:
    pieces = []
    for size in sizes:
        pieces.append(stream.push(ids[:size]))
        ids = ids[size:]
    return [*pieces, stream.push(ids, last=True)]


@settings(deadline=None)
@given(TEXTS, st.lists(st.integers(0, 4)))
def test_pieces_never_split_a_character(tokenizer, text, sizes):
    pieces = pushed(TextStream(tokenizer), tokenizer.encode(text), sizes)
    assert "".join(pieces) == text
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces)


@settings(deadline=None)
@given(st.lists(st.integers(0, 299)), st.lists(st.integers(0, 4)))
def test_any_ids_give_the_text_of_their_bytes(tokenizer, ids, sizes):
    raw = b"".join(map(tokenizer.token_bytes, ids))
    text = "".join(pushed(TextStream(tokenizer), ids, sizes))
    rest = raw.decode(errors="replace").removeprefix(text)
    assert rest in ("", "\N{REPLACEMENT CHARACTER}")  # at most one character is unfinished at the end


@settings(deadline=None)
@given(TEXTS, st.lists(st.integers(0, 4)), st.lists(st.text("ab中\n", min_size=1, max_size=4), max_size=3))
def test_a_stop_string_ends_the_text_before_it(tokenizer, text, sizes, stops):
    stream = TextStream(tokenizer, stops)
    pieces = pushed(stream, tokenizer.encode(text), sizes)
    places = [text.find(stop) for stop in stops if stop in text]
    assert stream.stopped == bool(places)
    if not places:
        assert "".join(pieces) == text
    else:  # the one that is complete first ends it: of several in one piece, the one that begins first
        limits = [text.find(stop) + len(stop) for stop in stops if stop in text]
        shown = "".join(pieces)
        assert text.startswith(shown)
        assert min(places) <= len(shown) <= min(limits)
        assert not any(stop in shown for stop in stops)


def test_the_beginning_of_a_stop_string_is_held_back(tokenizer):
    stream = TextStream(tokenizer, ["\n\nQ:"])
    assert stream.push(tokenizer.encode("an answer\n\n")) == "an answer"
    assert stream.push(tokenizer.encode("more")) == "\n\nmore"
    assert stream.push(tokenizer.encode("\n\nQ")) == ""
    assert stream.push(tokenizer.encode(": next")) == ""
    assert stream.stopped


def test_half_a_character_waits_for_the_other_half(tokenizer):
    ids = tokenizer.encode("中")
    assert len(ids) == 3  # spelt in bytes
    stream = TextStream(tokenizer)
    assert [stream.push([id]) for id in ids] == ["", "", "中"]
    stream = TextStream(tokenizer)
    assert (stream.push(ids[:2]), stream.push([], last=True)) == ("", "")
