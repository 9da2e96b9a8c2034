"""The checker of histories, shown histories that it must accept and such that it must refuse."""
import collections
import itertools
import random

import pytest

from support.linearizability import (
    ABSENT, FOREVER, History, Operation, Undecided, linearizable)


def read(called, returned, value):
    return Operation("k", "read", called, returned, value)


def write(called, returned, value, condition=None, outcome="done"):
    return Operation("k", "write", called, returned, value, condition, outcome)


def delete(called, returned, outcome="done"):
    return Operation("k", "delete", called, returned, outcome=outcome)


def lost(called, value, condition=None):
    return write(called, FOREVER, value, condition, "unknown")


ACCEPTED = {
    "nothing at all": [],
    "one after the other": [write(1, 2, "a"), read(3, 4, "a"), delete(5, 6), read(7, 8, ABSENT)],
    "a read beside a write sees the old": [
        write(1, 2, "a"), write(3, 8, "b"), read(4, 5, "a"), read(6, 7, "b")],
    "writes side by side in either order": [
        write(1, 5, "a"), write(2, 6, "b"), read(7, 8, "a")],
    "an unknown write that took effect late": [
        lost(1, "a"), read(2, 3, ABSENT), read(4, 5, ABSENT), read(6, 7, "a")],
    "an unknown write that never took effect": [lost(1, "a"), read(2, 3, ABSENT)],
    "an unknown delete": [
        write(1, 2, "a"), delete(3, FOREVER, "unknown"), read(4, 5, "a"), read(6, 7, ABSENT)],
    "one of two creates wins": [
        write(1, 4, "a", ("none",)), write(2, 5, "b", ("none",), "refused"), read(6, 7, "a")],
    "a create refused by an unknown one": [
        lost(1, "a", ("none",)), write(2, 3, "b", ("none",), "refused"), read(4, 5, "a")],
    "compare and swap": [
        write(1, 2, "a"), write(3, 4, "b", ("match", "a")),
        write(5, 6, "c", ("match", "a"), "refused"), read(7, 8, "b")],
    "a refused swap beside the winner": [
        write(1, 2, "a"), write(3, 7, "b", ("match", "a")),
        write(4, 6, "c", ("match", "a"), "refused"), read(8, 9, "b")],
    "unknown swaps one after the other, the last of them seen": [
        lost(1, "a"), lost(1, "b", ("match", "a")), lost(1, "c", ("match", "b")), read(2, 3, "c")],
}

REFUSED = {
    "a read of what nobody wrote": [read(1, 2, "x")],
    "a write that is lost": [write(1, 2, "a"), read(3, 4, ABSENT)],
    "a stale read after a new one": [
        write(1, 2, "a"), write(3, 9, "b"), read(4, 5, "b"), read(6, 7, "a")],
    "a stale read after the write": [write(1, 2, "a"), write(3, 4, "b"), read(5, 6, "a")],
    "deleted and back": [write(1, 2, "a"), delete(3, 4), read(5, 6, "a")],
    "two creates win": [write(1, 4, "a", ("none",)), write(2, 5, "b", ("none",))],
    "two swaps of one value win": [
        write(1, 2, "a"), write(3, 6, "b", ("match", "a")), write(4, 7, "c", ("match", "a"))],
    "a refused write took effect": [
        write(1, 2, "a"), write(3, 4, "b", ("none",), "refused"), read(5, 6, "b")],
    "a refusal without a reason": [write(1, 2, "a", ("none",), "refused")],
    "an unknown write before its call": [read(1, 2, "a"), lost(3, "a")],
    "an unknown write seen and gone": [
        lost(1, "a"), read(2, 3, "a"), read(4, 5, ABSENT)],
    "an unknown write seen twice": [
        write(1, 2, "b"), lost(3, "a"), read(4, 5, "a"), write(6, 7, "c"), read(8, 9, "a")],
    "an unknown create beside an object": [
        write(1, 2, "b"), lost(3, "a", ("none",)), read(4, 5, "a")],
    "unknown swaps, the first of them called too late": [
        lost(4, "a"), lost(1, "b", ("match", "a")), lost(1, "c", ("match", "b")), read(2, 3, "c")],
    "unknown swaps in a circle": [
        lost(1, "b", ("match", "c")), lost(1, "c", ("match", "b")), read(2, 3, "c")],
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_one_order_explains_is_accepted(name):
    assert linearizable(ACCEPTED[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_order_explains_is_refused(name):
    assert not linearizable(REFUSED[name])


def generated(source, count, clients=5):
    """A history of a true register: each operation has its moment inside its interval."""
    operations, state, now = [], ABSENT, 0.0
    free = [0.0] * clients
    for index in range(count):
        now += source.random()
        client = min(range(clients), key=lambda c: free[c])
        moment = max(now, free[client] + 0.01)
        now = moment
        called = max(free[client], moment - source.random() * 3)
        returned = moment + source.random() * 3
        free[client] = returned + 0.001
        kind = source.choice(["read", "read", "write", "create", "swap", "delete", "unknown"])
        if kind == "read":
            operations.append(read(called, returned, state))
        elif kind == "delete":
            operations.append(delete(called, returned))
            state = ABSENT
        elif kind == "unknown":
            operations.append(lost(called, index))
            state = source.choice([index, state])
        else:
            condition = {"write": None, "create": ("none",), "swap": (
                "match", source.choice([state, "other"]))}[kind]
            holds = condition is None or state == (
                condition[1] if condition[0] == "match" else ABSENT)
            operations.append(
                write(called, returned, index, condition, "done" if holds else "refused"))
            state = index if holds else state
    return operations


@pytest.mark.parametrize("round_", range(20))
def test_histories_of_a_true_register_are_accepted_and_broken_ones_are_not(round_):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source = random.Random(seed)
    operations = generated(source, 150)
    source.shuffle(operations)
    assert linearizable(operations)
    # A value that was overwritten and seen so, read once more at the end, has no place.
    end = max(o.returned for o in operations if o.returned != FOREVER)
    final = [write(end + 1, end + 2, "last"), read(end + 3, end + 4, "last")]
    assert linearizable(operations + final)
    assert not linearizable(operations + final + [read(end + 5, end + 6, "nobody's")])
    written = next(o for o in operations if o.kind == "write" and o.outcome == "done")
    assert not linearizable(operations + final + [read(end + 5, end + 6, written.value)])


def test_running_out_of_steps_is_an_error():
    many = [write(1, 100, n) for n in range(30)] + [read(101, 102, "nobody's")]
    with pytest.raises(Undecided):
        linearizable(many, max_steps=10_000)


def test_each_line_of_a_list_is_a_read():
    history = History()
    history.record("a", "x", "write", lambda: ("done", "1"), "1")
    history.record_list("b", ["x", "y"], lambda: {"x": "1"})
    assert history.check() == 3
    history.record_list("b", ["x", "y"], lambda: {})
    with pytest.raises(AssertionError, match="x is not linearizable"):
        history.check()


def test_a_list_of_keys_that_nobody_wrote_is_refused():
    with pytest.raises(AssertionError, match="nobody wrote"):
        History().record_list("b", ["x"], lambda: {"z": "1"})


def test_a_refusal_names_the_shortest_beginning_that_fails():
    history = History()
    for value in "abc":
        history.record("a", "x", "write", lambda: ("done", value), value)
    history.record("b", "x", "read", lambda: ("done", "a"))
    history.record("b", "x", "write", lambda: ("done", "later"), "later")
    with pytest.raises(AssertionError) as raised:
        history.check()
    assert "read a" in str(raised.value) and "later" not in str(raised.value)


def explained_by_trying_all(operations):
    """The definition itself: every order of every choice of those without an answer."""
    needed = [o for o in operations if o.outcome != "unknown"]
    optional = [o for o in operations if o.outcome == "unknown"]
    for count in range(len(optional) + 1):
        for chosen in itertools.combinations(optional, count):
            for order in itertools.permutations([*needed, *chosen]):
                state, fits = ABSENT, True
                for index, operation in enumerate(order):
                    if any(later.returned < operation.called for later in order[index + 1:]):
                        fits = False
                        break
                    fits, state = operation.apply(state)
                    if not fits:
                        break
                if fits:
                    return True
    return False


def any_operation(source, own_value, swaps):
    """`swaps`: mostly conditional writes without an answer, which lean on one another."""
    called = source.randrange(12)
    returned = called + 1 + source.randrange(6)
    kind = source.choice(["read", "write", "write", "write"] if swaps else [
        "read", "read", "write", "write", "delete"])
    condition = outcome = None
    if kind == "write":
        match = ("match", source.choice("abcd"))
        condition = source.choice([None, ("none",), match] + [[None], [match] * 3][swaps])
    if kind != "read":
        outcome = source.choice(
            ["done", "unknown"] + [["done"], ["unknown"] * 2][swaps]
            + ["refused"] * (condition is not None))
    value = ABSENT if kind == "delete" else source.choice(
        [ABSENT, *"abcd"] if kind == "read" else [own_value])
    return Operation(
        "k", kind, called, FOREVER if outcome == "unknown" else returned, value, condition,
        outcome or "done")


def test_the_search_agrees_with_the_definition():
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source = random.Random(seed)
    verdicts = collections.Counter()
    for index in range(3000):
        values = "abcdef"[:source.randrange(2, 7)]
        operations = [any_operation(source, value, swaps=index % 2) for value in values]
        expected = explained_by_trying_all(operations)
        assert linearizable(operations) == expected, operations
        verdicts[expected] += 1
    assert min(verdicts[True], verdicts[False]) > 200, verdicts


def test_two_writes_of_one_value_are_not_taken():
    with pytest.raises(ValueError):
        linearizable([write(1, 2, "a"), write(3, 4, "a")])
