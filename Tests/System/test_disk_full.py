"""A disk of 256 MiB that fills up, and has room again."""
import time

import pytest

from support import data
from support.mounts import Disks


@pytest.fixture
def disk():
    disks = Disks()
    yield disks.make("small", 256)
    disks.discard()


@pytest.fixture
def small(disk, make_server):
    server = make_server(disk.point / "data", environment={
        "GC_DELAY_SECONDS": "0", "STORE_RESERVE_BYTES": str(48 << 20)})
    server.start()
    assert server.s3("PUT", "/bucket").status == 200
    yield server
    server.kill()


def fill_up(server, size=4 << 20):
    """Writes until it refuses; key → seed of what was taken."""
    taken = []
    for index in range(200):
        answer = server.s3("PUT", f"/bucket/{index}", body=data.content(index, size))
        if answer.status != 200:
            return taken, answer
        taken.append(index)
    raise AssertionError("it never refused")


def check(server, taken, size=4 << 20):
    for index in taken:
        answer = server.s3("GET", f"/bucket/{index}")
        assert answer.status == 200 and answer.body == data.content(index, size), index


def write_until_taken(server, key, body, timeout=20):
    deadline = time.monotonic() + timeout
    while (answer := server.s3("PUT", f"/bucket/{key}", body=body)).status != 200:
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)


def test_a_full_disk_refuses_writes_and_takes_them_again_after_deletes(small):
    taken, refused = fill_up(small)
    assert len(taken) > 5
    assert refused.status == 503 and "retry-after" in refused.headers, refused
    check(small, taken)
    for index in taken[:5]:
        assert small.s3("DELETE", f"/bucket/{index}").status == 204
    write_until_taken(small, "again", data.content("again", 4 << 20))
    check(small, taken[5:])
    assert small.stop() == 0
    small.start()
    check(small, taken[5:])
    assert small.s3("GET", "/bucket/again").body == data.content("again", 4 << 20)


def test_a_disk_that_others_filled_to_the_last_block(small, disk):
    """No room even for metadata: refused cleanly, nothing lost, and it goes on by itself."""
    for index in range(5):
        assert small.s3("PUT", f"/bucket/{index}", body=data.content(index, 4 << 20)).status == 200
    ballast = disk.point / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(b"\0" * (1 << 20)):
                pass
        except OSError:
            pass
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            pass
    for size in (100, 60_000, 1 << 20):
        for number in range(3):
            answer = small.s3("PUT", f"/bucket/full-{size}-{number}", body=data.content(size, size))
            assert answer.status in (200, 503), answer
    check(small, range(5))
    assert small.process.poll() is None
    ballast.unlink()
    write_until_taken(small, "again", data.content("again", 4 << 20))
    write_until_taken(small, "small", b"inline")
    check(small, range(5))
    assert small.stop() == 0
    small.start()
    check(small, range(5))
    assert small.s3("GET", "/bucket/small").body == b"inline"


def test_a_start_on_a_full_disk_serves_reads(small, disk):
    taken, _ = fill_up(small)
    assert small.stop() == 0
    small.start()
    check(small, taken)
    # What was left for less than a large object is used up, then all is refused.
    more = (small.s3("PUT", f"/bucket/more-{n}", body=b"x" * 500_000).status for n in range(60))
    assert next((status for status in more if status != 200), None) == 503
    check(small, taken)
    for index in taken:
        assert small.s3("DELETE", f"/bucket/{index}").status == 204
    write_until_taken(small, "again", data.content("again", 4 << 20))


@pytest.fixture
def logged(disk, tmp_path, make_server):
    """Metadata on one device and all stores on a small one, so that changes are logged there."""
    drives = ",".join(str(disk.point / str(index)) for index in range(6))
    server = make_server(tmp_path / "data", environment={
        "GC_DELAY_SECONDS": "0", "STORE_RESERVE_BYTES": str(48 << 20), "CHANGE_LOG": "on",
        "DRIVES": drives})
    server.start()
    assert server.s3("PUT", "/bucket").status == 200
    yield server
    server.kill()


def test_deletes_free_space_where_they_are_logged_in_stores_that_are_full(logged):
    assert logged.s3("PUT", "/bucket/inline", body=b"inline").status == 200
    taken, refused = fill_up(logged)
    assert len(taken) > 5
    assert refused.status == 503 and "retry-after" in refused.headers, refused
    # What was left for less than a large object is used up too.
    more = [logged.s3("PUT", f"/bucket/more-{n}", body=b"x" * 500_000).status for n in range(80)]
    assert more[-1] == 503, more
    # A start changes nothing about it.
    assert logged.stop() == 0
    logged.start()
    check(logged, taken)
    for key in ("inline", *taken[:5]):
        assert logged.s3("DELETE", f"/bucket/{key}").status == 204
        assert logged.s3("GET", f"/bucket/{key}").status == 404
    write_until_taken(logged, "again", data.content("again", 4 << 20))
    write_until_taken(logged, "small", b"inline")
    check(logged, taken[5:])
    assert logged.stop() == 0
    logged.start()
    check(logged, taken[5:])
    assert logged.s3("GET", "/bucket/again").body == data.content("again", 4 << 20)
    assert logged.s3("GET", "/bucket/inline").status == 404
