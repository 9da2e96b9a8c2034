"""The power goes off: data on loop-mounted ext4, of which only what was synced is kept.

The server is stopped in mid-work, the images of its disks are copied as they are (what the kernel
still held in memory is not in them), mounted elsewhere and served again.
"""
import os
import random
import signal
import time

import pytest

from support.mounts import Disks
from support.storm import SIZES, Storm

STORES = 6


@pytest.fixture
def disks():
    made = Disks()
    yield made
    made.discard()


def drives(point):
    return ",".join(f"{point}/{index}" for index in range(STORES))


def freeze(server):
    """Stops every thread of the process; what is in the kernel comes to its end first."""
    os.kill(server.pid, signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while True:
        states = [
            open(f"/proc/{server.pid}/task/{task}/stat").read().rpartition(")")[2].split()[0]
            for task in os.listdir(f"/proc/{server.pid}/task")]
        if all(state in "Tt" for state in states):
            return
        assert time.monotonic() < deadline, states
        time.sleep(0.005)


def cut(disks, make_server, seed, round_, environment, sizes, kinds, writers=6):
    """One storm and one power cut; the promises that were broken, and how many there were."""
    source = random.Random(f"{seed} {round_}")
    metadata = disks.make(f"metadata-{round_}", 256)
    stores = disks.make(f"stores-{round_}", 1024)
    server = make_server(
        metadata.point / "data", environment={**environment, "DRIVES": drives(stores.point)})
    server.start()
    assert server.s3("PUT", "/bucket").status == 200
    storm = Storm(server, "bucket", f"{seed} {round_}", sizes=sizes, kinds=kinds, writers=writers)
    storm.begin()
    time.sleep(source.uniform(0.8, 2.5))
    # A busy machine takes longer until there is something to lose.
    deadline = time.monotonic() + 60
    while storm.acknowledged <= 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    freeze(server)
    copies = [disks.copy(f"{d.point.name}-copy", d) for d in (metadata, stores)]
    server.process.kill()
    server.process.wait()
    storm.end()
    for disk in (metadata, stores):
        disk.unmount()
    for disk in copies:
        disk.mount()
    after = make_server(
        copies[0].point / "data", environment={"DRIVES": drives(copies[1].point)})
    try:
        after.start()
        wrong = storm.broken_promises(after)
    except AssertionError as error:
        wrong = [str(error)]
    after.kill()
    for disk in copies:
        disk.unmount()
    return wrong, storm.acknowledged


ALL = ("put", "put", "delete", "parts", "copy", "abort")


@pytest.mark.parametrize("round_", range(3))
def test_everything_acknowledged_outlives_a_power_cut(disks, make_server, round_):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    sizes = [size for kind in SIZES.values() for size in kind]
    wrong, acknowledged = cut(disks, make_server, seed, round_, {}, sizes, ALL)
    assert acknowledged > 20, "too little was acknowledged to show anything"
    assert not wrong, (seed, wrong[:5])


# One sync left out at a time, under a load that depends on it. One writer, since on ext4 the sync
# of any file brings along what others have not synced.
MUTANTS = {
    "no sync at all": ({"S3STORAGE_UNSAFE_NO_FSYNC": "1"}, "chunk"),
    "no sync of the metadata": ({"FAULT_SYNC_DROP": "f:/metadata/"}, "inline"),
    "no sync of chunk files and their names": (
        {"FAULT_SYNC_DROP": "a:/chunks|/unfinished"}, "chunk"),
    "no sync of the names of chunk files": ({"FAULT_SYNC_DROP": "d:/chunks|/unfinished"}, "chunk"),
    "no sync of volumes": ({"FAULT_SYNC_DROP": "a:/volumes"}, "volume"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_server_without_one_of_its_syncs_is_found_out(disks, make_server, faults, mutant):
    environment, kind = MUTANTS[mutant]
    if "FAULT_SYNC_DROP" in environment:
        environment = {**environment, "LD_PRELOAD": str(faults)}
    for round_ in range(6):
        wrong, acknowledged = cut(
            disks, make_server, mutant, round_, environment, SIZES[kind], ("put",), writers=1)
        assert acknowledged > 5
        if wrong:
            return
    pytest.fail(f"the test does not notice {mutant}")
