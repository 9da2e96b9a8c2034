"""Power cuts on a disk that keeps what was synced and nothing else, with a mutant for each sync.

File systems keep more than they promise: on ext4 the sync of one file brings along what others have
not synced. Here a sync that is left out loses what hangs on it, so that each can be shown to matter.
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from support import data
from support.server import Server, binary
from support.strict_disk import StrictDisk
from test_crash import CASES, QUICK, kill_at

# Inline, volume record, chunk files.
SIZES = [300, 60_000, 400_000, 700_000]
STORES = "|".join(f"/stores/{index}$" for index in range(6))


class Lost(AssertionError):
    """Something that was promised is not there after the cut."""


class World:
    """A server on a strict disk."""

    def __init__(self, directory, library, make_server, drop=None):
        self.disk = StrictDisk(directory, library)
        self.make_server = make_server
        self.dropping = pathlib.Path(directory) / "dropping"
        self.environment = self.disk.environment(drop) | {"FAULT_WHILE": str(self.dropping)}
        self.server = make_server(self.disk.root / "data", environment=self.environment)
        self.bodies = {}

    def mutate(self):
        """From now on syncs are left out, if this world is a mutant."""
        self.dropping.touch()

    def sync(self, directory):
        subprocess.run(["sync", directory], check=True, env=os.environ | self.environment)

    def start(self, **options):
        self.server.start(**options)
        assert self.server.s3("PUT", "/bucket").status in (200, 409)

    def fill(self, prefix="k"):
        for size in SIZES:
            key = f"{prefix}-{size}"
            self.bodies[key] = data.content(key, size)
            assert self.server.s3("PUT", f"/bucket/{key}", body=self.bodies[key]).status == 200

    def admin(self, *words):
        """An `admin` command that works on the disk itself."""
        done = subprocess.run(
            [binary(), "admin", *map(str, words)], capture_output=True, text=True, timeout=120,
            env=os.environ | self.environment)
        assert done.returncode == 0, done.stderr

    def cut(self):
        """Kills the server and cuts the power: what is left, in another place."""
        if self.server.process.poll() is None:
            self.server.kill()
        return self.disk.cut()

    def check(self, left, bodies=None):
        """Serves what is left and reads what was promised; another server that may be stopped."""
        after = self.make_server(left / "data")
        try:
            after.start()
        except AssertionError as error:
            raise Lost(str(error)[-2000:]) from None
        for key, body in (self.bodies if bodies is None else bodies).items():
            answer = after.s3("GET", f"/bucket/{key}")
            if answer.status != 200 or answer.body != body:
                raise Lost(f"{key}: {answer}")
        degraded = [s for s in after.admin("status", "--json")["stores"] if s["state"] != "active"]
        if degraded:
            raise Lost(f"stores: {degraded}")
        return after


@pytest.fixture
def world(tmp_path, faults, make_server):
    return lambda drop=None: World(tmp_path / "world", faults, make_server, drop)


# What is done before the cut, and what must be there after it.


def first_start(world):
    world.mutate()
    world.start()
    world.fill()
    world.check(world.cut())


def clean_stop(world):
    world.mutate()
    world.start()
    world.fill()
    assert world.server.stop() == 0
    world.check(world.disk.cut())


def rotation_at(step):
    def scenario(world):
        world.start()
        world.fill()
        world.server.stop()
        world.mutate()
        world.server.start(S3STORAGE_CRASH_AT=f"rotation.{step}:1")
        world.server.admin("key", "rotate", check=False)
        assert world.server.process.wait(60) == -9
        world.check(world.cut())
    return scenario


def rotation(world):
    """The key of before a rotation opens nothing any more, and is not to be found."""
    world.start()
    world.fill()
    before = (world.disk.root / "data/keys/master.key").read_bytes()
    world.mutate()
    world.server.admin("key", "rotate")
    left = world.cut()
    kept = [path for path in (left / "data/keys").glob("*") if path.read_bytes() == before]
    if kept:
        raise Lost(f"the key of before is still in {kept}")
    world.check(left)


def restore(world):
    world.start()
    world.fill()
    wanted = dict(world.bodies)
    backup = world.disk.root.parent / "copy"
    world.server.admin("backup", str(backup))
    world.fill("later")
    assert world.server.stop() == 0
    world.mutate()
    world.admin("restore", backup, "--data-dir", world.disk.root / "data")
    after = world.check(world.disk.cut(), wanted)
    # What came after the backup is not in it: the state of before the restore would show it.
    if after.s3("GET", f"/bucket/later-{SIZES[0]}").status != 404:
        raise Lost("the state of before the restore is back")


def backup(world):
    world.start()
    world.fill()
    (world.disk.root / "copies").mkdir()
    # The name of the directory is its owner's business.
    world.sync(world.disk.root)
    path = world.disk.root / "copies/copy"
    world.mutate()
    world.admin(
        "backup", path, "--endpoint", world.server.url("admin"), "--access-key",
        world.server.signer.access_key, "--secret-key", world.server.signer.secret_key)
    left = world.cut() / "copies/copy"
    if not left.exists() or left.read_bytes() != path.read_bytes():
        raise Lost("the copy is not there")


def rebuild(world):
    world.start()
    world.fill()
    world.server.admin("snapshot", "--json")
    assert world.server.stop() == 0
    shutil.rmtree(world.disk.root / "data/metadata")
    world.sync(world.disk.root / "data")
    world.mutate()
    world.admin("rebuild-metadata", "--data-dir", world.disk.root / "data")
    world.check(world.disk.cut())


def await_that(condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.1)


def clean_up(world):
    """What was deleted, and confirmed as deleted, does not come back."""
    world.server.environment |= QUICK
    world.start()
    world.fill()
    world.mutate()
    for key in world.bodies:
        assert world.server.s3("DELETE", f"/bucket/{key}").status == 204
    await_that(lambda: world.server.admin("status", "--json")["counts"]["tombstones"] == 0)
    left = world.cut()
    back = [path for path in (left / "data/stores").glob("*/chunks/*/*") if path.is_file()]
    after = world.check(left, {})
    # Each store has the wrapped keys, and nothing else: even of what came back, since the writer of
    # before is fenced and nothing names its chunks.
    await_that(lambda: (after.files(), after.admin("status", "--json")["chunks"]) == (set(), 6))
    if back:
        raise Lost(f"deleted chunks were back: {back}")


def compaction(world):
    """Records that lived in a sparse volume are found where they were put."""
    world.start()
    world.fill()
    # After a kill another volume is begun, and the one of before is sparse.
    world.server.kill()
    volumes = [path.relative_to(world.disk.root)
               for path in (world.disk.root / "data/stores").glob("*/volumes/0*")]
    assert len(volumes) >= 6 and all(map(world.disk.keeps, volumes))
    world.mutate()
    world.server.start()
    # Not only removed: a cut would bring back those whose removal is not synced, and their records.
    await_that(lambda: not any(map(world.disk.keeps, volumes)))
    world.check(world.cut())


def test_nothing_outlives_a_cut_that_was_not_synced(world):
    """The disk itself: without any sync there is nothing."""
    made = world("a:/")
    made.mutate()
    made.start()
    assert list(made.cut().iterdir()) == []


SCENARIOS = {
    "first start": first_start, "clean stop": clean_stop, "rotation": rotation,
    **{f"rotation cut after {s}": rotation_at(s)
       for s in ("key-written", "committed", "published", "renamed")},
    "clean-up": clean_up, "compaction": compaction, "restore": restore, "backup": backup, "rebuild": rebuild}


@pytest.mark.parametrize("name", SCENARIOS)
def test_everything_promised_outlives_a_cut(world, name):
    SCENARIOS[name](world())


# One sync left out at a time; each must lose something.
MUTANTS = [
    ("first start", "the master key", "f:/keys/master.key"),
    ("first start", "the name of the master key", "d:/keys$"),
    ("first start", "the names in the data directory", "d:/data$"),
    ("first start", "the name of the data directory", "d:/disk$"),
    ("first start", "the descriptions of the stores", "f:/store.json"),
    ("first start", "the names in the stores", f"d:{STORES}"),
    ("first start", "the names of the stores", "d:/stores$"),
    ("first start", "the volumes", "f:/volumes/"),
    ("first start", "the names of the volumes", "d:/volumes$"),
    ("first start", "the chunk files", "f:/unfinished/|/chunks/"),
    ("first start", "the names of the chunk files", "d:/chunks"),
    ("first start", "the log of the database", "f:/s3storage.db-wal"),
    ("first start", "the database", "f:/s3storage.db$"),
    ("first start", "the names of the database and its log", "d:/metadata$"),
    ("clean stop", "the database at a checkpoint", "f:/s3storage.db$"),
    ("rotation cut after committed", "the next master key", "f:/keys/master.key.next"),
    ("rotation cut after committed", "the name of the next master key", "d:/keys$"),
    ("rotation", "the removal of the name of the old key", "d:/keys$"),
    ("clean-up", "the removal of chunk files", "d:/chunks"),
    # Their names are in the directory that the volume of before is removed from: without its sync
    # both changes are lost, and nothing is.
    ("compaction", "the records in their new volume", "f:/volumes/"),
    ("restore", "the restored database", "f:/metadata.restoring/"),
    ("restore", "the names of the restored database", "d:/metadata.restoring$"),
    ("restore", "the name of the restored metadata", "d:/data$"),
    ("backup", "the copy", "f:/copies/"),
    ("backup", "the name of the copy", "d:/copies$"),
    ("rebuild", "the rebuilt database", "f:/metadata.rebuilding/"),
    ("rebuild", "the names of the rebuilt database", "d:/metadata.rebuilding$"),
    ("rebuild", "the name of the rebuilt metadata", "d:/data$"),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m[0]}: {m[1]}")
def test_a_sync_that_is_left_out_loses_something(world, mutant):
    scenario, _, drop = mutant
    with pytest.raises(Lost):
        SCENARIOS[scenario](world(drop))


def test_volume_records_whose_removal_was_not_synced_are_swept(world):
    """That sync is for those who outlive the store's process, the gateways of a cluster."""
    clean_up(world("f:/volumes/"))


# A process that ends between a change and its sync leaves it to the next one.
@pytest.mark.parametrize("step", [
    *(f"directory.made:{n}" for n in (1, 2, 3, 4)), "file.renamed:1", "store.named:1",
    "store.named:6"])
def test_a_start_makes_durable_what_a_killed_one_left_without_its_sync(world, step):
    made = world()
    made.server.spawn(S3STORAGE_CRASH_AT=step)
    assert made.server.process.wait(60) == -9
    first_start(made)


@pytest.fixture(scope="module")
def step_outcomes(tmp_path_factory, faults):
    """Each step of the server's work with a power cut at it, several side by side."""
    directory = tmp_path_factory.mktemp("steps")

    def run(case):
        step, occurrence = case
        disk = StrictDisk(directory / f"{step}-{occurrence}", faults)
        server = Server(disk.root / "data", environment=QUICK | disk.environment())
        after = []

        def restart():
            after.append(Server(disk.cut() / "data", environment=QUICK))
            return after[0]

        try:
            kill_at(server, step, occurrence, restart)
        except AssertionError as error:
            return error
        finally:
            for one in [server, *after]:
                one.discard()
            shutil.rmtree(disk.root.parent)
        return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return dict(zip(CUT_CASES, pool.map(run, CUT_CASES)))


CUT_CASES = [case for case in CASES if case[1] == 1]


@pytest.mark.parametrize("case", CUT_CASES, ids=lambda case: case[0])
def test_a_power_cut_at_each_step_loses_nothing_and_leaves_nothing(step_outcomes, case):
    if step_outcomes[case] is not None:
        raise step_outcomes[case]
