"""More stores lost than parity makes good: clean errors, nothing deleted, all well when they return.

All 20 triples of stores, each deleted, corrupted (everywhere, or at the end alone) and truncated
under a real server that is asked over HTTP.
"""
import concurrent.futures
import http.client
import itertools
import os
import shutil
import time

import pytest

from support import data
from support.server import Server

TRIPLES = list(itertools.combinations(range(6), 3))
INLINE = [0, 200, 16_384]
# Volume records; chunk files of one and of several stripes.
CHUNKED = [16_385, 60_000, 400_000, 1_048_320, 2_500_000]
QUICK = {"GC_DELAY_SECONDS": "0"}


def bodies():
    return {f"k{size}": data.content(("triple", size), size) for size in INLINE + CHUNKED}


def fetch(server, key, headers=()):
    """Status and body of a GET, or None and what came where the connection broke."""
    try:
        answer = server.s3("GET", f"/bucket/{key}", headers)
    except http.client.IncompleteRead as cut:
        return None, cut.partial
    except (OSError, http.client.HTTPException):
        return None, b""
    if answer.status == 503:
        assert answer.code == "ServiceUnavailable", answer
        assert "retry-after" in answer.headers, answer
    return answer.status, answer.body


def stored(store, kinds=("chunks", "volumes")):
    """Every file with chunks of a store and its length, but for the index, which is a copy."""
    return {
        str(path.relative_to(store)): path.stat().st_size for kind in kinds
        for path in (store / kind).rglob("*") if path.is_file() and "index" not in path.name}


def files_of(store):
    return [store / name for name in stored(store)]


def flip(path, offset, length):
    with open(path, "r+b") as file:
        file.seek(offset)
        old = file.read(length)
        file.seek(offset)
        file.write(bytes(byte ^ 0x55 for byte in old))


def delete(store):
    store.rename(store.parent / f"{store.name}.away")


def corrupt(store):
    for path in files_of(store):
        for offset in range(100, path.stat().st_size, 2048):
            flip(path, offset, 16)


def corrupt_end(store):
    """Chunk files in their last stripe, so that an answer may have begun."""
    for path in files_of(store):
        if "volumes" in path.parts:
            continue
        # The trailer takes the last page; the data ends before it.
        size = path.stat().st_size
        if size > 500_000:
            flip(path, size - 4096 - 20_000, 16)


def truncate(store):
    for path in files_of(store):
        # Of a volume its beginning is left, of a chunk file its first part.
        os.truncate(path, 4096 if "volumes" in path.parts else path.stat().st_size // 3)


KINDS = {
    "deleted": delete, "corrupted": corrupt, "corrupted at the end": corrupt_end,
    "truncated": truncate}
CASES = [(kind, triple) for kind in KINDS for triple in TRIPLES]


def all_read(server, wanted):
    return all(fetch(server, key) == (200, body) for key, body in wanted.items())


def await_states(server, wanted):
    deadline = time.monotonic() + 90
    while True:
        states = sorted(store["state"] for store in server.admin("status", "--json")["stores"])
        if states == wanted:
            return
        assert time.monotonic() < deadline, states
        time.sleep(0.1)


def expect_loss(server, wanted, kind):
    for size in INLINE:
        assert fetch(server, f"k{size}") == (200, wanted[f"k{size}"])
    for size in CHUNKED:
        key, body = f"k{size}", wanted[f"k{size}"]
        if kind == "corrupted at the end" and size < 2_000_000:
            assert fetch(server, key) == (200, body)
            continue
        status, got = fetch(server, key)
        # A whole answer is an error; one that had begun is broken off and never looks whole.
        assert status == 503 or (status is None and len(got) < len(body)), (key, status, len(got))
        assert status == 503 or body.startswith(got), key
        if kind != "corrupted at the end":
            assert status == 503, (key, status)
            # Where the chunk that has them is left, a few bytes may still be read.
            part = fetch(server, key, [("Range", "bytes=5-9")])
            assert part[0] == 503 or part == (206, body[5:10]), (key, part)
        assert server.s3("HEAD", f"/bucket/{key}").status == 200


def lose_triple(template, directory, kind, triple):
    """One server that loses three stores and gets them back."""
    shutil.copytree(template, directory)
    wanted = bodies()
    server = Server(directory, environment=QUICK)
    stores = [directory / f"stores/{index}" for index in range(6)]
    lost, kept = [stores[i] for i in triple], [s for i, s in enumerate(stores) if i not in triple]
    try:
        if kind == "deleted":
            # Under a server that works.
            server.start()
            assert all_read(server, wanted)
        for store in lost:
            KINDS[kind](store)
        if kind == "deleted":
            # Files that are open can be read until the store's absence is noticed.
            await_states(server, ["active"] * 3 + ["offline"] * 3)
        else:
            server.start()
        before = {store: stored(store) for store in kept}
        expect_loss(server, wanted, kind)
        # Whatever the background makes of it, nothing goes.
        report = server.admin("scrub", "--json", check=False)
        assert report.returncode == 1, report.stdout
        expect_loss(server, wanted, kind)
        for store in kept:
            assert before[store].items() <= stored(store).items(), store
        if kind == "deleted":
            for store in lost:
                (store.parent / f"{store.name}.away").rename(store)
            # A store that was away is opened again by a start, which reads what it holds.
            assert server.stop() == 0
            server.start()
        else:
            assert server.stop() == 0
            for index, store in zip(triple, lost):
                shutil.rmtree(store)
                shutil.copytree(template / f"stores/{index}", store)
            server.start()
        deadline = time.monotonic() + 90
        while not all_read(server, wanted):
            assert time.monotonic() < deadline, [fetch(server, key)[0] for key in wanted]
            time.sleep(0.2)
        deadline = time.monotonic() + 90
        while server.admin("scrub", "--json", check=False).returncode != 0:
            assert time.monotonic() < deadline, server.admin("scrub", "--json", check=False).stdout
            time.sleep(0.5)
        assert server.stop() == 0
    finally:
        server.discard()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("triples")
    first = Server(directory / "template", environment=QUICK).start()
    assert first.s3("PUT", "/bucket").status == 200
    for key, body in bodies().items():
        assert first.s3("PUT", f"/bucket/{key}", body=body).status == 200
    assert first.stop() == 0
    first.discard()

    def run(case):
        kind, triple = case
        try:
            lose_triple(
                first.data_dir, directory / f"{kind}-{''.join(map(str, triple))}", kind, triple)
        except AssertionError as error:
            return error
        return None

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        return dict(zip(CASES, pool.map(run, CASES)))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{''.join(map(str, c[1]))}")
def test_three_lost_stores_are_clean_errors_and_come_back(outcomes, case):
    if outcomes[case] is not None:
        raise outcomes[case]
