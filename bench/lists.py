"""Lists of many keys, and a Complete of many parts. Rows are put into the stopped server's database
by SQL, as copies of rows that the server wrote, since a million PUTs would take minutes each."""
import http.client
import pathlib
import re
import sqlite3
import statistics
import threading
import time

import measure  # noqa: F401, finds the next
from support.storm import Writer


def database(bench):
    return next((pathlib.Path(bench.server.data_dir) / "metadata").glob("*.db"))


def columns(connection, table):
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def clone(connection, table, where, count, **changes):
    """Inserts `count` copies of one row, `n` from 1 on in the SQL of the changed columns."""
    names = columns(connection, table)
    select = ", ".join(f"({changes[name]})" if name in changes else f"t.{name}" for name in names)
    connection.execute(
        f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) "
        f"INSERT INTO {table}({', '.join(names)}) SELECT {select} FROM c, "
        f"(SELECT * FROM {table} WHERE {where} LIMIT 1) t")


# Bucket → how many keys, and the key of number n.
def shapes(count):
    return {
        "flat": (count, "printf('key-%08d', n)"),
        "grouped": (count, "printf('p%04d/k%06d', n % 1000, n / 1000)"),
        "singles": (count, "printf('s%08d/k', n)")}


def fill(bench, count, suffix):
    """Buckets of `count` keys of each shape, and one where all but a thousandth are deleted."""
    for name in [*shapes(1), "deleted"]:
        bench.bucket(f"{name}-{suffix}")
        assert bench.server.s3("PUT", f"/{name}-{suffix}/0", body=b"x").status == 200
    assert bench.server.stop() == 0
    connection = sqlite3.connect(database(bench))
    connection.execute("PRAGMA synchronous=OFF")
    base = connection.execute("SELECT max(version) FROM objects").fetchone()[0]

    def bucket(name):
        return connection.execute(
            "SELECT id FROM buckets WHERE name = ?", (f"{name}-{suffix}",)).fetchone()[0]

    for name, (rows, key) in shapes(count).items():
        key, where = f"CAST({key} AS BLOB)", f"bucket_id = {bucket(name)}"
        clone(connection, "objects", where, rows, key=key, version=f"{base} + n")
        base += rows
    # Delete markers, as a bucket with versions leaves them: heads that no list shows.
    where = f"bucket_id = {bucket('deleted')}"
    clone(
        connection, "objects", where, count, key="CAST(printf('key-%08d', n) AS BLOB)",
        version=f"{base} + n", live="n % 1000 = 0")
    connection.commit()
    connection.close()
    bench.start()


def walk(bench, bucket, delimiter, limit=None):
    """Lists a bucket page by page on one connection; rows and the slowest page in ms."""
    connection = http.client.HTTPConnection(bench.server.host)
    token, rows, pages, slowest = None, 0, 0, 0
    while True:
        query = [("list-type", "2"), ("max-keys", "1000")]
        query += [("delimiter", "/")] if delimiter else []
        query += [("continuation-token", token)] if token else []
        begin = time.monotonic()
        connection.request("GET", bench.target("GET", f"/{bucket}", query))
        answer = connection.getresponse()
        body = answer.read()
        slowest = max(slowest, time.monotonic() - begin)
        assert answer.status == 200, body[:300]
        rows += int(re.search(rb"<KeyCount>(\d+)</KeyCount>", body)[1])
        pages += 1
        match = re.search(rb"<NextContinuationToken>([^<]+)</NextContinuationToken>", body)
        if match is None or (limit and pages >= limit):
            return rows, slowest * 1000
        token = match[1].decode()


def lists(bench, scale, table):
    costs = {}
    for count in scale["list"]:
        suffix = str(count)
        fill(bench, count, suffix)
        for name, delimiter, goal in (
                ("flat", False, 4), ("grouped", True, 4), ("singles", True, None),
                ("deleted", False, None)):
            bucket, runs = f"{name}-{suffix}", []
            walk(bench, bucket, delimiter, limit=3)
            for _ in range(scale["runs"]):
                rows, slowest, walks = 0, 0, 0
                # Enough for the clock's ticks of 10 ms not to count.
                with bench.used() as use:
                    while rows < 50_000 and walks < 50:
                        got, worst = walk(bench, bucket, delimiter)
                        rows, slowest, walks = rows + got, max(slowest, worst), walks + 1
                each = walks if name == "deleted" else rows
                runs.append(use["cpu"] / each * 1e6)
            cost = statistics.median(runs)
            costs[name, count] = cost
            label = {
                "flat": "LIST, flat", "grouped": "LIST, 1000 prefixes, delimiter",
                "singles": "LIST, single-key prefixes, delimiter",
                "deleted": "LIST, all but 1 of 1000 keys deleted"}[name]
            unit = "µs in all" if name == "deleted" else "µs/row"
            table.add(f"{label}, {count:,} keys", cost, unit, goal)
            table.note(f"{label}, {count:,} keys, slowest page in ms", slowest)
    first, last = scale["list"][0], scale["list"][-1]
    if first != last:
        for name in ("flat", "grouped", "singles"):
            table.add(
                f"LIST, {name}: cost of a row at {last:,} keys to {first:,}",
                costs[name, last] / max(costs[name, first], 1e-9), "×", 1.5)


def commits_beside(bench, stop, delays):
    """Small PUTs one after the other; how long each took in ms."""
    number = 0
    while not stop.is_set():
        begin = time.monotonic()
        answer = bench.server.s3("PUT", f"/complete/beside-{number}", body=b"x" * 1000)
        delays.append((time.monotonic() - begin) * 1000)
        assert answer.status == 200, answer
        number += 1


def complete(bench, scale, table):
    """Complete of many parts, of which one was uploaded and the others are rows like its own."""
    count = scale["parts"]
    bench.bucket("complete")
    writer = Writer(bench.server, "complete", "w", "bench")
    upload = writer.begin("k", [5 << 20])
    tag = writer.uploads[upload][1][0][1]
    assert bench.server.stop() == 0
    connection = sqlite3.connect(database(bench))
    connection.execute("PRAGMA synchronous=OFF")
    extent = connection.execute("SELECT extent FROM multipart_parts").fetchone()[0]
    same = "CAST(substr(t.{0}, 1, 8) || CAST(printf('%08d', n) AS BLOB) AS BLOB)"
    clone(
        connection, "extents", f"id = x'{extent.hex()}'", count - 1, id=same.format("id"))
    clone(
        connection, "multipart_parts", "1", count - 1, number="n + 1", extent=same.format("extent"))
    connection.commit()
    connection.close()
    bench.start()
    document = writer.parts_document([(n, tag, b"") for n in range(1, count + 1)])
    stop, delays = threading.Event(), []
    thread = threading.Thread(target=commits_beside, args=(bench, stop, delays))
    thread.start()
    time.sleep(1)
    before = len(delays)
    with bench.used() as use:
        answer = bench.server.s3(
            "POST", writer.path("k") + f"?uploadId={upload}", body=document)
    after = len(delays)
    time.sleep(0.5)
    stop.set()
    thread.join()
    assert answer.status == 200 and answer.xml.tag != "Error", answer
    usual = statistics.median(delays[:before])
    table.add(
        f"Complete of {count:,} parts, longest commit beside it",
        max(delays[before:after + 1]) - usual, "ms more", 100)
    table.note(f"Complete of {count:,} parts, seconds", use["wall"])
    table.note("a small commit without it, median and longest in ms", (
        usual, max(delays[:before])))
