"""The metadata lost and made again out of the stores and the master key."""
import json
import os
import shutil
import subprocess

import pytest

from conftest import boto_client
from support.server import binary

LOGGED = {"CHANGE_LOG": "on"}


def admin(*words, check=True):
    done = subprocess.run(
        [binary(), "admin", *map(str, words)], capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done


def rebuild(server, check=True):
    done = admin("rebuild-metadata", "--data-dir", server.data_dir, "--json", check=check)
    return json.loads(done.stdout) if check else done


def fill(server):
    """Objects of each kind; what must be read again, by bucket and key."""
    s3 = boto_client(server)
    wanted = {}
    for bucket in ("plain", "other"):
        s3.create_bucket(Bucket=bucket)
    for index, size in enumerate([0, 100, 16384, 20_000, 700_000, 3_000_000]):
        for bucket in ("plain", "other"):
            for turn in range(2):
                body = os.urandom(size)
                s3.put_object(
                    Bucket=bucket, Key=f"key {index}", Body=body, Metadata={"turn": str(turn)})
                wanted[bucket, f"key {index}"] = body
    upload = s3.create_multipart_upload(Bucket="plain", Key="parts")["UploadId"]
    parts, bodies = [], [os.urandom(5 << 20), os.urandom(100_000)]
    for number, body in enumerate(bodies, 1):
        etag = s3.upload_part(
            Bucket="plain", Key="parts", UploadId=upload, PartNumber=number, Body=body)["ETag"]
        parts.append({"ETag": etag, "PartNumber": number})
    s3.complete_multipart_upload(
        Bucket="plain", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    wanted["plain", "parts"] = b"".join(bodies)
    return wanted


def check(server, wanted, deleted=()):
    s3 = boto_client(server)
    for (bucket, key), body in wanted.items():
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body, (bucket, key)
    for bucket, key in deleted:
        with pytest.raises(s3.exceptions.ClientError, match="404|NoSuchKey|Not Found"):
            s3.get_object(Bucket=bucket, Key=key)


def lose(server, *stores):
    server.kill()
    shutil.rmtree(server.data_dir / "metadata")
    for store in stores:
        shutil.rmtree(server.data_dir / "stores" / str(store))


def test_all_comes_back_from_four_stores_and_the_log(make_server):
    server = make_server(environment=LOGGED | {"SNAPSHOT_SECONDS": "3600"}).start()
    wanted = fill(server)
    key = server.admin("users", "create", "ada", "--json") and server.admin(
        "keys", "create", "ada", "--json")
    s3 = boto_client(server)
    s3.put_object(Bucket="plain", Key="gone", Body=b"x" * 50_000)
    server.admin("snapshot", "--json")
    s3.put_object(Bucket="plain", Key="late", Body=b"late" * 9000)
    wanted["plain", "late"] = b"late" * 9000
    s3.delete_object(Bucket="plain", Key="gone")
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed|412"):
        s3.put_object(Bucket="plain", Key="late", Body=b"other" * 9000, IfNoneMatch="*")
    status = server.admin("recovery", "--json")
    assert status["log_in_force"] and status["log"]["last_copies"] == 3

    lose(server, 1, 4)
    report = rebuild(server)
    assert report["transactions"] >= 2 and report["absent_stores"] == 0
    assert report["unreadable_pieces"] == report["torn_groups"] == 0
    server.start()
    check(server, wanted, deleted=[("plain", "gone")])
    ada = boto_client(server, key["access_key"], key["secret_key"])
    ada.create_bucket(Bucket="of-ada")
    users = [user["name"] for user in server.admin("users", "list", "--json")["users"]]
    assert "ada" in users
    # It goes on working: new writes, a new log, a new snapshot.
    s3 = boto_client(server)
    s3.put_object(Bucket="plain", Key="after", Body=b"after" * 9000)
    server.admin("snapshot", "--json")
    lose(server)
    rebuild(server)
    server.start()
    check(server, wanted | {("plain", "after"): b"after" * 9000})


def test_without_a_log_the_rest_is_quarantined_and_adopted(make_server):
    server = make_server(environment={"CHANGE_LOG": "off"}).start()
    wanted = fill(server)
    server.admin("snapshot", "--json")
    s3 = boto_client(server)
    body = os.urandom(200_000)
    s3.put_object(Bucket="plain", Key="newer", Body=body, ContentType="text/plain")
    lose(server, 0, 5)
    report = rebuild(server)
    assert report["quarantined"] == 1
    server.start()
    check(server, wanted, deleted=[("plain", "newer")])
    (item,) = server.admin("quarantine", "list", "--json")["extents"]
    assert (item["bucket"], item["key"], item["size"]) == ("plain", "newer", 200_000)
    server.admin("quarantine", "adopt", item["extent"], "--json")
    answer = boto_client(server).get_object(Bucket="plain", Key="newer")
    assert answer["Body"].read() == body and answer["ContentType"] == "text/plain"
    assert server.admin("quarantine", "list", "--json")["extents"] == []


@pytest.mark.parametrize("step", ["log.sealed", "log.written"])
def test_killed_between_commit_log_and_answer(make_server, step):
    server = make_server(environment=LOGGED | {"SNAPSHOT_SECONDS": "3600"}).start()
    wanted = fill(server)
    server.admin("snapshot", "--json")
    assert server.stop() == 0
    server.start(S3STORAGE_CRASH_AT=f"{step}:2")
    acknowledged = {}
    for index in range(20):
        body = os.urandom(40_000)
        try:
            boto_client(server).put_object(Bucket="plain", Key=f"new {index}", Body=body)
        except Exception:  # The server has killed itself in the middle of this one.
            break
        acknowledged["plain", f"new {index}"] = body
    else:
        pytest.fail("the step was never reached")
    lose(server, 2, 3)
    rebuild(server)
    server.start()
    check(server, wanted | acknowledged)
    # The one that was not acknowledged is there whole or not at all.
    s3 = boto_client(server)
    listed = s3.list_objects_v2(Bucket="plain", Prefix="new ").get("Contents", [])
    for item in listed:
        got = s3.get_object(Bucket="plain", Key=item["Key"])["Body"].read()
        assert len(got) == item["Size"]


@pytest.mark.parametrize("then", ["lost at once", "lost after another snapshot", "goes on"])
def test_killed_in_the_middle_of_a_snapshot(make_server, then):
    server = make_server(
        environment=LOGGED | {"SNAPSHOT_SECONDS": "3600", "GC_DELAY_SECONDS": "0"}).start()
    wanted = fill(server)
    server.admin("snapshot", "--json")
    s3 = boto_client(server)
    s3.put_object(Bucket="plain", Key="late", Body=b"late" * 9000)
    wanted["plain", "late"] = b"late" * 9000
    assert server.stop() == 0
    server.start(S3STORAGE_CRASH_AT="snapshot.part-written:1")
    assert server.admin("snapshot", "--json", check=False).returncode != 0
    assert server.process.wait(60) == -9, "the step was never reached"
    if then == "lost at once":
        # The older snapshot and the log have everything, and so has what was begun, if its last
        # piece was written.
        lose(server, 0, 5)
        report = rebuild(server)
        assert report["unreadable_pieces"] == report["torn_groups"] == 0, report
    else:
        server.start()
        check(server, wanted)
        server.admin("snapshot", "--json")
        if then == "lost after another snapshot":
            lose(server, 1, 2)
            rebuild(server)
    if not server.alive:
        server.start()
    check(server, wanted)
    s3 = boto_client(server)
    s3.put_object(Bucket="plain", Key="after", Body=b"after" * 9000)
    check(server, {("plain", "after"): b"after" * 9000})


def test_another_master_key_is_refused_and_nothing_is_changed(make_server):
    server = make_server(environment={"CHANGE_LOG": "off"}).start()
    fill(server)
    server.admin("snapshot", "--json")
    other = make_server().start()
    other.stop()
    lose(server)
    key = server.data_dir / "keys" / "master.key"
    own = key.read_bytes()
    key.unlink()
    shutil.copy(other.data_dir / "keys" / "master.key", key)
    done = rebuild(server, check=False)
    assert done.returncode == 1 and "master key" in done.stderr
    assert not (server.data_dir / "metadata").exists()
    key.write_bytes(own)
    rebuild(server)
    server.start()
