"""A store that is removed, unmounted or made read-only under a server that works."""
import json
import re
import shutil
import subprocess
import threading
import time

import pytest

from support import data
from support.mounts import Disks
from support.objects import SIZES, check, fill


@pytest.fixture
def disks():
    made = Disks()
    yield made
    made.discard()


def states(server):
    return [store["state"] for store in server.admin("status", "--json")["stores"]]


def await_state(server, index, wanted):
    """The store's entry of `admin status` once it has that state."""
    deadline = time.monotonic() + 60
    while True:
        store = server.admin("status", "--json")["stores"][index]
        if store["state"] == wanted:
            return store
        assert time.monotonic() < deadline, store
        time.sleep(0.1)


class Removed:
    """The directory is moved away, and comes back."""

    state = "offline"
    reason = "vanished|holds no store"

    def __init__(self, path, disk):
        self.path, self.away = path, path.parent / "away"

    def lose(self):
        self.path.rename(self.away)

    def is_untouched(self):
        return not self.path.exists()

    def give_back(self):
        self.away.rename(self.path)


class Replaced(Removed):
    """An empty directory lies in the place of the store, as after a mount that failed."""

    def lose(self):
        super().lose()
        self.path.mkdir()

    def is_untouched(self):
        return list(self.path.iterdir()) == []

    def give_back(self):
        self.path.rmdir()
        super().give_back()


class Unmounted:
    """The disk is unmounted while its files are open; the mount point stays."""

    state = "offline"
    reason = "vanished|holds no store"

    def __init__(self, path, disk):
        self.path, self.disk = path, disk

    def lose(self):
        subprocess.run(["umount", "-l", self.disk.point], check=True)
        self.disk.mounted = False

    def is_untouched(self):
        return list(self.disk.point.iterdir()) == []

    def give_back(self):
        # The kernel lets go of it once the server has closed its files.
        self.disk.mount()


class ReadOnly:
    """The kernel makes the file system read-only, as it does when the disk fails."""

    state = "fenced"
    # Whichever operation meets it first: the look at the free space, a write or a sync.
    reason = "read|device error"

    def __init__(self, path, disk):
        self.path, self.disk = path, disk

    def lose(self):
        self.disk.fail()

    def is_untouched(self):
        return True

    def give_back(self):
        self.disk.unmount()
        self.disk.repair()
        self.disk.mount()


@pytest.mark.parametrize("kind", [Removed, Replaced, Unmounted, ReadOnly])
def test_a_store_that_is_lost_while_serving_is_shown_and_comes_back(
        disks, make_server, tmp_path, kind):
    disk = disks.make("store", 256)
    drives = [disk.point / "store", *(tmp_path / f"{index}" for index in range(1, 6))]
    index = 0
    if not issubclass(kind, (Unmounted, ReadOnly)):
        index = 3
    loss = kind(drives[index], disk)
    server = make_server(environment={
        "DRIVES": ",".join(map(str, drives)), "GC_DELAY_SECONDS": "0"}).start()
    bodies = fill(server, "before")
    assert states(server) == ["active"] * 6

    # Readers and writers notice nothing.
    stopping, wrong = threading.Event(), []

    def traffic():
        turn = 0
        while not stopping.is_set():
            turn += 1
            body = data.content(turn, SIZES[turn % 4])
            for answer, wanted in (
                    (server.s3("PUT", f"/bucket/traffic{turn % 9}", body=body), b""),
                    (server.s3("GET", f"/bucket/traffic{turn % 9}"), body)):
                if answer.status != 200 or answer.body != wanted:
                    wrong.append(answer)

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        loss.lose()
        check(server, bodies)
        bodies |= fill(server, "during")
        store = await_state(server, index, loss.state)
        assert re.search(loss.reason, store["reason"]), store
        assert states(server).count("active") == 5
        check(server, bodies)
    finally:
        stopping.set()
        thread.join()
    assert not wrong, wrong[:3]
    # In words as well, for somebody who looks.
    shown = server.admin("status")
    assert loss.state in shown and re.search(loss.reason, shown)
    assert server.s3("DELETE", "/bucket/before400000").status == 204
    del bodies["before400000"]
    assert server.s3("PUT", "/bucket/before60000", body=b"new").status == 200
    bodies["before60000"] = b"new"
    # Nothing was made in its place.
    assert loss.is_untouched()
    report = json.loads(server.admin("scrub", "--json", check=False).stdout)
    assert report["state"] == "finished" and report["unreadable_extents"] == 0, report
    if loss.state == "offline":
        assert report["unreachable_chunks"] > 0 and not report["clean"], report

    if loss.state == "offline":
        # It is in use again while the server runs.
        loss.give_back()
        await_state(server, index, "active")
    else:
        assert server.stop() == 0
        loss.give_back()
        server.start()
    assert states(server) == ["active"] * 6
    check(server, bodies)
    bodies |= fill(server, "after")
    # What it missed is made good: two others may be lost.
    deadline = time.monotonic() + 300
    while True:
        report = json.loads(server.admin("scrub", "--json", check=False).stdout)
        counts = server.admin("status", "--json")["counts"]
        left = {name: counts[name] for name in ("repairs", "tombstones", "under_spread")}
        if report["clean"] and not any(left.values()):
            break
        assert time.monotonic() < deadline, (report, counts)
        time.sleep(0.3)
    assert server.stop() == 0
    for other in (1, 5):
        shutil.rmtree(drives[other])
    server.start()
    check(server, bodies)
    assert server.stop() == 0


def test_what_comes_back_is_used_only_if_it_is_the_store_and_is_compared(make_server, tmp_path):
    drives = [tmp_path / f"{index}" for index in range(6)]
    server = make_server(environment={
        "DRIVES": ",".join(map(str, drives)), "GC_DELAY_SECONDS": "0"}).start()
    fill(server, "old")
    assert server.stop() == 0
    older = tmp_path / "older"
    shutil.copytree(drives[2], older)
    server.start()
    bodies = fill(server, "new")

    # Another store's directory, and an empty one, are not taken.
    away = tmp_path / "away"
    drives[2].rename(away)
    await_state(server, 2, "offline")
    shutil.copytree(drives[3], drives[2])
    deadline = time.monotonic() + 60
    while "another store" not in (store := await_state(server, 2, "offline"))["reason"]:
        assert time.monotonic() < deadline, store
        time.sleep(0.1)
    before = {path: path.stat().st_mtime_ns for path in drives[2].rglob("*") if path.is_file()}
    bodies |= fill(server, "meanwhile")
    assert before == {p: p.stat().st_mtime_ns for p in drives[2].rglob("*") if p.is_file()}
    shutil.rmtree(drives[2])

    # An older copy of the store lacks what was written since: that is found out and made again.
    older.rename(drives[2])
    await_state(server, 2, "active")
    check(server, bodies)
    deadline = time.monotonic() + 300
    while True:
        done = next(w for w in server.admin("workers", "--json")["workers"]
                    if w["name"] == "returned-stores")["items_done"]
        counts = server.admin("status", "--json")["counts"]
        if done == 1 and counts["repairs"] == counts["under_spread"] == 0:
            break
        assert time.monotonic() < deadline, (done, counts)
        time.sleep(0.2)
    assert server.stop() == 0
    for other in (0, 5):
        shutil.rmtree(drives[other])
    server.start()
    check(server, bodies)
    assert server.stop() == 0


def test_a_drive_that_is_mounted_after_the_start_is_used(make_server, tmp_path):
    drives = [tmp_path / f"{index}" for index in range(6)]
    server = make_server(environment={"DRIVES": ",".join(map(str, drives))}).start()
    bodies = fill(server, "before")
    assert server.stop() == 0
    # Two are away at the start, and come back in each other's place.
    for index in (1, 4):
        drives[index].rename(tmp_path / f"away-{index}")
    server.start()
    assert states(server).count("offline") == 2
    check(server, bodies)
    (tmp_path / "away-1").rename(drives[4])
    (tmp_path / "away-4").rename(drives[1])
    for index in range(6):
        await_state(server, index, "active")
    bodies |= fill(server, "after")
    check(server, bodies)
    assert server.stop() == 0
