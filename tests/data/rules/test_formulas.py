"""Formulas are told from prose, prices, tables and code, and count as content of a text."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.data.formulas import split_formulas
from baichuan_jax.data.language import identify
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.document_rules import DocumentRules
from baichuan_jax.data.rules.facts import facts
from baichuan_jax.data.rules.normalize import normalize
from tests.data.rules.counting import count_kinds

FORMULAS = [
    r"$x^{2}+1$",
    r"$\vec{u} \perp \vec{v}$",
    r"\[\frac{1}{2} + \sqrt{3}\]",
    r"\(a_n = 2n\)",
    r"$$\sum_{k=1}^{n} k$$",
    "\\begin{align*}\nx &= 1 \\\\\ny &= 2\n\\end{align*}",
    r"\frac{3}{4}",
    "x² ≤ 5",
    "2H2 + O2 → 2H2O",
    "2NaHCO3=Na2CO3+CO2+H2O",
    "9.8 m/s²",
    "∠ABC=30°",
    "f(x)=2x+1",
]
PLAIN = [
    "It costs $5 today and $6 tomorrow.",
    "$5, $6, $7",
    "$HOME/bin:$PATH",
    'echo "$first $second"',
    "2008-04-28",
    "well-known and/or new",
    "key=value name=other",
    r"C:\users\anna",
    "上证指数1194·10 1200·95",
    "Η γλώσσα είναι ωραία",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize(("before", "after"), [("已知", "，求它的值"), ("Suppose that ", " holds for every number")])
def test_formulas_are_found(formula, before, after):
    prose, formulas = split_formulas(before + formula + after)
    assert "".join(formula.split()) in "".join(formulas.split())
    assert prose.startswith(before.strip())
    assert prose.endswith(after)


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_formula_stays(text):
    assert split_formulas(text) == (text, "")


PIECES = st.sampled_from([*FORMULAS, *PLAIN, "$", "\\", "\n", " ", "{", "中文", "word", "\\[", "\\begin{align}", "="])


@given(st.lists(PIECES, max_size=12).map("".join))
def test_no_character_is_lost(text):
    prose, formulas = split_formulas(text)
    assert sorted("".join(text.split())) == sorted("".join((prose + formulas).split()))


def verdict(text: str) -> tuple[str, str | None]:
    found = facts([normalize(text)])
    return found.languages[0], DocumentRules(FilterConfig()).broken(found)[0]


QUESTIONS = {
    "zh": [
        "3. 已知集合 $A=\\{x \\mid x^{2}-x-2<0\\}$, $B=\\{-1,0,1\\}$, 则 $A \\cap B=$ ( )\n"
        "A. $\\{0\\}$\nB. $\\{0,1\\}$\nC. $\\{-1,0\\}$\nD. $\\{-1,0,1\\}$",
        "在下列反应中，生成沉淀的是\nA. Na2CO3+2HCl=2NaCl+H2O+CO2↑\nB. BaCl2+H2SO4=BaSO4↓+2HCl\n"
        "C. NaOH+HCl=NaCl+H2O\nD. Zn+H2SO4=ZnSO4+H2↑",
        "下列说法错误的是（）\nA. 烧碱是 $\\mathrm{NaOH}$\nB. 纯碱是 $\\mathrm{Na}_{2} \\mathrm{CO}_{3}$\n"
        "C. 石灰是 $\\mathrm{CaO}$\nD. 干冰是 $\\mathrm{CO}_{2}$\n解: 烧碱即 $\\mathrm{NaOH}$, 故选 A ( )",
        "这座桥建成于\nA. 1905年\nB. 1915年\nC. 1895年\nD. 1921年",
        "水结成冰时温度是\nA. 100\nB. 25\nC. 0\nD. -40",
    ],
    "en": [
        "If $f(x) = 3x^2 - 4$, find $f(f(2))$.\nWe have $f(2) = 3 \\cdot 4 - 4 = 8$, so $f(f(2)) = \\boxed{188}$.",
        "Solve the system.\n\\begin{align*}\n2x + y &= 7 \\\\\nx - y &= 2\n\\end{align*}\nAdding, we get \\[3x = 9,\\]"
        "\nso \\[x = 3, y = 1.\\]",
        "Mary has 3 boxes of 12 pens. How many pens has she?\nShe has 3 * 12 = <<3*12=36>>36 pens.\n#### 36",
        "Consider the state n = 4, l = 1 of an atom. Which state may follow?\nA. n = 3, l = 2\nB. n = 3, l = 1\n"
        "C. n = 3, l = 0\nD. n = 2, l = 0",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language in QUESTIONS for text in QUESTIONS[language]]
)
def test_questions_are_kept_in_their_language(language, text):
    assert verdict(text) == (language, None)


CODE = """#include <stdio.h>
/* 求和：从一加到一百 */
int main(void) {
    int sum = 0;  // 总和
    for (int i = 1; i <= 100; i++) {
        sum += i;  // 逐个相加
    }
    printf("结果是 %d\\n", sum);
    return 0;
}
"""


def test_code_with_chinese_comments_is_code():
    assert identify([CODE], np.array([count_kinds(CODE)]).T) == ["code"]
    python = "# 读取文件\nimport re\nDIGITS = re.compile(r'\\(\\d+\\)')\ndef f(a):\n    return DIGITS.findall(a)\n"
    assert identify([python], np.array([count_kinds(python)]).T) == ["code"]


HOSTILE = [
    "$",
    "\\[",
    "\\(",
    "\\begin{align}",
    "$\\a",
    "[asy]",
    "=",
    "√",
    "x+",
    "\\frac{",
    "$x",
    "H2O+",
    "A. 1\n",
    "|a|\n",
    "a\tb\t",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_linear(piece):
    text = piece * (100_000 // len(piece))
    start = time.process_time()
    verdict(text)
    assert time.process_time() - start < 2
