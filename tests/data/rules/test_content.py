"""What a second judgement leaves out of a text: rows of tables in which figures outweigh words."""

import pytest

from baichuan_jax.data.rules.content import without_frames

FIGURES = "12.50 | 13.75 | 14.20 | 15.10"


@pytest.mark.parametrize("row", [FIGURES, f"| {FIGURES} |", FIGURES.replace(" | ", "\t")])
def test_rows_of_figures_are_left_out(row):
    text = f"The table below gives the prices of four years.\n{row}\nThey rose each year."
    assert "13.75" not in without_frames(text)
    assert "The table below gives the prices of four years.\n" in without_frames(text)


@pytest.mark.parametrize("line", ["f(x) = |x| + |y| holds here", "P(A|B) = 0.5", "a pipe | joins two programs"])
def test_other_bars_are_no_tables(line):
    assert without_frames(line) == line
