"""Combining marks in canonical order: the normal form is as before, in linear time."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.combining import LONG, order_marks

MARKS = "\u0301\u0323\u0344\u0f71\u0f72\u0f73\u0f81\u05b0\u3099\u302a\u0316\u0345"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text("ae\u00e9\u1ea1 가" + MARKS, max_size=3) | st.text(MARKS, min_size=LONG, max_size=3 * LONG), max_size=4
    )
)
def test_the_normal_form_is_the_same(parts):
    text = "".join(parts)
    for form in ("NFC", "NFD"):
        assert unicodedata.normalize(form, order_marks(text)) == unicodedata.normalize(form, text)


def test_few_marks_stay_as_they_are():
    text = "a" + "\u0301\u0323" * (LONG // 2 - 1)
    assert order_marks(text) is text
    assert order_marks("a" + "\u0301\u0323" * LONG) == "a" + "\u0323" * LONG + "\u0301" * LONG
