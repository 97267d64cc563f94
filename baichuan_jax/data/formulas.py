"""Formulas in texts: LaTeX, mathematics in Unicode or ASCII, physical quantities and chemical equations.

A formula is content, as words are, but consists of digits, symbols and brackets. The time of every pattern is linear in
the length of a text: a closing delimiter is searched up to the next opening one, and repetition is possessive.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_HAN = "\u3400-\u9fff"
_NAMES = (
    "sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|log|ln|lg|exp|lim|max|min|sup|inf|mod|gcd|lcm|det|dim|ker|arg"
    "|mol|kPa|MPa|kWh|kHz|MHz|GHz|rad|ppm|atm"
)
_ELEMENTS = (
    "He|Li|Be|Ne|Na|Mg|Al|Si|Cl|Ar|Ca|Sc|Ti|Cr|Mn|Fe|Co|Ni|Cu|Zn|Ga|Ge|As|Se|Br|Kr|Rb|Sr|Zr|Nb|Mo|Ag|Cd|Sn|Sb|Te|Xe"
    "|Cs|Ba|Pt|Au|Hg|Pb|Bi|Ra|[HBCNOFPSKVYIU]"
)
_WORD = (  # variables, points, units, elements
    rf"(?<![A-Za-z])(?:{_NAMES}|[A-Za-z]{{1,2}}|(?<=[∠△⊙])[A-Z]{{3,4}}|(?:{_ELEMENTS}){{2,8}})(?![A-Za-z])"
)
_GREEK = "(?<![\u0370-\u03ff])[\u0391-\u03c9\u03d5\u03f5](?! ?[\u0370-\u03ff])"  # alone; words are prose
# Operators, relations and scripts that only formulas have. A middle dot and vertical arrows also occur in tables.
_SIGNS = (
    "√∛∑∏∫∬∮∂∇∞∈∉∋⊂⊃⊆⊇∪∩∧∨¬∀∃∅≤≥≦≧≠≈≡≅∼∽∝⊥∥∠△⊙⊕⊗±∓×÷→←↔⇌⇄⇒⇔⟶⟹°℃′″∘∗⋅∆"
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼ⁿ₀₁₂₃₄₅₆₇₈₉₊₋₌ₙ½⅓⅔¼¾Ωℝℕℤℚℂℓ\U0001d400-\U0001d7ff"
)
_COMMANDS = (
    "frac|dfrac|tfrac|sqrt|sum|prod|int|oint|lim|cdots?|[ld]?dots|times|div|pm|mp|leq?|geq?|neq?|leqslant|geqslant"
    "|approx|equiv|cong|sim|propto|infty|partial|nabla|alpha|beta|gamma|delta|(?:var)?epsilon|zeta|eta|theta|lambda"
    "|mu|nu|xi|pi|rho|sigma|tau|(?:var)?phi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Sigma|Phi|Psi|Omega|sin|cos|tan"
    "|log|ln|vec|overline|overrightarrow|hat|bar|left|right|math(?:rm|bf|bb|cal)|text|q?quad|circ|angle|triangle"
    "|perp|parallel|cup|cap|subset(?:eq)?|in|notin|forall|exists|[Rr]ightarrow|leftrightarrow|rightleftharpoons"
    "|longrightarrow|xrightarrow|stackrel|uparrow|downarrow|binom|[pb]mod|boxed|because|therefore|ce|operatorname"
)
_ENVIRONMENT = (
    r"\{(?:align(?:ed|at)?|equation|gather(?:ed)?|multline|eqnarray|array|cases|[bpvV]?matrix|split|tabular)\*?\}"
)
# Between dollars without a command no words are allowed, so that prices and shell variables do not match.
_PLAIN = rf"(?:[^$\n\\A-Za-z{_HAN}\";]|{_WORD}|\\.|\n(?![ \t]*+\n))++"
_LATEX = r"(?=[^$]{0,400}\\[a-zA-Z])(?:[^$\n\\]|\\.|\n(?![ \t]*+\n))++"
# Each alternative begins with its first character, for which the engine looks many times faster; that no backslash is
# before it is seen then.
_ENCLOSED = (
    r"\\(?<!\\\\)(?:\[(?:[^\\]|\\[^\[\]])*+\\\]|\((?:[^\\]|\\[^()])*+\\\)"
    rf"|begin{_ENVIRONMENT}(?:[^\\]|\\(?!begin|end))*+\\end{_ENVIRONMENT})"
    rf"|\$(?<!\\\$)\$?(?:{_PLAIN}|{_LATEX})\$\$?"
    r"|\[(?<!\\\[)asy\](?:[^\[]|\[(?!/?asy\]))*+\[/asy\]"  # a drawing among formulas
)
_RUN = (
    rf"(?:[0-9+\-−–*/^_=<>()\[\]{{}}|.,!'%&·‖∣↑↓{_SIGNS}]|{_WORD}|{_GREEK}"
    r"|\\(?!begin|end)[a-zA-Z]++|\\[,;!|{}\\ ]|[ \t](?=\S))++"
)
# First characters of both: most characters of prose end the search there.
_FIRST = rf"[0-9A-Za-z+\-−–*/^_=<>()\[\]{{}}|'·‖∣↑↓\\${_SIGNS}\u0391-\u03c9\u03d5\u03f5]"
FORMULA = re.compile(rf"(?={_FIRST})(?:(?P<enclosed>{_ENCLOSED})|(?P<run>{_RUN}))")
ENCLOSED = re.compile(_ENCLOSED)
# A run with a letter or digit is a formula if it has a sign or command, a relation or an operator between operands, or
# a strand of nucleotides. A hyphen, a slash or a comma does not suffice: dates and tables have them.
SIGN = re.compile(
    rf"[{_SIGNS}]|{_GREEK}|\\(?:{_COMMANDS})(?![a-zA-Z])|[\w)\]}}|'] ?[=<>]=? ?[\w(\[{{|\\+−-]|[\w)] ?="
    r"|[\w)\]}]\^[\w({\\+-]|[A-TV-Za-z)][0-9]? ?[+*] ?[\w(]|[0-9] ?[+*] ?[A-Za-z(]|[0-9]\*[0-9]|_\{|(?:[ACGTU]-){3}"
)
SIGN_MARK = re.compile(rf"[\\=<>^+*_\-{_SIGNS}\u0391-\u03c9\u03d5\u03f5]")  # one is in whatever SIGN matches
OPERAND = re.compile(r"[^\W_]")
MATHS = re.compile(r"[\\=^_+<>]")  # not in "$5, $6" and "$a $b": money and shell variables
CLUE = re.compile(rf"[$^{_SIGNS}]|\\[a-zA-Z(\[]|[\w)] ?= ?[\w(-]")


def split_formulas(text: str) -> tuple[str, str]:
    """Return (a text without its formulas, the formulas concatenated)."""
    formulas: list[str] = []

    def take(formula: str) -> str:
        formulas.append(formula)
        return " "

    return substitute_formulas(text, take), "".join(formulas)


def substitute_formulas(text: str, new: Callable[[str], str]) -> str:
    """Return a text with each formula replaced by `new(formula)`."""

    def replaced(part: str) -> str:
        return FORMULA.sub(lambda match: new(match[0]) if _is_formula(match) else match[0], part)

    if ENCLOSED.search(text):
        return replaced(text)
    # Others end with their line, and most lines have no mark of one.
    return "\n".join([replaced(line) if SIGN_MARK.search(line) else line for line in text.split("\n")])


def _is_formula(match: re.Match) -> bool:
    if match["run"] is not None:
        return bool(SIGN.search(match["run"]) and OPERAND.search(match["run"]))
    inner = match["enclosed"].strip("$")
    return inner == inner.strip() or bool(MATHS.search(inner))
