"""A backup of the metadata while clients write, restored in another place."""
import json
import random
import shutil
import subprocess
import threading
import time

from support import data
from support.server import binary
from support.storm import Storm, Writer, list_keys


class Recorder(Writer):
    """A writer that keeps when each change was asked for and when it was acknowledged."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.history = []

    def promise(self, key, outcome, call):
        begun = time.monotonic()
        answer = super().promise(key, outcome, call)
        self.history.append((key, outcome, begun, time.monotonic()))
        return answer

    def allowed(self, begin, end):
        """Key → what a copy of a state between two moments may hold."""
        result = {}
        for key, outcome, begun, acknowledged in self.history:
            if acknowledged < begin:
                result[key] = {outcome}
            elif begun < end:
                result.setdefault(key, {None}).add(outcome)
        return result

    def changes(self, begin, end):
        return sum(begin < acknowledged < end for _, _, _, acknowledged in self.history)


def take_backup(server, writers, path):
    """Backups until one had changes within it; when that one began and ended."""
    for attempt in range(20):
        begin = time.monotonic()
        server.admin("backup", "--force", str(path))
        end = time.monotonic()
        if sum(writer.changes(begin, end) for writer in writers) >= 10:
            return begin, end
    raise AssertionError("no backup had changes within it: the test shows nothing")


def test_a_backup_under_writes_is_one_state_and_has_all_of_before(make_server, tmp_path):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    server = make_server(tmp_path / "first").start()
    assert server.s3("PUT", "/bucket").status == 200
    # Something to copy, so that a copy takes a while.
    for index in range(200):
        body = data.content(("ballast", index), 16_000)
        assert server.s3("PUT", f"/bucket/ballast/{index}", body=body).status == 200
    storm = Storm(server, "bucket", seed, writers=0)
    kinds = ("put", "put", "put", "delete", "copy", "parts")
    storm.writers = [
        Recorder(server, "bucket", f"w{i}", seed, kinds=kinds, sizes=[200, 9_000, 60_000, 700_000])
        for i in range(4)]
    stopping = threading.Event()

    def work(writer):
        while not stopping.is_set():
            if not writer.run(1):
                return

    threads = [threading.Thread(target=work, args=(writer,)) for writer in storm.writers]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 60
        while storm.acknowledged < 60 and time.monotonic() < deadline:
            time.sleep(0.05)
        begin, end = take_backup(server, storm.writers, tmp_path / "copy")
        # And on, past the backup.
        wanted = storm.acknowledged + 40
        while storm.acknowledged < wanted and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        stopping.set()
        for thread in threads:
            thread.join(60)
    assert not [writer.refusals for writer in storm.writers if writer.refusals]
    assert server.stop() == 0

    other = make_server(tmp_path / "second")
    other.data_dir.mkdir()
    for name in ("keys", "stores"):
        shutil.copytree(server.data_dir / name, other.data_dir / name)
    restored = subprocess.run(
        [binary(), "admin", "restore", str(tmp_path / "copy"), "--data-dir",
         str(other.data_dir)], capture_output=True, text=True)
    assert restored.returncode == 0, restored.stderr
    other.start()
    listed = list_keys(other, "bucket")
    wrong = []
    for writer in storm.writers:
        allowed = writer.allowed(begin, end)
        for key, outcomes in allowed.items():
            answer = other.s3("GET", writer.path(key))
            found = data.digest(answer.body) if answer.status == 200 else None
            if answer.status not in (200, 404) or found not in outcomes:
                wrong.append((writer.path(key), answer.status, found, outcomes))
            if (f"{writer.name}/{key}" in listed) != (found is not None):
                wrong.append((writer.path(key), answer.status, "the list differs"))
        strange = {k for k in listed if k.startswith(writer.name + "/")} - {
            f"{writer.name}/{key}" for key in allowed}
        wrong += sorted(strange)
    assert not wrong, (seed, wrong[:5])
    for index in range(200):
        answer = other.s3("GET", f"/bucket/ballast/{index}")
        assert answer.body == data.content(("ballast", index), 16_000)
    report = json.loads(other.admin("scrub", "--json", check=False).stdout)
    assert report["clean"] and report["missing_chunks"] == 0, report
    # It works on, and what it writes outlives a start.
    body = data.content("after", 500_000)
    assert other.s3("PUT", "/bucket/after", body=body).status == 200
    assert other.stop() == 0
    other.start()
    assert other.s3("GET", "/bucket/after").body == body
