import time

from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.lab.difference import difference

TEXTS = st.text("ab 中文。\n", max_size=40)


@given(TEXTS, TEXTS)
def test_the_pieces_are_the_texts_and_what_is_equal_is_in_both(first, second):
    sides = difference(first, second)
    assert ["".join(text for text, _ in side) for side in sides] == [first, second]
    one, other = ("".join(text for text, same in side if same) for side in sides)
    assert one == other
    assert all(text for side in sides for text, _ in side)


@given(TEXTS)
def test_equal_texts_do_not_differ(text):
    assert all(same for side in difference(text, text) for _, same in side)


def test_words_and_characters_are_what_differs():
    assert difference("The people of 1998, all", "The person of 1998") == (
        [("The ", True), ("people", False), (" of 1998", True), (", all", False)],
        [("The ", True), ("person", False), (" of 1998", True)],
    )
    assert difference("房间很干净。", "房间不干净。")[1] == [("房间", True), ("不", False), ("干净。", True)]


def test_one_change_in_much_repetition_is_found_soon():
    first, second = "哈" * 1000 + "一" + "哈" * 999, "哈" * 1000 + "二" + "哈" * 999
    start = time.monotonic()
    assert difference(first, second)[0] == [("哈" * 1000, True), ("一", False), ("哈" * 999, True)]
    difference("哈" * 2000, "啊" + "哈" * 1998 + "嗯")
    assert time.monotonic() - start < 1


def test_equal_parts_are_cut_around_the_differences():
    first, second = "abcdefgh X ijklmnopq qrstuvwx", "abcdefgh Z ijklmnopq qrstuvwx!"
    assert difference(first, second, 3) == (
        [("…gh ", True), ("X", False), (" ij…vwx", True)],
        [("…gh ", True), ("Z", False), (" ij…vwx", True), ("!", False)],
    )
    whole = difference(first, second)
    assert difference(first, second, 9) == (whole[0], whole[1])
    assert difference("abcdef", "abcdef", 2)[0] == [("…", True)]


@given(TEXTS, TEXTS, st.integers(0, 5))
def test_what_differs_is_never_cut(first, second, around):
    for whole, cut in zip(difference(first, second), difference(first, second, around)):
        assert [text for text, same in cut if not same] == [text for text, same in whole if not same]
        assert sum(len(text) for text, _ in cut) <= sum(len(text) for text, _ in whole)
