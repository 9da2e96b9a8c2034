"""The server killed at every named step and at random moments, and started again."""
import concurrent.futures
import random
import subprocess
import time

import pytest
import requests

from conftest import boto_client
from support import data
from support.server import ACCESS_KEY, SECRET_KEY, Server, binary
from support.storm import Ended, Storm, list_keys

# Deleted chunks are removed at once, so that leftovers can be told from what still waits.
QUICK = {"GC_DELAY_SECONDS": "0"}


STEPS = [
    "put.chunks-written", "put.committed", "part.chunks-written", "part.committed",
    "complete.before-commit", "complete.committed", "delete.before-commit", "delete.committed",
    "cleanup.chunks-deleted", "cleanup.confirmed", "repair.chunk-written", "put.first-stripe",
    "copy.first-piece", "copy.committed", "abort.before-commit", "abort.committed",
    "delete-objects.partly", "delete-objects.committed"]
# Work that begins by itself with a start, on what another process left.
START_STEPS = [
    "sweep.chunks-deleted", "sweep.stores-done", "sweep.marked", "compaction.rewritten",
    "compaction.volume-deleted", "compaction.retired"]
# Steps that tests of their own below kill at.
OTHER_STEPS = [
    "upload-cleanup.deleted", "rotation.key-written", "rotation.committed", "rotation.published",
    "rotation.renamed", "start.key-written", "start.store-made"]
# Steps between a change and its sync, which test_strict_disk.py kills at.
STRICT_STEPS = ["directory.made", "file.renamed", "store.named"]
# Steps of the change log and of snapshots, which test_recovery.py kills at.
RECOVERY_STEPS = ["log.sealed", "log.written", "snapshot.part-written"]
# Work of requests is killed at its first and at a later occurrence, background work at its first;
# compaction in the first and in another store.
CASES = [(step, 1) for step in STEPS + START_STEPS] + [
    (step, 3) for step in STEPS if not step.startswith(("cleanup", "repair"))] + [
    (step, 4) for step in START_STEPS if step.startswith("compaction")]


def test_every_step_of_this_build_is_among_these():
    done = subprocess.run([binary(), "crash-steps"], capture_output=True, text=True)
    assert done.returncode == 0, "a debug build is needed: `s3storage crash-steps` failed"
    assert sorted(done.stdout.split()) == sorted(
        STEPS + START_STEPS + OTHER_STEPS + STRICT_STEPS + RECOVERY_STEPS)


def await_no_chunks(server, timeout=40):
    """Waits until nothing of deleted objects is left in the stores."""
    deadline = time.monotonic() + timeout
    while True:
        status = server.admin("status", "--json")
        left = server.files(), status["counts"]["extents"], status["counts"]["tombstones"]
        # Each store has the wrapped keys.
        if left == (set(), 0, 0) and status["chunks"] == 6:
            return
        assert time.monotonic() < deadline, f"left behind: {left}, {status['chunks']} chunks"
        time.sleep(0.3)


def check_after_crash(server, storm):
    wrong = storm.broken_promises()
    assert not wrong, wrong[:5]
    # It works on: what was in the middle can be done again.
    for writer in storm.writers:
        body = writer.body()
        assert server.s3("PUT", writer.path("k0"), body=body).status == 200
        assert server.s3("GET", writer.path("k0")).body == body
    storm.remove_everything()
    await_no_chunks(server)
    assert list_keys(server, storm.bucket) == set()


def one_of_each(writer, key):
    """Every write path once: inline, volume record, chunk file, overwrite, copy, parts, delete."""
    for sizes in ([9_000], [64_000], [1_200_000], [700_000]):
        writer.sizes = sizes
        writer.put(key)
    writer.put(key + "-source")
    writer.copy(key, key + "-source")
    writer.parts(key)
    writer.abort(key + "-aborted")
    writer.delete(key)
    writer.put(key)
    writer.sizes = [200, 30_000]
    many = [f"{key}-many-{index}" for index in range(70)]
    for name in many[::7]:
        writer.put(name)
    writer.delete_many(many)


def lose_a_chunk(server, writer):
    """Work for the repair: a chunk of an object that lasts is gone."""
    before = server.files()
    writer.sizes = [2_500_000]
    writer.put("whole")
    (server.data_dir / sorted(server.files() - before)[0]).unlink()
    server.admin("scrub", check=False)


def leave_work(server, writer):
    """Sparse volumes with records that live, and chunks of a write that was never committed."""
    writer.sizes = [20_000, 64_000, 400_000]
    for index in range(9):
        writer.put(f"record-{index}")
    for index in range(0, 9, 3):
        writer.delete(f"record-{index}")
    server.stop()
    server.start(S3STORAGE_CRASH_AT="put.chunks-written:1")
    writer.sizes = [900_000]
    with pytest.raises(Ended):
        writer.put("never")
    server.process.wait(30)
    # Known to nobody but to the sweep: a list shows how much the stores hold.
    assert server.files("stores/*/chunks/**/*")


def kill_at(server, step, occurrence, restart=None):
    """One server killed at one step, and everything checked after it; `restart` gives the one that
    goes on, by default the same."""
    server.start()
    assert server.s3("PUT", "/bucket").status == 200
    storm = Storm(server, "bucket", step, writers=1)
    writer = storm.writers[0]
    if step in START_STEPS:
        leave_work(server, writer)
    else:
        assert server.stop() == 0
    server.spawn(S3STORAGE_CRASH_AT=f"{step}:{occurrence}")
    try:
        deadline = time.monotonic() + 90
        while not server.healthy() and server.process.poll() is None:
            assert time.monotonic() < deadline, server.log()[-2000:]
            time.sleep(0.02)
        for index in range(3):
            one_of_each(writer, f"k{index}")
        if step.startswith("repair"):
            lose_a_chunk(server, writer)
    except Ended:
        pass
    try:
        server.process.wait(90)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{step} was never reached: {writer.refusals}") from None
    assert server.process.returncode == -9, server.log()[-2000:]
    after = restart() if restart else server
    after.start()
    storm.move_to(after)
    check_after_crash(after, storm)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Many cases side by side, since most of their time is spent waiting for background work."""
    directory = tmp_path_factory.mktemp("steps")

    def run(case):
        server = Server(directory / f"{case[0]}-{case[1]}", environment=QUICK)
        try:
            kill_at(server, *case)
        except AssertionError as error:
            return error
        finally:
            server.discard()
        return None

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        return dict(zip(CASES, pool.map(run, CASES)))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1]}")
def test_a_kill_at_each_step_loses_nothing_and_leaves_nothing(outcomes, case):
    if outcomes[case] is not None:
        raise outcomes[case]


BEARER = {"Authorization": f"Bearer {ACCESS_KEY}:{SECRET_KEY}"}


def upload_file(server, body):
    """An upload to the Files API that nobody answers."""
    with pytest.raises(requests.RequestException):
        requests.post(server.url("http", "/files"), files={"file": ("f", body)}, headers=BEARER,
                      timeout=60)


def states(server):
    """The state of every file of the Files API."""
    answer = requests.get(server.url("http", "/files"), headers=BEARER, timeout=60)
    return [file["status"] for file in answer.json()["files"]]


@pytest.mark.parametrize("occurrence", [1, 2])
def test_a_kill_in_the_clean_up_of_abandoned_uploads(make_server, occurrence):
    """Each upload is killed between its object and its session; the clean-up, in between as well."""
    server = make_server(environment=QUICK)
    server.start()
    for _ in range(3):
        server.kill()
        server.start(S3STORAGE_CRASH_AT="put.committed:1")
        upload_file(server, b"x" * 400_000)
        server.process.wait(30)
    quick = {"UPLOAD_SESSION_SECONDS": "1", "CLEANUP_SECONDS": "1"}
    server.spawn(S3STORAGE_CRASH_AT=f"upload-cleanup.deleted:{occurrence}", **quick)
    assert server.process.wait(60) == -9, server.log()[-2000:]
    server.start(**quick)
    deadline = time.monotonic() + 60
    while states(server) != ["failed"] * 3:
        assert time.monotonic() < deadline, states(server)
        time.sleep(0.1)
    await_no_chunks(server)


ROTATION = ["key-written", "committed", "published", "renamed"]


@pytest.mark.parametrize("step", ROTATION)
def test_a_kill_in_a_rotation_of_the_master_key(make_server, step):
    server = make_server().start()
    assert server.s3("PUT", "/bucket").status == 200
    writer = Storm(server, "bucket", step, writers=1).writers[0]
    writer.put("k")
    before = server.admin("key", "export")
    server.stop()
    server.start(S3STORAGE_CRASH_AT=f"rotation.{step}:1")
    assert server.admin("key", "rotate", check=False).returncode != 0
    assert server.process.wait(30) == -9
    for _ in range(2):
        server.start()
        assert data.digest(server.s3("GET", writer.path("k")).body) == writer.settled["k"]
        # Before the commit the old key is in force, and from then on the new one.
        assert (server.admin("key", "export") == before) == (step == "key-written")
        server.stop()
    server.start()
    server.admin("key", "rotate")
    server.kill()
    server.start()
    assert data.digest(server.s3("GET", writer.path("k")).body) == writer.settled["k"]


def test_a_rotation_that_could_not_replace_its_file_is_finished_before_another(make_server):
    """The key in force lies in the file beside: another rotation must not write over it."""
    server = make_server().start(S3STORAGE_CRASH_AT="rotation.key-written:2")
    assert server.s3("PUT", "/bucket").status == 200
    body = data.content("rotation", 400_000)
    assert server.s3("PUT", "/bucket/k", body=body).status == 200
    key, away = server.data_dir / "keys/master.key", server.data_dir / "keys/away"
    key.rename(away)
    key.mkdir()
    assert server.admin("key", "rotate", check=False).returncode != 0
    key.rmdir()
    away.rename(key)
    assert server.admin("key", "rotate", check=False).returncode != 0
    assert server.process.wait(30) == -9
    server.start()
    assert server.s3("GET", "/bucket/k").body == body


@pytest.mark.parametrize("step", [("start.key-written", 1), *(
    ("start.store-made", n) for n in (1, 3, 6))], ids=str)
def test_a_kill_at_a_step_of_the_first_start(make_server, step):
    server = make_server()
    server.spawn(S3STORAGE_CRASH_AT="%s:%d" % step)
    assert server.process.wait(60) == -9
    server.start()
    assert server.s3("PUT", "/bucket").status == 200
    writer = Storm(server, "bucket", step, writers=1).writers[0]
    one_of_each(writer, "k")
    server.kill()
    server.start()
    assert data.digest(server.s3("GET", writer.path("k")).body) == writer.settled["k"]
    assert all(store["state"] == "active" for store in server.admin("status", "--json")["stores"])


@pytest.mark.parametrize("round_", range(3))
def test_kills_at_random_moments_of_a_storm(make_server, round_):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source = random.Random(seed)
    server = make_server(environment=QUICK)
    server.start()
    assert server.s3("PUT", "/bucket").status == 200
    storm = Storm(server, "bucket", seed)
    for _ in range(2):
        before = storm.acknowledged
        storm.begin()
        time.sleep(source.uniform(0.3, 2.5))
        server.kill()
        storm.end()
        assert storm.acknowledged > before, "nothing was acknowledged: the test shows nothing"
        server.start()
        wrong = storm.broken_promises()
        assert not wrong, (seed, wrong[:5])
    check_after_crash(server, storm)
    assert server.stop() == 0


def test_a_kill_in_start_up_changes_nothing(make_server):
    server = make_server(environment=QUICK)
    server.start()
    server.s3("PUT", "/bucket")
    storm = Storm(server, "bucket", "start", writers=2)
    storm.begin(steps=6)
    storm.end()
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3):
        server.kill()
        server.spawn()
        time.sleep(delay)
    server.kill()
    server.start()
    check_after_crash(server, storm)


def test_the_first_start_may_be_killed_at_any_moment(make_server, tmp_path):
    for index, delay in enumerate((0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2)):
        server = make_server(tmp_path / f"first-{index}")
        server.spawn()
        time.sleep(delay)
        server.kill()
        server.start()
        assert server.s3("PUT", "/bucket").status == 200
        assert server.stop() == 0


def test_unfinished_uploads_outlive_a_kill(make_server):
    server = make_server()
    server.start()
    s3 = boto_client(server)
    s3.create_bucket(Bucket="bucket")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="k")["UploadId"]
    bodies = [bytes([n]) * (5 << 20) for n in (1, 2)]
    first = s3.upload_part(
        Bucket="bucket", Key="k", UploadId=upload, PartNumber=1, Body=bodies[0])["ETag"]
    server.kill()
    server.start()
    second = s3.upload_part(
        Bucket="bucket", Key="k", UploadId=upload, PartNumber=2, Body=bodies[1])["ETag"]
    server.kill()
    server.start()
    s3.complete_multipart_upload(Bucket="bucket", Key="k", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]})
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"".join(bodies)
