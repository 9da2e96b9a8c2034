"""The admin command line against running servers."""
import datetime
import json
import shutil
import sqlite3
import subprocess
import time

import pytest

from support import objects
from support.objects import check
from support.server import ACCESS_KEY, SECRET_KEY, binary
from support.signing import Signer

# Two of them are in chunks of their own.
SIZES = [500, 60_000, 900_000, 3_000_000]


def fill(server, prefix="k"):
    return objects.fill(server, prefix, SIZES)


def await_repairs(server, timeout=40):
    """Scrubs until nothing is left to repair."""
    deadline = time.monotonic() + timeout
    while True:
        report = json.loads(server.admin("scrub", "--json", check=False).stdout)
        counts = server.admin("status", "--json")["counts"]
        if report["clean"] and counts["repairs"] == 0:
            return report
        assert time.monotonic() < deadline, (report, counts)
        time.sleep(0.5)


def test_users_and_keys_are_made_listed_and_revoked(server):
    server.admin("users", "create", "ann", "--email", "ann@example.org")
    made = server.admin("keys", "create", "ann", "--json")
    users = {u["name"]: u for u in server.admin("users", "list", "--json")["users"]}
    assert users["ann"]["email"] == "ann@example.org" and not users["ann"]["disabled"]
    listed = server.admin("keys", "list", "ann", "--json")["keys"]
    assert len(listed) == 1 and made["secret_key"] not in str(listed)
    signer = Signer(made["access_key"], made["secret_key"])
    assert server.s3("GET", "/", signer=signer).status == 200
    server.admin("keys", "revoke", made["access_key"])
    time.sleep(2)
    assert server.s3("GET", "/", signer=signer).status == 403


def test_a_key_expires(server):
    server.admin("users", "create", "brief")
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    server.admin(
        "keys", "create", "brief", "--access-key", "KEYTHATEXPIRES", "--secret-key", "secret-0123456",
        "--expires", end.strftime("%Y-%m-%dT%H:%M:%SZ"))
    signer = Signer("KEYTHATEXPIRES", "secret-0123456")
    assert server.s3("GET", "/", signer=signer).status == 200
    time.sleep(3.1)
    answer = server.s3("GET", "/", signer=signer)
    assert (answer.status, answer.code) in ((400, "ExpiredToken"), (403, "InvalidAccessKeyId"))


def test_wrong_commands_fail_and_say_why(server):
    server.admin("users", "create", "twice")
    for words in (["users", "create", "twice"], ["users", "create", "no spaces allowed"],
                  ["keys", "create", "nobody"], ["keys", "revoke", "NOSUCHKEY"],
                  ["users", "disable", "nobody"], ["nonsense"], ["users"], ["status", "--nonsense"]):
        done = server.admin(*words, check=False)
        assert done.returncode != 0 and done.stderr.strip(), words
    done = subprocess.run(
        [binary(), "admin", "--endpoint", "http://127.0.0.1:1", "--access-key", ACCESS_KEY,
         "--secret-key", SECRET_KEY, "status"], capture_output=True, text=True)
    assert done.returncode != 0 and done.stderr.strip()


def test_status_tells_stores_space_counts_and_what_can_be_lost(private):
    fill(private)
    status = private.admin("status", "--json")
    assert status["scheme"] == "4+2" and len(status["stores"]) == 6
    assert {s["state"] for s in status["stores"]} == {"active"}
    assert status["failure_domain"]["devices"] == 1
    assert status["failure_domain"]["tolerable_device_losses"] == 0
    assert status["counts"]["objects"] == len(SIZES)
    assert status["counts"]["inline_objects"] == 1
    # Each store has the wrapped keys besides.
    assert status["chunks"] - 6 == 6 * status["counts"]["extents"] == 18
    text = private.admin("status")
    assert "one device: no protection against its loss" in text
    assert "master key was not exported" in text


def test_the_master_key_is_exported_once_and_the_reminder_ends(private, tmp_path):
    private.admin("key", "export", str(tmp_path / "master"))
    exported = (tmp_path / "master").read_bytes()
    assert exported == (private.data_dir / "keys/master.key").read_bytes()
    assert (tmp_path / "master").stat().st_mode & 0o077 == 0
    assert "not exported" not in private.admin("status")


def test_no_master_key_is_rotated_that_few_stores_would_know(private):
    fill(private)
    private.admin("key", "rotate")
    path = private.data_dir / "keys/master.key"
    before = path.read_bytes()
    stores = [private.data_dir / f"stores/{n}" for n in range(4)]
    for store in stores:
        store.rename(store.with_name(f"{store.name}.away"))
    try:
        deadline = time.monotonic() + 60
        while sum(s["state"] == "active" for s in private.admin("status", "--json")["stores"]) > 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        refused = private.admin("key", "rotate", check=False)
        assert refused.returncode == 1 and "too few stores" in refused.stderr, refused
        assert path.read_bytes() == before and not list(path.parent.glob("*.next"))
    finally:
        for store in stores:
            store.with_name(f"{store.name}.away").rename(store)


def test_a_rotated_master_key_reads_the_old_data_and_the_old_key_opens_nothing(private):
    bodies = fill(private)
    path = private.data_dir / "keys/master.key"
    old = path.read_bytes()
    private.admin("key", "rotate")
    check(private, bodies)
    bodies |= fill(private, "new")
    assert private.stop() == 0
    new = path.read_bytes()
    assert new != old
    private.start()
    check(private, bodies)
    assert private.stop() == 0
    path.write_bytes(old)
    private.spawn()
    assert private.process.wait(20) != 0
    path.write_bytes(new)
    private.start()
    check(private, bodies)


def test_a_backup_of_the_running_server_is_restored(private, tmp_path):
    bodies = fill(private)
    private.admin("backup", str(tmp_path / "copy"))
    assert sqlite3.connect(tmp_path / "copy").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    later = fill(private, "later")
    check(private, later)
    restore = [binary(), "admin", "restore", str(tmp_path / "copy"), "--data-dir",
               str(private.data_dir)]
    assert subprocess.run(restore, capture_output=True).returncode != 0, "the server still runs"
    assert private.stop() == 0
    shutil.rmtree(private.data_dir / "metadata")
    assert subprocess.run(restore, capture_output=True).returncode == 0
    private.start()
    check(private, bodies)
    for key in later:
        assert private.s3("GET", f"/bucket/{key}").status == 404
    check(private, fill(private, "after"))
    for wrong in (b"", b"no database", (tmp_path / "copy").read_bytes()[:5000]):
        (tmp_path / "wrong").write_bytes(wrong)
        done = subprocess.run(
            [binary(), "admin", "restore", str(tmp_path / "wrong"), "--data-dir",
             str(private.data_dir)], capture_output=True)
        assert done.returncode != 0


def test_scrub_finds_and_repairs_what_was_deleted_cut_and_changed(private):
    bodies = fill(private)
    assert private.admin("scrub", "--json")["clean"]
    chunks = sorted(private.files("stores/*/chunks/**/*"))
    assert len(chunks) == 12
    stores = sorted({c.split("/")[1] for c in chunks})
    by_store = {s: [c for c in chunks if c.split("/")[1] == s] for s in stores}
    for chunk in by_store[stores[0]]:
        (private.data_dir / chunk).unlink()
    for chunk in by_store[stores[1]]:
        path = private.data_dir / chunk
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    damaged = sum(len(by_store[s]) for s in stores[:2])
    assert damaged == 4
    # A volume record of a third store: of the object of 60,000 bytes, whose chunk is the last one.
    volume = max((private.data_dir / "stores/5/volumes").glob("0*"))
    raw = bytearray(volume.read_bytes())
    raw[len(raw.rstrip(b"\0")) - 6000] ^= 1
    volume.write_bytes(raw)
    report = json.loads(private.admin("scrub", "--json", check=False).stdout)
    found = {name: report[name] for name in (
        "extents", "chunks", "missing_chunks", "corrupt_chunks", "unreachable_chunks",
        "unreadable_extents", "inline_objects", "corrupt_inline_objects")}
    assert found == {
        "extents": 3, "chunks": 18, "missing_chunks": 2, "corrupt_chunks": 3,
        "unreachable_chunks": 0, "unreadable_extents": 0, "inline_objects": 1,
        "corrupt_inline_objects": 0}
    # What the background repairs at this very moment is left to it.
    assert report["repaired_chunks"] + report["unrepaired_chunks"] == 5
    assert report["clean"] == (report["unrepaired_chunks"] == 0)
    check(private, bodies)
    await_repairs(private)
    assert len(private.files("stores/*/chunks/**/*")) == 12
    # Two other stores may be lost now.
    assert private.stop() == 0
    for store in stores[2:4]:
        shutil.rmtree(private.data_dir / "stores" / store)
    private.start()
    check(private, bodies)


def test_scrub_reports_an_inline_object_that_does_not_open(private):
    bodies = fill(private) | fill(private, "other")
    assert private.stop() == 0
    database = sqlite3.connect(private.data_dir / "metadata/s3storage.db")
    rows = database.execute(
        "SELECT i.version, i.data FROM inline_data i JOIN object_versions v"
        " ON v.id = i.version WHERE v.key = ?", [b"k500"]).fetchall()
    assert len(rows) == 1
    sealed = bytearray(rows[0][1])
    sealed[len(sealed) // 2] ^= 1
    with database:
        database.execute(
            "UPDATE inline_data SET data = ? WHERE version = ?", [bytes(sealed), rows[0][0]])
    database.close()
    private.start()
    # Nothing made of it is ever sent.
    answer = private.s3("GET", "/bucket/k500")
    assert answer.status in (500, 503) and answer.code, answer
    done = private.admin("scrub", "--json", check=False)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["inline_objects"], report["corrupt_inline_objects"]) == (2, 1)
    assert not report["clean"] and report["state"] == "finished"
    assert report["missing_chunks"] + report["corrupt_chunks"] + report["repaired_chunks"] == 0
    del bodies["k500"]
    check(private, bodies)


def test_a_store_that_came_back_after_writes_is_made_whole(private):
    private.s3("PUT", "/bucket")
    assert private.stop() == 0
    (private.data_dir / "stores/2").rename(private.data_dir / "away")
    private.start()
    bodies = fill(private)
    check(private, bodies)
    assert private.stop() == 0
    if (private.data_dir / "stores/2").exists():
        shutil.rmtree(private.data_dir / "stores/2")
    (private.data_dir / "away").rename(private.data_dir / "stores/2")
    private.start()
    await_repairs(private)
    assert private.stop() == 0
    for index in (0, 5):
        shutil.rmtree(private.data_dir / f"stores/{index}")
    private.start()
    check(private, bodies)


def test_config_shows_every_setting_and_hides_secrets():
    done = subprocess.run(
        [binary(), "config"], capture_output=True, text=True, check=True,
        env={"ROOT_SECRET_KEY": "hidden-secret-0123", "S3_PORT": "1234", "PATH": "/usr/bin"})
    assert "S3_PORT=1234" in done.stdout and "hidden-secret-0123" not in done.stdout
    for name in ("DATA_DIR", "DRIVES", "ERASURE_SCHEME", "GC_DELAY_SECONDS", "LOG_LEVEL"):
        assert f"\n{name}=" in "\n" + done.stdout


@pytest.mark.parametrize("arguments", [
    ["serve", "--nonsense", "1"], ["serve", "--s3-port", "x"], ["serve", "--s3-port", "70000"],
    ["serve", "--erasure-scheme", "0+2"], ["nonsense"], ["serve", "--s3-port"]])
def test_wrong_arguments_end_the_program_at_once(arguments, tmp_path):
    done = subprocess.run(
        [binary(), *arguments], capture_output=True, text=True, timeout=20, cwd=tmp_path)
    assert done.returncode != 0 and done.stderr.strip()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [
    ["serve"], ["gateway"], ["storage-server"], ["migrate"], ["cluster", "restored"], ["config"]],
    ids=" ".join)
def test_help_lists_the_options_and_does_nothing(command, tmp_path):
    done = subprocess.run(
        [binary(), *command, "--data-dir", "x", "--help"], capture_output=True, text=True, timeout=20,
        cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.startswith(f"s3storage {' '.join(command)} [")
    assert "  --data-dir <directory>\n      Where everything is kept. Default: ./data.\n" in done.stdout
    assert list(tmp_path.iterdir()) == []
