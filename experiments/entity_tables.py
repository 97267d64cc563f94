"""Tables of entity_repair: before tuning, all systems, their differences, the example, and where they fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from baichuan_jax.lab.experiment import Table
from experiments.entity_scores import Scores, read_names
from experiments.entity_split import Case

Answers = Sequence[Sequence[str]]  # of every seed, to every case
COLUMNS = ("repaired", "character errors", "valid JSON", "left alone", "over-corrected")
NOTE = (
    "repaired: the answer to a sentence with a corrupted name has all names, right, in order, and no others. character "
    "errors: edits for each character of the right names, there. left alone: as repaired, of sentences whose names are "
    "right. over-corrected: the answer to such a one has a name that is not in the sentence. valid JSON: a list of "
    "strings, of all answers. 95 % bootstrap intervals over seeds and names."
)
GROUPS: dict[str, Callable[[Case], str]] = {"confusion": lambda case: case.corruption, "name": lambda case: case.kind}
TIMES = ((0, "0"), (1, "1 to 9"), (10, "10 to 99"), (100, "100 or more"))


class Compared:
    """The answers of all systems to the same cases, scored: to those with a corrupted name, and to those without."""

    def __init__(self, cases: Sequence[Case], systems: Mapping[str, Answers]):
        self.cases, self.systems = cases, systems
        self.wrong = self.scores(lambda case: bool(case.corruption))
        self.right = self.scores(lambda case: not case.corruption)
        self.all = self.scores(lambda case: True)

    def scores(self, which: Callable[[Case], bool]) -> dict[str, Scores]:
        """Return the scores of every system for some of the cases."""
        numbers = [number for number, case in enumerate(self.cases) if which(case)]
        some = [self.cases[number] for number in numbers]
        return {
            name: Scores(some, [[seed[number] for number in numbers] for seed in seeds])
            for name, seeds in self.systems.items()
        }


def results(name: str, title: str, found: Compared, systems: Sequence[str]) -> Table:
    """Return the scores of some systems."""
    rows = []
    for system in systems:
        wrong, right, whole = (each[system] for each in (found.wrong, found.right, found.all))
        shares = (whole.share(whole.valid), right.share(right.exact), right.share(right.altered))
        told = (wrong.share(wrong.exact), wrong.character_errors(), *shares)
        figures = [cell for interval in told for cell in (interval.value, interval.bounds)]
        rows.append([system, len(found.systems[system]), *figures])
    count = len(next(iter(found.wrong.values())).exact[0]), len(next(iter(found.right.values())).exact[0])
    note = f"{count[0]} sentences with a corrupted name, {count[1]} without. {NOTE}"
    columns = [name for column in COLUMNS for name in (column, f"{column}, interval")]
    return Table(name, title, ["system", "seeds", *columns], rows, note)


def differences(found: Compared, systems: Sequence[str], baselines: Sequence[str]) -> Table:
    """Return by how much more names systems repair than baselines do."""
    rows = []
    for system in systems:
        for baseline in baselines:
            gain = found.wrong[system].gain(found.wrong[baseline])
            rows.append([system, baseline, gain.value, gain.bounds, gain.verdict])
    columns = ["system", "against", "more repaired", "interval", "verdict"]
    return Table("differences", "Repaired, beside what needs no tuning", columns, rows, "Case by case.")


def groups(found: Compared, times: Mapping[str, int]) -> Table:
    """Return the share that was repaired, by what was confused, by kind of name, and by how often the base's text has
    the right name. times: {name: its occurrences there}, {} if that text is not at hand.
    """
    keys = dict(GROUPS)
    if times:
        keys["in the base's text"] = lambda case: _range(min(times[name] for name in case.right))
    rows = []
    for what, key in keys.items():
        values = sorted({key(case) for case in found.cases if case.corruption}, key=_order)
        for value in values:
            scores = found.scores(lambda case, key=key, value=value: bool(case.corruption) and key(case) == value)
            count = len(next(iter(scores.values())).exact[0])
            rows.append([what, value, count, *(float(each.exact.mean()) for each in scores.values())])
    note = "The base's text is its whole corpus, of which it read a part; of two names in a sentence the rarer counts."
    columns = ["by", "group", "sentences", *found.systems]
    return Table("groups", "Repaired, by kind", columns, rows, note if times else "")


def _range(times: int) -> str:
    return next(label for least, label in reversed(TIMES) if times >= least)


def _order(value: str) -> tuple[int, str]:
    return next((number for number, (_, label) in enumerate(TIMES) if label == value), -1), value


def example(cases: Sequence[Case], systems: Mapping[str, Answers]) -> Table:
    """Return the answers to the example, those of the first seed."""
    rows = [["as it should be", *("、".join(case.right) for case in cases)]]
    rows += [[name, *(_shown(answer) for answer in seeds[0])] for name, seeds in systems.items()]
    return Table("example", "The example, names written wrong", ["", *(case.text for case in cases)], rows)


def failures(found: Compared, systems: Sequence[str], most: int) -> Table:
    """Return wrong answers of the last of some systems, beside those of the others, spread over the cases."""
    *_, last = systems
    wrong = [number for number, exact in enumerate(found.all[last].exact[0]) if not exact]
    step = max(1, len(wrong) // max(1, most))
    rows = [
        [found.cases[number].text, "、".join(found.cases[number].right)]
        + [_shown(found.systems[system][0][number]) for system in systems]
        for number in wrong[::step][:most]
    ]
    note = f"{len(rows)} of {len(wrong)} wrong answers of {last}, at equal distances, with what the others answer."
    return Table("failures", "Wrong answers", ["sentence", "right names", *systems], rows, note, "page")


def _shown(answer: str) -> str:
    names = read_names(answer)
    return f"no JSON: {answer[:24]!r}" if names is None else "、".join(names) or "no names"
