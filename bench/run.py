#!/usr/bin/env python3
"""`make bench`: what the server costs, beside the floors of this machine and a peer, in one run.

BENCH_QUICK=1 runs a small version in less than a minute. BENCH_ONLY names groups, separated by
commas: transfers, small, lists, complete, memory, growth, cluster, services, peer.
"""
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

import cluster
import lists
import memory
import peer
import services
import transfers
from measure import RELEASE, ROOT, Bench

FULL = {
    "large": 1 << 30, "runs": 3, "seconds": 3, "list": [10_000, 1_000_000], "parts": 10_000,
    "flight": 32 << 20, "growth": 100_000}
QUICK = {
    "large": 128 << 20, "runs": 1, "seconds": 1, "list": [10_000], "parts": 1_000,
    "flight": 8 << 20, "growth": 10_000}


class Table:
    """Rows with goal, value and ratio to a floor; printed as they come."""

    def __init__(self):
        self.rows, self.notes, self.peers, self.failures = [], {}, {}, []

    def add(self, name, value, unit, goal=None, least=False, floor=None, floor_name=""):
        met = goal is None or (value >= goal if least else value <= goal)
        self.rows.append({
            "name": name, "value": value, "unit": unit, "goal": goal, "least": least, "met": met,
            "floor": floor, "floor_name": floor_name})
        sys.stderr.write(f"  {name}: {value:.3g} {unit}\n")

    def note(self, name, value):
        self.notes[name] = value

    def peer(self, name, value, unit):
        self.peers[name] = value
        sys.stderr.write(f"  nginx, {name}: {value:.3g} {unit}\n")

    def show(self):
        lines = [("work", "goal", "value", "", "floor", "× floor", "nginx")]
        for row in self.rows:
            goal = "" if row["goal"] is None else ("≥ " if row["least"] else "≤ ") + f"{row['goal']:g}"
            mark = "" if row["goal"] is None else "ok" if row["met"] else "MISSED"
            floor, ratio = row["floor"], ""
            if floor:
                ratio = f"{row['value'] / floor:.2f}"
            other = self.peers.get(row["name"])
            lines.append((
                row["name"], goal, f"{row['value']:.4g} {row['unit']}", mark,
                f"{floor:.3g}" if floor else "", ratio, f"{other:.3g}" if other else ""))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        print()
        for name in dict.fromkeys(r["floor_name"] for r in self.rows if r["floor_name"]):
            print("floor:", name)
        for name, value in self.notes.items():
            values = value if isinstance(value, tuple) else (value,)
            print(f"{name}: {', '.join(f'{v:.4g}' for v in values)}")
        print(f"peer: {peer.STATE}")


def floors_of(directory, quick):
    done = subprocess.run(
        [RELEASE / "s3storage-bench", directory, "128" if quick else "512"], capture_output=True,
        text=True, check=True)
    return json.loads(done.stdout)


def machine():
    model = next(
        (line.partition(":")[2].strip() for line in open("/proc/cpuinfo")
         if line.startswith("model name")), "?")
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}"


def disk(directory):
    """The file system of the bench. Without a journal ext4 passes over each inode that was deleted
    in the last minutes when it makes a file: what was deleted before costs then."""
    done = subprocess.run(
        ["findmnt", "-T", directory, "-no", "SOURCE,FSTYPE"], capture_output=True, text=True)
    source, kind = (done.stdout.split() + ["?", "?"])[:2]
    if kind == "ext4":
        device = pathlib.Path(source).resolve().name
        kind += " with a journal" if list(
            pathlib.Path("/proc/fs/jbd2").glob(f"{device}-*")) else " without a journal"
    return kind


def main():
    quick = os.environ.get("BENCH_QUICK") == "1"
    only = set(filter(None, os.environ.get("BENCH_ONLY", "").split(",")))
    out = ROOT / "bench-out"
    out.mkdir(exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=out))
    scale = {**(QUICK if quick else FULL), "directory": directory}
    table, begin = Table(), time.monotonic()
    floors = floors_of(directory, quick)

    def group(name, *work):
        """One group on a server of its own; a failure is shown and fails the run at its end."""
        if only and name not in only:
            return
        sys.stderr.write(f"{name}, {time.monotonic() - begin:.0f} s\n")
        bench = None
        try:
            bench = Bench(directory / name)
            for part in work:
                part(bench)
            assert bench.server.stop() == 0
        except Exception as error:
            traceback.print_exc()
            table.failures.append(f"{name}: {error}")
        finally:
            if bench:
                bench.discard()

    try:
        group(
            "transfers", lambda b: memory.idle(b, table),
            lambda b: transfers.large(b, scale, table, floors))
        group("small", lambda b: transfers.small(b, scale, table))
        group("lists", lambda b: lists.lists(b, scale, table))
        group("complete", lambda b: lists.complete(b, scale, table))
        group("memory", lambda b: memory.in_flight(b, scale, table))
        group("growth", lambda b: memory.growth(b, scale, table))
        if not only or "cluster" in only:
            sys.stderr.write(f"cluster, {time.monotonic() - begin:.0f} s\n")
            try:
                cluster.measure(directory / "cluster", scale, table)
            except Exception as error:
                traceback.print_exc()
                table.failures.append(f"cluster: {error}")
        if not only or "services" in only:
            sys.stderr.write(f"services, {time.monotonic() - begin:.0f} s\n")
            for name, work in (
                    ("SQL", lambda d: services.database(d, table)),
                    ("chunk service", lambda d: services.chunk_service(d, scale, table))):
                try:
                    work(directory / "services")
                except Exception as error:
                    traceback.print_exc()
                    table.failures.append(f"{name}: {error}")
        if not only or "peer" in only:
            sys.stderr.write(f"peer, {time.monotonic() - begin:.0f} s\n")
            try:
                peer.measure(scale, table, scale["runs"])
            except Exception as error:
                traceback.print_exc()
                table.failures.append(f"peer: {error}")
        files = disk(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"\n{machine()}, {files}; {'quick, ' if quick else ''}medians of {scale['runs']}; "
          "durable, encrypted, 4 + 2, presigned with unsigned payload, as shipped but for "
          "LOG_LEVEL=warning and a reserve of 1 %; CPU is user + system of the server; "
          f"client and server share the cores; {time.monotonic() - begin:.0f} s\n")
    table.show()
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    (out / f"bench-{stamp}.json").write_text(json.dumps({
        "machine": machine(), "disk": files, "quick": quick, "floors": floors, "rows": table.rows,
        "notes": table.notes, "nginx": table.peers, "failures": table.failures}, indent=1))
    for failure in table.failures:
        print("FAILED:", failure)
    missed = [row["name"] for row in table.rows if not row["met"]]
    print(f"{len(missed)} goals missed" + "".join(f"\n  {name}" for name in missed))
    return 1 if table.failures else 0


if __name__ == "__main__":
    sys.exit(main())
