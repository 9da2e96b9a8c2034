"""What gateways that die or sleep in mid-upload leave is cleaned, and nobody else's."""
import json
import random

import pytest

from conftest import boto_client
from support import chunk_service, data, http as wire
from support.chunk_service import Service
from support.clients import GONE, Library, send
from support.half_sent import Upload
from support.server import ACCESS_KEY, SECRET_KEY

LARGE = 12 << 20
# Chunks are counted here: the log of changes would add its own all the while.
SETTINGS = {"CHANGE_LOG": "off", "SNAPSHOT_SECONDS": "0"}


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    return chunk_service.generated(tmp_path_factory.mktemp("generated"))


@pytest.fixture
def cluster(make_cluster, modules):
    cluster = make_cluster(SETTINGS).start()
    cluster.services = [Service(s, *modules) for s in cluster.servers]
    assert send(cluster.gateways[0], "PUT", "/bucket").status == 200
    yield cluster
    for service in cluster.services:
        service.channel.close()


def chunks(cluster):
    """Chunks of objects on all servers, small and unfinished ones included."""
    count = 0
    for service in cluster.services:
        request = service.messages.ListChunksRequest(store=service.store)
        for page in service.call("ListChunks", request):
            # What the cluster keeps for itself, such as its keys, has names of its own.
            count += sum(chunk.extent[0] < 0x80 for chunk in page.chunks)
    return count + sum("unfinished" in p for s in cluster.servers for p in s.chunk_files())


def extents(cluster, gateway):
    return gateway.admin("status", "--json")["counts"]["extents"]


def files(gateway):
    answer = wire.request(gateway.ports["http"], "GET", "/files", [
        ("Host", gateway.host), ("Authorization", f"Bearer {ACCESS_KEY}:{SECRET_KEY}")],
        timeout=60)
    assert answer.status == 200, answer
    return {f["name"]: f for f in json.loads(answer.body)["files"]}


def read_file(gateway, name):
    return wire.request(gateway.ports["http"], "GET", f"/files/{files(gateway)[name]['id']}", [
        ("Host", gateway.host), ("Authorization", f"Bearer {ACCESS_KEY}:{SECRET_KEY}")], timeout=60)


class Begun:
    """A multipart part, a PUT and a file, each half sent through one gateway."""

    def __init__(self, gateway, name):
        self.gateway, self.name = gateway, name
        self.client = boto_client(gateway)
        self.key = f"{name}-multipart"
        self.upload = self.client.create_multipart_upload(Bucket="bucket", Key=self.key)["UploadId"]
        self.first = data.content(f"{name} first", 5 << 20)
        self.tag = self.client.upload_part(
            Bucket="bucket", Key=self.key, UploadId=self.upload, PartNumber=1,
            Body=self.first)["ETag"]
        self.body = data.content(name, LARGE)
        self.part = Upload.put(gateway, gateway.presign("PUT", "bucket", self.key, query=[
            ("partNumber", "2"), ("uploadId", self.upload)]), self.body, LARGE // 2)
        self.object = Upload.put(
            gateway, gateway.presign("PUT", "bucket", f"{name}-object"), self.body, LARGE // 2)
        self.file = Upload.file(gateway, f"{name}-file", self.body, LARGE // 2)

    @property
    def all(self):
        return [self.part, self.object, self.file]

    def trickle(self):
        for one in self.all:
            one.trickle()

    def check_nothing_came_of_it(self, gateway):
        """What was under way is not there; what was acknowledged is."""
        assert send(gateway, "GET", f"/bucket/{self.name}-object").status == 404
        client = boto_client(gateway)
        parts = client.list_parts(Bucket="bucket", Key=self.key, UploadId=self.upload)["Parts"]
        assert [(p["PartNumber"], p["ETag"]) for p in parts] == [(1, self.tag)]
        client.complete_multipart_upload(
            Bucket="bucket", Key=self.key, UploadId=self.upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": self.tag}]})
        assert client.get_object(
            Bucket="bucket", Key=self.key)["Body"].read() == self.first

    def finish(self, gateway):
        """All of it succeeds, and is there."""
        for one in self.all:
            answer = one.finish()
            assert answer is not None and answer.status in (200, 201), answer
        client = boto_client(gateway)
        parts = client.list_parts(Bucket="bucket", Key=self.key, UploadId=self.upload)["Parts"]
        client.complete_multipart_upload(
            Bucket="bucket", Key=self.key, UploadId=self.upload, MultipartUpload={"Parts": [
                {"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in parts]})
        found = client.get_object(Bucket="bucket", Key=self.key)["Body"].read()
        assert found == self.first + self.body
        assert send(gateway, "GET", f"/bucket/{self.name}-object").body == self.body
        assert read_file(gateway, f"{self.name}-file").body == self.body


def file_state(gateway, name):
    found = files(gateway).get(name)
    return found and found.get("status")


def await_clean(cluster, gateway, meanwhile=lambda: None):
    """Waits until the stores hold six chunks for each extent, and nothing else."""
    def is_clean():
        meanwhile()
        return chunks(cluster) == 6 * extents(cluster, gateway)

    cluster.until(is_clean, 180, lambda: (
        f"{chunks(cluster)} chunks of {extents(cluster, gateway)} extents"), step=0.5)


def test_all_that_a_killed_gateway_had_begun_is_cleaned(cluster):
    victim, other = cluster.gateways
    library = Library([other], "bucket", "others", sizes=[50_000, 300_000]).store()
    lost, kept = Begun(victim, "lost"), Begun(other, "kept")
    before = chunks(cluster)
    victim.kill()
    for one in lost.all:
        one.connection.close()
    # Its files' session ends too; the one that goes on is kept, however long it takes.
    cluster.until(lambda: (kept.trickle(), file_state(other, "lost-file"))[1] in (None, "failed"),
                  120, lambda: f"{files(other)}")
    assert file_state(other, "kept-file") not in (None, "failed")
    cluster.until(lambda: (kept.trickle(), chunks(cluster) < before)[1], 120)
    kept.finish(other)
    lost.check_nothing_came_of_it(other)
    assert file_state(other, "lost-file") in (None, "failed")
    await_clean(cluster, other)
    library.read_all()
    assert read_file(other, "kept-file").body == kept.body


@pytest.mark.parametrize("step", ["put.chunks-written", "part.chunks-written"])
def test_small_records_that_were_never_committed_are_cleaned(cluster, step):
    """Their bytes are durable when the gateway dies, and nothing names them."""
    victim, other = cluster.gateways
    library = Library([other], "bucket", "small", count=20, sizes=[40_000, 100_000]).store()
    await_clean(cluster, other)
    before = chunks(cluster)
    victim.stop()
    victim.start(60, S3STORAGE_CRASH_AT=f"{step}:3")
    body = data.content(step, 60_000)
    client = boto_client(other)
    upload = client.create_multipart_upload(Bucket="bucket", Key="m")["UploadId"]
    done = 0
    for number in range(1, 10):
        try:
            if step.startswith("put"):
                answer = send(victim, "PUT", f"/bucket/p{number}", body=body, timeout=60)
            else:
                answer = send(
                    victim, "PUT", f"/bucket/m?partNumber={number}&uploadId={upload}", body=body,
                    timeout=60)
            assert answer.status == 200, answer
            done += 1
        except GONE:
            break
    assert done == 2 and victim.process.wait(60)
    assert chunks(cluster) == before + 6 * 3, "the third was not written when it died"
    await_clean(cluster, other)
    assert chunks(cluster) == before + 6 * 2
    library.read_all()
    if step.startswith("put"):
        assert [send(other, "GET", f"/bucket/p{n}").status for n in (1, 2, 3)] == [200, 200, 404]


def test_a_gateway_that_slept_beyond_its_lease_commits_nothing_of_what_it_had_begun(cluster):
    sleeper, other = cluster.gateways
    library = Library([other], "bucket", "others", sizes=[50_000, 300_000]).store()
    begun = Begun(sleeper, "slept")
    before = chunks(cluster)
    sleeper.pause()
    # Its lease runs out, it is fenced, and what it had written is taken away.
    cluster.until(lambda: chunks(cluster) < before, 120, lambda: f"{chunks(cluster)}")
    await_clean(cluster, other)
    sleeper.resume()
    for one in begun.all:
        answer = one.finish()
        assert answer is None or answer.status >= 500, f"a fenced gateway acknowledged: {answer}"
    if not sleeper.alive:
        sleeper.start(60)
    begun.check_nothing_came_of_it(other)
    cluster.until(lambda: file_state(other, "slept-file") in (None, "failed"), 120)
    # What it wrote when it woke goes too.
    await_clean(cluster, other)
    again = random.randbytes(300_000)
    cluster.until(lambda: send(sleeper, "PUT", "/bucket/after", body=again).status == 200, 60)
    assert send(other, "GET", "/bucket/after").body == again
    library.read_all()
