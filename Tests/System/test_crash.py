"""The server killed at every named step and at random moments, and started again."""
import concurrent.futures
import random
import subprocess
import time

import pytest

from conftest import boto_client
from support.server import Server, binary
from support.storm import Ended, Storm, list_keys

# Deleted chunks are removed at once, so that leftovers can be told from what still waits.
QUICK = {"GC_DELAY_SECONDS": "0"}


STEPS = [
    "put.chunks-written", "put.committed", "part.chunks-written", "part.committed",
    "complete.before-commit", "complete.committed", "delete.before-commit", "delete.committed",
    "cleanup.chunks-deleted", "cleanup.confirmed", "repair.chunk-written", "put.first-stripe"]
# Steps of the change log and of snapshots, which test_recovery.py kills at.
RECOVERY_STEPS = ["log.sealed", "log.written", "snapshot.part-written"]
# Work of requests is killed at its first and at a later occurrence, background work at its first.
CASES = [(step, 1) for step in STEPS] + [
    (step, 3) for step in STEPS if not step.startswith(("cleanup", "repair"))]


def test_every_step_of_this_build_is_among_these():
    done = subprocess.run([binary(), "crash-steps"], capture_output=True, text=True)
    assert done.returncode == 0, "a debug build is needed: `s3storage crash-steps` failed"
    assert sorted(done.stdout.split()) == sorted(STEPS + RECOVERY_STEPS)


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
    writer.copy(key)
    writer.parts(key)
    writer.abort(key + "-aborted")
    writer.delete(key)
    writer.put(key)


def lose_a_chunk(server, writer):
    """Work for the repair: a chunk of an object that lasts is gone."""
    before = server.files()
    writer.sizes = [2_500_000]
    writer.put("whole")
    (server.data_dir / sorted(server.files() - before)[0]).unlink()
    server.admin("scrub", check=False)


def kill_at(server, step, occurrence):
    """One server killed at one step, and everything checked after it."""
    server.start()
    assert server.s3("PUT", "/bucket").status == 200
    assert server.stop() == 0
    storm = Storm(server, "bucket", step, writers=1)
    writer = storm.writers[0]
    server.start(S3STORAGE_CRASH_AT=f"{step}:{occurrence}")
    try:
        for index in range(3):
            one_of_each(writer, f"k{index}")
        if step.startswith("repair"):
            lose_a_chunk(server, writer)
    except Ended:
        pass
    try:
        server.process.wait(30)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{step} was never reached: {writer.refusals}") from None
    assert server.process.returncode == -9, server.log()[-2000:]
    server.start()
    check_after_crash(server, storm)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """All cases side by side, since most of their time is spent waiting for background work."""
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

    with concurrent.futures.ThreadPoolExecutor(len(CASES)) as pool:
        return dict(zip(CASES, pool.map(run, CASES)))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1]}")
def test_a_kill_at_each_step_loses_nothing_and_leaves_nothing(outcomes, case):
    if outcomes[case] is not None:
        raise outcomes[case]


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
