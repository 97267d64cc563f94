"""How requests are put into groups and batches."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.evaluate.score.plan import SHORTEST, batches, bucket, groups_of, rows_of

IDS = st.lists(st.integers(1, 3), min_size=1, max_size=40)
# Requests with beginnings in common: one of a few stems, then something of its own.
REQUESTS = st.lists(
    st.tuples(st.integers(0, 3), IDS, st.lists(st.integers(1, 3), min_size=1, max_size=3)), min_size=1, max_size=12
)
STEMS = ([], [1] * 30, [1] * 20 + [2] * 30, [3] * 50)


def whole(made) -> list[tuple[list[int], list[int]]]:
    return [(STEMS[stem] + own, continuation) for stem, own, continuation in made]


@given(REQUESTS)
def test_every_request_is_asked_once_of_its_own_ids(made):
    requests = whole(made)
    seen = {}
    for group in groups_of(rows_of(requests, 200)):
        for row in group.rows:
            assert row.ids[: group.shared] == group.rows[0].ids[: group.shared]
            for number, continuation in row.wanted:
                context, wanted = requests[number]
                assert list(row.ids) == [*context, *wanted][:-1]
                assert list(continuation) == wanted
                assert len(row.ids) - len(wanted) >= group.shared, "what is asked for lies behind what is shared"
                assert number not in seen
                seen[number] = group
    assert sorted(seen) == list(range(len(requests)))


@given(REQUESTS)
def test_sharing_spares_at_least_as_much_as_one_group_of_all(made):
    rows = rows_of(whole(made), 200)
    groups = groups_of(rows)
    saved = sum(group.shared * (len(group.rows) - 1) for group in groups)
    unread = (min(one.unread, other.unread) for one, other in pairwise(rows))
    same = lambda one, other: next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), len(one))
    shared = min((same(one.ids, other.ids) for one, other in pairwise(rows)), default=0)
    shared = min(shared, *unread) if len(rows) > 1 else 0
    assert saved >= (shared * (len(rows) - 1) if shared >= SHORTEST else 0)
    assert all(group.shared >= SHORTEST for group in groups if len(group.rows) > 1 and group.shared)


def test_questions_of_a_subject_share_its_examples_and_choices_their_question():
    subject, question, other = [1] * 100, [2] * 60, [3] * 60
    requests = [([*subject, 4, number], [5]) for number in range(6, 9)]
    requests += [(question, [7, number, 8]) for number in range(3)] + [(other, [7, 9])]
    groups = {group.shared: len(group.rows) for group in groups_of(rows_of(requests, 200))}
    assert groups == {101: 3, 59: 3, 0: 1}


def test_letters_after_one_context_are_one_row():
    [row] = rows_of([([1, 2, 3], [letter]) for letter in range(4)], 100)
    assert row.ids == (1, 2, 3)
    assert row.pairs == 4


def test_what_does_not_fit_is_cut_off_on_the_left():
    [row] = rows_of([(list(range(100)), [7, 8])], 10)
    assert row.ids == (*range(91, 100), 7)


def test_buckets_grow_by_half_at_most():
    sizes = [bucket(length, 10**6) for length in range(1, 5000)]
    assert sizes == sorted(sizes)
    assert all(length <= size <= max(SHORTEST, 1.5 * length) for length, size in enumerate(sizes, 1))
    assert bucket(900, 1000) == 1000


@pytest.mark.parametrize("tokens", [1, 64, 1000])
def test_batches_hold_every_row(tokens):
    rows = rows_of([([1] * (n + 1), [2]) for n in range(37)], 100)
    [group] = [group for group in groups_of(rows) if not group.shared] or groups_of(rows)
    parts = list(batches(group, tokens, [2, 8, 32]))
    assert sorted(row.ids for part in parts for row in part) == [row.ids for row in group.rows]
    assert all(len(part) <= 32 for part in parts)
