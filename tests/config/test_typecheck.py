from typing import Any, Literal, Optional

import pytest

from baichuan_jax.config.typecheck import Mismatch, convert, describe

POSITION = Literal["rope", "alibi"]
FINITE = "expected a number of at most 3.4e+38"


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (3, int, 3),
        (1e9, int, 1_000_000_000),
        (3, float, 3.0),
        (0.5, float, 0.5),
        (True, bool, True),
        ("x", str, "x"),
        (None, int | None, None),
        (3, Optional[float], 3.0),  # noqa: UP045
        ("rope", POSITION, "rope"),
        ([1, 2], tuple[float, ...], (1.0, 2.0)),
        ((), tuple[int, ...], ()),
        ([1, "a"], tuple[int, str], (1, "a")),
        ({"zh": 1}, dict[str, float], {"zh": 1.0}),
        ({"zh": [1]}, dict[str, tuple[int, ...]], {"zh": (1,)}),
        (1, float | int, 1),
        (1.0, int | float, 1.0),
        (["a"], str | tuple[str, ...] | None, ("a",)),
        ("auto", int | Literal["auto"], "auto"),
    ],
)
def test_converts(value, annotation, expected):
    result = convert(value, annotation)
    assert result == expected
    assert repr(result) == repr(expected)


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        ("300", int, "expected int, got str"),
        (True, int, "expected int, got bool"),
        (True, float, "expected float, got bool"),
        (float("inf"), float, FINITE),
        (float("nan"), float, FINITE),
        (-1e39, float, FINITE),
        (10**400, float, FINITE),
        (float("inf"), float | None, FINITE),
        ([0.9, float("inf")], tuple[float, float], f"item 1: {FINITE}"),
        (1.5, int, "expected int, got float"),
        (float("inf"), int, "expected int, got float"),
        (1, bool, "expected True or False, got int"),
        ("true", bool, "expected True or False, got str"),
        (None, int, "expected int, got None"),
        (3, str, "expected str, got int"),
        ("3", int | None, "expected int or None, got str"),
        ("ropee", POSITION, "expected 'rope' or 'alibi', got 'ropee'; did you mean 'rope'?"),
        ("learned", POSITION, "expected 'rope' or 'alibi', got 'learned'"),
        (3, POSITION, "expected 'rope' or 'alibi', got int"),
        (True, Literal[1], "expected 1, got bool"),
        ("Alibi", POSITION | None, "expected 'rope', 'alibi' or None, got 'Alibi'; did you mean 'alibi'?"),
        ("abc", tuple[str, ...], "expected tuple[str, ...], got str"),
        ("(a, b)", tuple[str, ...], "expected tuple[str, ...], got str (strings in it need quotes)"),
        ("{a: b}", dict[str, str], "expected dict[str, str], got str (strings in it need quotes)"),
        ([1, "x"], tuple[int, ...], "item 1: expected int, got str"),
        ([1], tuple[int, int], "expected tuple[int, int], got length 1"),
        ([(1,), (1, None)], tuple[tuple[int, ...], ...], "item 1: item 1: expected int, got None"),
        ([1], tuple[str, ...] | None, "item 0: expected str, got int"),
        ([1], dict[str, float], "expected dict[str, float], got list"),
        ({"zh": "a"}, dict[str, float], "value of 'zh': expected float, got str"),
        ({1: 1.0}, dict[str, float], "key 1: expected str, got int"),
    ],
)
def test_refuses(value, annotation, message):
    with pytest.raises(Mismatch) as error:
        convert(value, annotation)
    assert str(error.value) == message


@pytest.mark.parametrize("annotation", [Any, tuple, list[int], set[int], object])
def test_unsupported_annotation_is_a_programming_error(annotation):
    with pytest.raises(TypeError, match="may not be annotated"):
        convert(1, annotation)


def test_describe():
    assert describe(int) == "int"
    assert describe(tuple[int, str] | None) == "tuple[int, str] or None"
    assert describe(dict[str, float | None]) == "dict[str, float or None]"
