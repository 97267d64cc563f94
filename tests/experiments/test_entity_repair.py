"""Names written wrong: which characters are confused, what is kept apart, and how answers are scored."""

import json
from random import Random

import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from experiments import entity_baselines
from experiments.entity_baselines import copied, rescored, variants
from experiments.entity_confusions import count_pairs, find_confusions, near_syllable, split_pairs
from experiments.entity_scores import Interval, Scores, edit_distance, ratio, read_names, score, write_names
from experiments.entity_sentences import Name, Sentence, read_sentences, suitable, tagged_sentences
from experiments.entity_split import Corruption, as_written, common_characters, make_cases, split_sentences
from experiments.entity_tables import Compared, groups
from experiments.entity_task import EXAMPLE, example_cases

SOME = "清请情青微徽软阮逊孙讯谷古歌哥马吗妈陈城程宁林未末土士江北京"


@pytest.fixture(scope="module")
def confusions():
    return find_confusions(SOME, SOME)


def sentence(text: str, *names: str) -> Sentence:
    return Sentence(text, tuple(Name(name, "place", text.index(name)) for name in names))


def made_up(count: int) -> list[Sentence]:
    """Return sentences with one or two names each, some of which are parts of others."""
    rng = Random(3)
    names = ["".join(rng.choices(SOME, k=rng.choice((2, 2, 3)))) for _ in range(40)]
    names += [name + "城" for name in names[:10]]
    texts = [(f"第{number}次，", rng.sample(names, rng.choice((1, 2)))) for number in range(count)]
    made = [sentence(start + "和".join(chosen) + "。", *chosen) for start, chosen in texts]
    return suitable(made, 1, 40, 2)


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("软", "阮", "syllable"),
        ("谷", "古", "syllable"),
        ("陈", "城", "near"),
        ("宁", "林", "near"),
        ("逊", "孙", "look"),
        ("未", "末", "look"),
        ("清", "请", "both"),
        ("马", "吗", "both"),
        ("江", "清", None),  # they share a radical alone
        ("北", "京", None),
    ],
)
def test_which_characters_are_confused(confusions, one, other, kind):
    assert confusions.get(one, {}).get(other) == confusions.get(other, {}).get(one) == kind


def test_one_of_a_pair_may_be_written():
    found = find_confusions(SOME, "古")
    assert found == {"古": {"谷": "syllable", "土": "look", "士": "look"}} | {
        each: {"古": found["古"][each]} for each in "谷土士"
    }


@pytest.mark.parametrize(
    ("syllable", "near"),
    [
        ("zhang", "zang"),
        ("shen", "sen"),
        ("sheng", "sen"),
        ("ning", "lin"),
        ("ang", "ang"),
        ("zeng", "zen"),
        ("e", "e"),
    ],
)
def test_near_syllables(syllable, near):
    assert near_syllable(syllable) == near


def test_no_pair_is_on_both_sides(confusions):
    trained, tested = split_pairs(confusions, 0.3, Random(1), [("谷", "古")])
    pairs = [{frozenset((a, b)) for a in side for b in side[a]} for side in (trained, tested, confusions)]
    assert not pairs[0] & pairs[1]
    assert pairs[0] | pairs[1] == pairs[2]
    assert frozenset("谷古") in pairs[1]
    assert len(pairs[0]) > len(pairs[1]) > 2
    assert count_pairs(trained) + count_pairs(tested) == count_pairs(confusions)
    assert split_pairs(confusions, 0.3, Random(1), [("谷", "古")]) == (trained, tested)


def test_names_of_tagged_words():
    line = "江/nr  泽民/nr  在/p  北京/ns  会见/v  克林顿/nr  。/w  新华社/nt  记者/n  孙/nr  益新/nr  赵/nr  旭东/nr"
    first, second = tagged_sentences(line)
    assert first.text == "江泽民在北京会见克林顿。"
    assert [(name.text, name.kind, name.start) for name in first.names] == [
        ("江泽民", "person", 0),
        ("北京", "place", 4),
        ("克林顿", "person", 8),
    ]
    assert [name.text for name in second.names] == ["新华社", "孙益新", "赵旭东"]
    assert all(each.text.startswith(name.text, name.start) for each in (first, second) for name in each.names)
    assert first.carrier == "_在_会见_。"


def test_sentences_whose_names_can_be_repaired():
    good, again = sentence("他在北京。", "北京"), sentence("他在上海。", "上海")
    twice, latin, short = sentence("北京，北京！", "北京"), sentence("CSOL来了。", "CSOL"), sentence("京。", "京")
    assert suitable([twice, latin, short, good, again], 1, 40, 2) == [good]
    assert suitable([good], 6, 40, 2) == suitable([good], 1, 4, 2) == []


def test_a_file_of_cluener(tmp_path):
    file = tmp_path / "train.json"
    lines = [{"text": "李成到美国。", "label": {"address": {"美国": [[3, 4]]}, "name": {"李成": [[0, 1]]}}}]
    file.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    (found,) = read_sentences(str(file))
    assert [(name.text, name.kind) for name in found.names] == [("李成", "name"), ("美国", "address")]
    for wrong, why in (
        ({"text": "李成"}, ":2: not a line of CLUENER"),
        ({"text": "李成", "label": {"name": {"王成": [[0, 1]]}}}, ":2: '王成' does not stand"),
    ):
        file.write_text(json.dumps(lines[0]) + "\n" + json.dumps(wrong), encoding="utf-8")
        with pytest.raises(UserError, match=why):
            list(read_sentences(str(file)))


def test_nothing_that_is_tested_is_trained_on():
    sentences = made_up(400)
    sides = split_sentences(sentences, 0.25, 5, Random(2), ["北京"])
    trained, tested = ({name.text for each in side for name in each.names} for side in (sides.train, sides.test))
    assert len(sides.train) > 20
    assert len(sides.test) > 20
    assert not any(name in each.text for name in tested | {"北京"} for each in sides.train)
    assert not any(name in other for name in trained for other in tested)
    assert not {each.carrier for each in sides.train} & {each.carrier for each in sides.test}
    left = sum(count for why, count in sides.counts.items() if why.startswith("left out"))
    assert left + len(sides.train) + len(sides.test) == len(sentences)
    for side in (sides.train, sides.test):
        times = [sum(name in [one.text for one in each.names] for each in side) for name in trained | tested]
        assert max(times) <= 5
    assert split_sentences(sentences, 0.25, 5, Random(2), ["北京"]) == sides


def test_a_corruption_is_one_allowed_character(confusions):
    sentences = made_up(200)
    names = {name.text for each in sentences for name in each.names}
    common = common_characters(sentences, 12)
    assert len(common) == 12
    cases = make_cases(sentences, Corruption(confusions, common, names), 2, Random(4))
    corrupted = [case for case in cases if case.corruption]
    assert 100 < len(corrupted) <= len(cases) / 2
    for case in corrupted:
        wrong = [(a, b.text) for a, b in zip(case.right, case.written) if a != b.text]
        ((right, written),) = wrong
        ((one, other),) = [pair for pair in zip(right, written) if pair[0] != pair[1]]
        assert confusions[one][other] == case.corruption
        assert other in common
        assert written not in names
    for case in cases:
        assert all(case.text.startswith(name.text, name.start) for name in case.written)
    assert make_cases(sentences, Corruption(confusions, common, names), 2, Random(4)) == cases


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ('["北京", "上海"]', ("北京", "上海")),
        ("[]", ()),
        ('{"names": ["北京"]}', None),
        ('["北京", 1]', None),
        ('["北京"', None),
        ("北京", None),
        ("", None),
    ],
)
def test_what_an_answer_says(answer, names):
    assert read_names(answer) == names
    if names:
        assert write_names(names) == answer


def test_edit_distance():
    pairs = [
        ("", "", 0),
        ("北京", "", 2),
        ("倍京", "北京", 1),
        ("北京市", "北京", 1),
        ("ab", "ba", 2),
        ("kitten", "sitting", 3),
    ]
    for one, other, distance in pairs:
        assert edit_distance(one, other) == edit_distance(other, one) == distance


def test_scores():
    whole, *_ = example_cases()
    right = write_names(EXAMPLE.values())
    assert score(whole, right) == (True, True, 0, True)  # the right names are not in the text
    assert score(whole, copied([whole])[0]) == (True, False, 3, False)
    assert score(whole, "[]") == (True, False, 9, False)
    assert score(whole, right[:-1]) == (False, False, 9, False)
    left_alone = as_written(sentence("他在北京。", "北京"))
    assert score(left_alone, '["北京"]') == (True, True, 0, False)
    assert score(left_alone, '["北进"]') == (True, False, 1, True)
    assert score(left_alone, '["他在"]') == (True, False, 2, False)


def test_intervals():
    rng = np.random.default_rng(1)
    shares = (rng.random((3, 200)) < 0.3).astype(float)
    found = ratio(shares, np.ones(200), range(200))
    assert found.value == pytest.approx(shares.mean())
    deviation = (0.3 * 0.7 / 200) ** 0.5
    assert found.low < found.value < found.high
    assert 2 * deviation < found.high - found.low < 5 * deviation  # three seeds of their own: wider than of 600 cases
    one_group = ratio(shares, np.ones(200), [0] * 200)
    assert one_group.high - one_group.low < found.high - found.low  # cases that are drawn together never vary
    assert ratio(np.ones((1, 4)), np.full(4, 2), "aabb") == (0.5, 0.5, 0.5)
    verdicts = [Interval(0, *bounds).verdict for bounds in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1), (0.0, 0.0))]
    assert verdicts == ["better", "worse", "cannot tell", "cannot tell"]


def test_a_system_beside_another():
    sentences = made_up(60)
    cases = [as_written(each) for each in sentences]
    good = copied(cases)
    half = [answer if number % 2 else "[]" for number, answer in enumerate(good)]
    gain = Scores(cases, [good, good]).gain(Scores(cases, [half]))
    assert gain.value == pytest.approx(0.5, abs=0.02)
    assert gain.low > 0.2
    assert Scores(cases, [good]).character_errors() == (0.0, 0.0, 0.0)


def test_the_copy_repairs_nothing_and_leaves_everything_alone(confusions):
    sentences = made_up(100)
    cases = make_cases(sentences, Corruption(confusions, frozenset(SOME), ()), 1, Random(5))
    found = Compared(cases, {"copy": [copied(cases)]})
    assert found.wrong["copy"].exact.sum() == 0
    assert found.wrong["copy"].errors.min() == found.wrong["copy"].errors.max() == 1
    assert found.right["copy"].exact.all()
    assert not found.right["copy"].altered.any()
    rows = groups(found, dict.fromkeys((name for case in cases for name in case.right), 7)).rows
    assert {row[0] for row in rows} == {"confusion", "name", "in the base's text"}
    assert [row[1:3] for row in rows if row[0] == "in the base's text"] == [["1 to 9", found.wrong["copy"].exact.size]]


def test_the_most_probable_form_is_chosen(monkeypatch, confusions):
    likely = {"微软、亚马逊、谷歌"}

    def score_likely(texts, run, progress):
        """Score a text by the characters that it shares with the right one."""
        for text in texts:
            texts[text] = sum(a == b for a, b in zip(text, *likely))

    monkeypatch.setattr(entity_baselines, "_score", score_likely)
    written = sentence("微阮、亚马孙、古歌", "微阮", "亚马孙", "古歌")
    assert rescored([as_written(written)], None, confusions, None) == ['["微软", "亚马逊", "谷歌"]']
    right = sentence("微软、亚马逊、谷歌", "微软", "亚马逊", "谷歌")
    assert rescored([as_written(right)], None, confusions, None) == ['["微软", "亚马逊", "谷歌"]']


def test_the_forms_of_a_name(confusions):
    forms = list(variants("谷歌", confusions))
    assert forms[0] == "谷歌"
    assert {"古歌", "谷哥"} < set(forms)
    assert all(sum(a != b for a, b in zip("谷歌", form)) == 1 for form in forms[1:])
    assert len(forms) == 1 + len(confusions["谷"]) + len(confusions["歌"])
