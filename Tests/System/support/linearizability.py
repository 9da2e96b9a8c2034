"""Records what clients saw and decides whether one order of the operations explains it.

Each key is a register that holds an entity tag, or nothing. Its history is linearizable if every
operation can be given one moment between its call and its return so that, in the order of these
moments, each saw what a single register would have shown (Herlihy and Wing). An operation without
an answer may have its moment at any time after its call, or never.

The search is that of Wing and Gong with the memory of Lowe: a set of done operations together with
a state is tried once. Steps are bounded, and running out of them is an error, never a pass.
"""
import collections
import dataclasses
import itertools
import json
import threading
import time

ABSENT = None
UNSEEN = "a value that nobody saw"
FOREVER = float("inf")


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation on one key.

    `kind` is "read", "write" or "delete". `value` is the entity tag that was written, or that a
    read saw (ABSENT for none). `condition` is None, ("match", tag) or ("none",) for a write that
    wants no object. `outcome` is "done", "refused" (its condition did not hold) or "unknown".
    """

    key: str
    kind: str
    called: float
    returned: float
    value: object = ABSENT
    condition: tuple | None = None
    outcome: str = "done"
    client: str = ""

    def apply(self, state):
        """(whether a register in `state` can have answered so, its state afterwards)."""
        if self.kind == "read":
            return state == self.value, state
        holds = self.condition is None or state == (
            self.condition[1] if self.condition[0] == "match" else ABSENT)
        if self.outcome == "refused":
            return not holds, state
        if not holds:
            # Only an unknown one may come to this, and then it changed nothing.
            return self.outcome == "unknown", state
        return True, ABSENT if self.kind == "delete" else self.value


class Undecided(AssertionError):
    """The bound of steps was reached."""


class History:
    """Operations of many threads, in the order of one clock."""

    def __init__(self):
        self.operations = []
        self.lock = threading.Lock()
        self.ticks = itertools.count()

    def now(self):
        """A moment: later calls have later ones. The time is for people."""
        with self.lock:
            return next(self.ticks)

    def add(self, **fields):
        with self.lock:
            self.operations.append(Operation(**fields))

    def record(self, client, key, kind, call, value=ABSENT, condition=None):
        """Runs `call`, which returns (outcome, value); a read's value is what it saw.

        An exception counts as unknown for writes; reads without an answer say nothing.
        """
        called = self.now()
        try:
            outcome, seen = call()
        except OSError:
            outcome, seen = "unknown", value
        returned = self.now() if outcome != "unknown" else FOREVER
        if outcome == "unknown" and kind == "read":
            return outcome, seen
        self.add(
            client=client, key=key, kind=kind, called=called, returned=returned, outcome=outcome,
            value=seen if kind == "read" else value, condition=condition)
        return outcome, seen

    def record_list(self, client, keys, call):
        """A list: each key of `keys` read at some moment while the list ran.

        `call` returns {key: tag} of what was listed, or None for no answer. A list is not one
        moment, but each of its lines has one. A key outside `keys` is an error.
        """
        called = self.now()
        listed = call()
        returned = self.now()
        if listed is None:
            return None
        stray = listed.keys() - set(keys)
        assert not stray, f"{client} was listed keys that nobody wrote: {sorted(stray)[:5]}"
        for key in keys:
            self.add(
                client=client, key=key, kind="read", called=called, returned=returned,
                value=listed.get(key, ABSENT))
        return listed

    def check(self, initial=None, max_steps=2_000_000):
        """Asserts that every key is linearizable; the number of operations."""
        begin = time.monotonic()
        for key, operations in sorted(self.by_key().items()):
            state = (initial or {}).get(key, ABSENT)
            if not linearizable(operations, state, max_steps):
                raise AssertionError(
                    f"{key} is not linearizable from {state}:\n" + show(shrink(operations, state)))
        assert time.monotonic() - begin < 300
        return len(self.operations)

    def by_key(self):
        keys = collections.defaultdict(list)
        for operation in self.operations:
            keys[operation.key].append(operation)
        return keys

    def save(self, path):
        with open(path, "w") as file:
            json.dump([dataclasses.asdict(o) for o in self.operations], file, default=str)


def linearizable(operations, initial=ABSENT, max_steps=2_000_000):
    """Whether one order explains the operations of one key; `Undecided` beyond `max_steps`.

    Each write must have a value of its own.
    """
    needed, optional = settle(operations, initial)
    # Depth first: (needed ones that are done, optional ones that are used, state). All before
    # `first` are done.
    seen = {(0, initial): [0]}
    stack = [(0, 0, initial, 0)]
    all_done = (1 << len(needed)) - 1
    steps = 0
    while stack:
        done, used, state, first = stack.pop()
        if done == all_done:
            return True
        while done >> first & 1:
            first += 1
        earliest, open_ones = candidates(needed, done, first)
        for index in open_ones:
            fits, after = needed[index].apply(state)
            found = [(used, after)] if fits else helped(
                needed[index], optional, used, state, earliest)
            steps += 1 + len(found)
            if steps > max_steps:
                raise Undecided(f"no decision on {len(operations)} operations in {steps} steps")
            for used_after, after in found:
                # Whoever came to the same with fewer optional ones can do all that this can.
                others = seen.setdefault((done | 1 << index, after), [])
                if not any(other & used_after == other for other in others):
                    others.append(used_after)
                    stack.append((done | 1 << index, used_after, after, first))
    return False


def settle(operations, initial):
    """(operations that have a place in every order, those that may have none), by their calls.

    A write without an answer whose value was seen took effect, before the first that saw it
    returned, and so it saw the value of its own condition. Others without an answer are optional.
    """
    written = [initial, *(o.value for o in operations if o.kind == "write")]
    if len(set(written)) < len(written):
        raise ValueError("each write needs a value of its own")
    witnesses = seen_before(operations)
    named = witnesses.keys() | {o.condition[1] for o in operations if o.condition and o.condition[1:]}
    needed, optional = [], []
    for o in sorted(operations, key=lambda o: o.called):
        if o.outcome != "unknown":
            needed.append(o)
        elif o.kind == "write" and o.value in witnesses:
            needed.append(dataclasses.replace(
                o, outcome="done", returned=max(o.called, witnesses[o.value])))
        else:
            # Values that nothing names are all the same.
            value = o.value if o.kind == "delete" or o.value in named else UNSEEN
            optional.append(dataclasses.replace(o, value=value))
    return needed, optional


def seen_before(operations):
    """{value that some operation saw: when the first that saw it had returned}."""
    writers = {o.value: o for o in operations if o.kind == "write" and o.outcome == "unknown"}
    sights = [
        (o.value if o.kind == "read" else o.condition[1], o.returned) for o in operations
        if o.kind == "read" or o.outcome == "done" and o.condition and o.condition[0] == "match"]
    witnesses = {}
    while sights:
        value, moment = sights.pop()
        if moment >= witnesses.get(value, FOREVER):
            continue
        witnesses[value] = moment
        writer = writers.get(value)
        if writer and writer.condition and writer.condition[0] == "match":
            sights.append((writer.condition[1], moment))
    return witnesses


def candidates(operations, done, first):
    """(when the first open one returned, indices of those called before that, likeliest last)."""
    earliest = FOREVER
    found = []
    for index in range(first, len(operations)):
        operation = operations[index]
        if operation.called > earliest:
            break
        if not done >> index & 1:
            earliest = min(earliest, operation.returned)
            found.append(index)
    found.sort(key=lambda i: operations[i].returned, reverse=True)
    return earliest, found


def helped(operation, optional, used, state, earliest):
    """What `operation` can come to if one optional operation has its moment right before it.

    An optional one helps only by changing what the next one sees, so no other place need be tried.
    One is enough: it takes two only to come to one certain value, and whoever wrote a value that
    was seen is no optional one.
    """
    found, alike = [], set()
    for index, other in enumerate(optional):
        if other.called > earliest:
            break
        if used >> index & 1:
            continue
        fits, between = other.apply(state)
        if not fits or between == state:
            continue
        fits, after = operation.apply(between)
        # Those that leave the same behind are interchangeable, if no condition tells them apart.
        if not fits or (other.condition is None and after in alike):
            continue
        alike.add(after)
        found.append((used | 1 << index, after))
    return found


def shrink(operations, initial, max_steps=200_000):
    """The shortest beginning of a history that no order explains, for people to read."""
    moments = sorted(o.returned for o in operations if o.returned != FOREVER)
    low, high = 0, len(moments)
    while low < high:
        middle = (low + high) // 2
        try:
            fits = linearizable(until(operations, moments[middle]), initial, max_steps)
        except Undecided:
            break
        low, high = (middle + 1, high) if fits else (low, middle)
    if low < len(moments):
        return until(operations, moments[low])[-30:]
    return operations[-30:]


def until(operations, moment):
    """What had happened at `moment`: operations that ran then are without an answer yet."""
    found = []
    for operation in operations:
        if operation.returned <= moment:
            found.append(operation)
        elif operation.called < moment and operation.kind != "read" and (
                operation.outcome != "refused"):
            found.append(dataclasses.replace(operation, returned=FOREVER, outcome="unknown"))
    return found


def show(operations):
    lines = []
    for o in sorted(operations, key=lambda o: o.called):
        condition = "" if o.condition is None else f" if {' '.join(map(str, o.condition))}"
        lines.append(
            f"  {o.called:>6}–{o.returned:<6} {o.client:10} {o.kind} {o.value}{condition}: {o.outcome}")
    return "\n".join(lines)
