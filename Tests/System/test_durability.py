"""Stops, locks, stores that are missing, foreign or failing."""
import errno
import pathlib
import shutil

import pytest

from support.mounts import Disks
from support.objects import check, fill


def test_everything_is_there_after_a_stop_and_a_start(private):
    bodies = fill(private)
    assert private.stop() == 0
    private.start()
    check(private, bodies)


def test_a_second_server_on_the_same_data_is_refused(private, make_server):
    bodies = fill(private)
    second = make_server(private.data_dir)
    second.spawn()
    assert second.process.wait(20) not in (0, None)
    assert "data directory" in second.log()
    check(private, bodies)
    assert private.healthy()


def test_a_wrong_master_key_is_refused(private):
    bodies = fill(private)
    assert private.stop() == 0
    path = private.data_dir / "keys/master.key"
    right = path.read_bytes()
    for wrong in (b"", right[:-5], right[::-1], b"\0" * len(right)):
        path.write_bytes(wrong)
        private.spawn()
        assert private.process.wait(20) != 0, wrong
        assert path.read_bytes() == wrong, "it made another key"
    path.unlink()
    private.spawn()
    assert private.process.wait(20) != 0
    assert not path.exists(), "a new key would make all data unreadable"
    path.write_bytes(right)
    path.chmod(0o600)
    private.start()
    check(private, bodies)


def stores(server):
    return server.data_dir / "stores"


def test_missing_stores_are_offline_and_the_others_serve(private):
    bodies = fill(private)
    private.stop()
    away = {}
    for index in (1, 4):
        away[index] = private.data_dir / f"away-{index}"
        (stores(private) / str(index)).rename(away[index])
    (stores(private) / "4").mkdir()
    private.start()
    check(private, bodies)
    private.stop()
    # Neither was initialised again.
    assert not (stores(private) / "1/store.json").exists()
    assert list((stores(private) / "4").iterdir()) == []
    (stores(private) / "4").rmdir()
    for index, path in away.items():
        path.rename(stores(private) / str(index))
    private.start()
    check(private, bodies)
    check(private, fill(private, "later"))


def test_a_foreign_store_is_left_alone(private, make_server):
    bodies = fill(private)
    other = make_server()
    other.start()
    others = fill(other, "other")
    private.stop()
    other.stop()
    mine, theirs = stores(private) / "3", stores(other) / "3"
    mine.rename(private.data_dir / "away")
    shutil.copytree(theirs, mine)
    before = {p.relative_to(mine): p.read_bytes() for p in mine.rglob("*") if p.is_file()}
    private.start()
    check(private, bodies)
    check(private, fill(private, "more"))
    private.stop()
    after = {p.relative_to(mine): p.read_bytes() for p in mine.rglob("*") if p.is_file()}
    assert after == before, "it wrote to another cluster's store"
    other.start()
    check(other, others)


def test_more_stores_gone_than_parity_is_a_clean_error(private):
    bodies = fill(private)
    private.stop()
    for index in (0, 2, 5):
        (stores(private) / str(index)).rename(private.data_dir / f"away-{index}")
    private.start()
    for key, body in bodies.items():
        answer = private.s3("GET", f"/bucket/{key}")
        if len(body) <= 16384:
            assert answer.body == body
        else:
            assert answer.status == 503, answer
            assert "retry-after" in answer.headers
    # Chunks double up on the stores that are left; what is taken has to last.
    bodies |= fill(private, "doubled")
    private.stop()
    (stores(private) / "1").rename(private.data_dir / "away-1")
    (stores(private) / "3").rename(private.data_dir / "away-3")
    private.start()
    refused = private.s3("PUT", "/bucket/new", body=b"x" * 500_000)
    assert refused.status == 503 and "retry-after" in refused.headers
    private.stop()
    for index in (0, 1, 2, 3, 5):
        if (stores(private) / str(index)).exists():
            shutil.rmtree(stores(private) / str(index))
        (private.data_dir / f"away-{index}").rename(stores(private) / str(index))
    private.start()
    check(private, bodies)


def test_a_store_that_vanishes_while_serving(private):
    bodies = fill(private)
    (stores(private) / "1").rename(private.data_dir / "away")
    check(private, bodies)
    check(private, fill(private, "later"))
    assert not (stores(private) / "1/store.json").exists()


def test_a_failed_sync_fences_its_store_and_loses_nothing(make_server, faults, tmp_path):
    trigger = tmp_path / "failing"
    server = make_server(environment={
        "LD_PRELOAD": str(faults), "FAULT_SYNC_FAIL": "a:stores/2", "FAULT_WHILE": str(trigger)})
    server.start()
    bodies = fill(server)
    trigger.touch()
    bodies |= fill(server, "failing")
    # The sync works again, but what it failed to write may be gone: the store stays fenced.
    trigger.unlink()
    files = server.files("stores/2/chunks/**/*")
    bodies |= fill(server, "after")
    check(server, bodies)
    assert server.files("stores/2/chunks/**/*") <= files, "a fenced store was written to"
    assert "stores/2" in server.log() or "fenc" in server.log().lower()
    assert server.stop() in (0, 1)


def test_a_failed_sync_of_metadata_acknowledges_nothing_more(make_server, faults, tmp_path):
    trigger = tmp_path / "failing"
    server = make_server(environment={
        "LD_PRELOAD": str(faults), "FAULT_SYNC_FAIL": "f:/metadata/", "FAULT_WHILE": str(trigger)})
    server.start()
    bodies = fill(server)
    trigger.touch()
    for index in range(3):
        answer = server.s3("PUT", f"/bucket/failing-{index}", body=b"x")
        assert answer.status in (500, 503), answer
    trigger.unlink()
    server.kill()
    server.environment = {}
    server.start()
    check(server, bodies)


@pytest.fixture
def disks():
    made = Disks()
    yield made
    made.discard()


def test_a_store_that_becomes_read_only_does_not_stop_the_others(disks, make_server, tmp_path):
    """The kernel makes a file system read-only when its disk fails; no store expects it."""
    disk = disks.make("store", 256)
    drives = [disk.point / "0", *(tmp_path / str(index) for index in range(1, 6))]
    server = make_server(environment={"DRIVES": ",".join(map(str, drives))}).start()
    bodies = fill(server)
    assert any(p.is_file() for p in drives[0].glob("chunks/**/*")), "the disk is not used"
    disk.fail()
    with pytest.raises(OSError) as refused:
        (disk.point / "probe").write_bytes(b"x")
    assert refused.value.errno == errno.EROFS
    bodies |= fill(server, "read-only")
    check(server, bodies)
    # Overwrites and deletes work too: what the store still has of them waits.
    assert server.s3("PUT", "/bucket/k60000", body=b"new").status == 200
    bodies["k60000"] = b"new"
    assert server.s3("DELETE", "/bucket/k400000").status == 204
    del bodies["k400000"]
    check(server, bodies)
    assert server.s3("GET", "/bucket/k400000").status == 404
    # It starts with the store as it is, and works on with it once it can be written again.
    server.stop()
    server.start()
    check(server, bodies)
    bodies |= fill(server, "restarted")
    check(server, bodies)
    server.stop()
    disk.unmount()
    disk.repair()
    disk.mount()
    server.start()
    check(server, bodies | fill(server, "after"))
    assert server.stop() == 0


def test_a_store_without_room_does_not_stop_the_others(make_server, faults, tmp_path):
    trigger = tmp_path / "failing"
    server = make_server(environment={
        "LD_PRELOAD": str(faults), "FAULT_WRITE_FULL": "f:stores/0/", "FAULT_WHILE": str(trigger)})
    server.start()
    bodies = fill(server)
    trigger.touch()
    bodies |= fill(server, "full")
    check(server, bodies)
    trigger.unlink()
    check(server, bodies | fill(server, "after"))


def test_a_data_directory_that_is_a_file_is_refused(make_server, tmp_path):
    pathlib.Path(tmp_path / "file").write_text("kept")
    server = make_server(tmp_path / "file")
    server.spawn()
    assert server.process.wait(20) != 0
    assert (tmp_path / "file").read_text() == "kept"
