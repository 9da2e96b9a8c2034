"""Writers that know what they were promised, for tests that end the server in mid-work."""
import base64
import hashlib
import http.client
import random
import threading
import xml.etree.ElementTree

from . import data

# Inline, inline border, volume records, chunk files of one and of several stripes.
SIZES = {
    "inline": [0, 300, 9_000, 16_384], "volume": [20_000, 64_000, 400_000],
    "chunk": [700_000, 1_200_000, 2_500_000]}
ALL_SIZES = [size for sizes in SIZES.values() for size in sizes]
GONE = (OSError, http.client.HTTPException)


class Ended(Exception):
    """The server ended or refused in the middle of a request."""


class Writer:
    """Writes to keys of its own, one request at a time, and keeps what each may hold.

    `settled` is what was acknowledged last: a digest, or None for no object. `open` is what a
    request without an answer may have made of it.
    """

    def __init__(self, server, bucket, name, seed, sizes=ALL_SIZES, kinds=("put", "delete", "parts",
                                                                          "copy", "abort")):
        self.server, self.bucket, self.name = server, bucket, name
        self.source = random.Random(f"{seed} {name}")
        self.sizes, self.kinds = sizes, kinds
        self.settled, self.open, self.uploads = {}, {}, {}
        # Uploads that an abort may have ended.
        self.ending = set()
        self.acknowledged = 0
        self.refusals = []

    def path(self, key):
        return f"/{self.bucket}/{self.name}/{key}"

    def call(self, method, target, body=b"", headers=(), expect=(200, 204)):
        try:
            answer = self.server.s3(method, target, headers, body)
        except GONE as error:
            raise Ended(repr(error)) from error
        if answer.status not in expect:
            self.refusals.append((method, target, answer))
            raise Ended(repr(answer))
        return answer

    def promise(self, key, outcome, call):
        """Runs the request that changes `key` to `outcome`."""
        self.open[key] = outcome
        answer = call()
        del self.open[key]
        self.settled[key] = outcome
        self.acknowledged += 1
        return answer

    def step(self):
        """One operation of a random kind."""
        key = f"k{self.source.randrange(12)}"
        kind = self.source.choice(self.kinds)
        getattr(self, kind)(key)

    def body(self):
        return data.content(self.source.random(), self.source.choice(self.sizes))

    def put(self, key):
        body = self.body()
        self.promise(key, data.digest(body), lambda: self.call("PUT", self.path(key), body))

    def delete(self, key):
        self.promise(key, None, lambda: self.call("DELETE", self.path(key)))

    def copy(self, key, source=None):
        """A copy of `source`, by default of any other object."""
        others = [k for k, v in self.settled.items() if v and k != key]
        if source is None:
            source = self.source.choice(others or [None])
        if source is None:
            return self.put(key)
        header = [("x-amz-copy-source", self.path(source))]
        return self.promise(
            key, self.settled[source], lambda: self.call("PUT", self.path(key), b"", header))

    def begin(self, key, sizes):
        """An upload with parts: its id and (number, tag, body) of each."""
        made = self.call("POST", self.path(key) + "?uploads")
        upload = made.xml.findtext("UploadId")
        self.uploads[upload] = (key, [])
        for number, size in enumerate(sizes, 1):
            body = data.content(self.source.random(), size)
            answer = self.call(
                "PUT", self.path(key) + f"?partNumber={number}&uploadId={upload}", body)
            self.uploads[upload][1].append((number, answer.headers["etag"], body))
        return upload

    def parts_document(self, parts):
        root = xml.etree.ElementTree.Element("CompleteMultipartUpload")
        for number, tag, _ in parts:
            part = xml.etree.ElementTree.SubElement(root, "Part")
            xml.etree.ElementTree.SubElement(part, "PartNumber").text = str(number)
            xml.etree.ElementTree.SubElement(part, "ETag").text = tag
        return xml.etree.ElementTree.tostring(root)

    def complete(self, key, upload):
        parts = self.uploads[upload][1]
        outcome = data.digest(b"".join(body for _, _, body in parts))
        document = self.parts_document(parts)
        target = self.path(key) + f"?uploadId={upload}"
        answer = self.promise(key, outcome, lambda: self.call("POST", target, document))
        if answer.xml.tag == "Error":
            raise AssertionError(answer)
        del self.uploads[upload]

    def parts_sizes(self):
        return [5 << 20, self.source.choice(self.sizes) + 1]

    def parts(self, key):
        self.complete(key, self.begin(key, self.parts_sizes()))

    def abort(self, key):
        upload = self.begin(key, [self.source.choice(self.sizes) + 1])
        self.ending.add(upload)
        self.call("DELETE", self.path(key) + f"?uploadId={upload}")
        del self.uploads[upload]

    def delete_many(self, keys):
        """One DeleteObjects; without an answer each key may be gone or not."""
        root = xml.etree.ElementTree.Element("Delete")
        for key in keys:
            entry = xml.etree.ElementTree.SubElement(root, "Object")
            xml.etree.ElementTree.SubElement(entry, "Key").text = f"{self.name}/{key}"
        self.open.update(dict.fromkeys(keys))
        document = xml.etree.ElementTree.tostring(root)
        digest = base64.b64encode(hashlib.md5(document).digest()).decode()
        answer = self.call(
            "POST", f"/{self.bucket}?delete", document, [("Content-MD5", digest)])
        deleted = {e.findtext("Key") for e in answer.xml.iter("Deleted")}
        assert deleted == {f"{self.name}/{key}" for key in keys}, answer
        for key in keys:
            del self.open[key]
            self.settled[key] = None
        self.acknowledged += 1

    def run(self, steps):
        """Steps until the server ends."""
        try:
            for _ in range(steps):
                self.step()
        except Ended:
            return False
        return True


class Storm:
    """Writers in threads, and the check of everything that they were promised."""

    def __init__(self, server, bucket, seed, writers=6, **options):
        self.server, self.bucket = server, bucket
        self.writers = [Writer(server, bucket, f"w{i}", seed, **options) for i in range(writers)]
        self.threads = []

    def begin(self, steps=1_000_000):
        self.threads = [threading.Thread(target=w.run, args=(steps,)) for w in self.writers]
        for thread in self.threads:
            thread.start()

    def end(self):
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()

    def move_to(self, server):
        """From now on all writers speak to `server`, which holds what they wrote."""
        self.server = server
        for writer in self.writers:
            writer.server = server

    @property
    def acknowledged(self):
        return sum(w.acknowledged for w in self.writers)

    def broken_promises(self, server=None):
        """What reads back otherwise than it was acknowledged; the state as found becomes settled."""
        server = server or self.server
        wrong = []
        listed = list_keys(server, self.bucket)
        for writer in self.writers:
            for key in sorted(writer.settled.keys() | writer.open.keys()):
                allowed = {writer.settled.get(key)}
                if key in writer.open:
                    allowed.add(writer.open[key])
                answer = server.s3("GET", writer.path(key))
                found = data.digest(answer.body) if answer.status == 200 else None
                if answer.status not in (200, 404):
                    wrong.append((writer.path(key), answer))
                elif found not in allowed:
                    wrong.append((writer.path(key), f"{answer.status}: another content"))
                if (f"{writer.name}/{key}" in listed) != (answer.status != 404):
                    wrong.append((writer.path(key), f"{answer.status}, but the list differs"))
                writer.settled[key] = found
            writer.open.clear()
            for upload, (key, parts) in list(writer.uploads.items()):
                answer = server.s3("GET", writer.path(key) + f"?uploadId={upload}")
                is_ended = upload in writer.ending or self.may_be_complete(writer, key, parts)
                if answer.status == 404 and is_ended:
                    del writer.uploads[upload]
                    continue
                tags = {e.text for e in answer.xml.iter("ETag")}
                missing = [number for number, tag, _ in parts if tag not in tags]
                if missing:
                    wrong.append((writer.path(key), f"parts {missing} are gone: {answer}"))
        return wrong

    @staticmethod
    def may_be_complete(writer, key, parts):
        """Whether a Complete without an answer may have ended this upload."""
        whole = data.digest(b"".join(body for _, _, body in parts))
        return writer.settled.get(key) == whole

    def remove_everything(self, server=None):
        """Deletes all objects and aborts all uploads."""
        server = server or self.server
        for key in list_keys(server, self.bucket):
            assert server.s3("DELETE", f"/{self.bucket}/{key}").status == 204
        for upload in server.s3("GET", f"/{self.bucket}?uploads").xml.iter("Upload"):
            target = f"/{self.bucket}/{upload.findtext('Key')}?uploadId={upload.findtext('UploadId')}"
            assert server.s3("DELETE", target).status == 204


def list_keys(server, bucket):
    """All keys, page by page."""
    found, after = set(), ""
    while True:
        answer = server.s3("GET", f"/{bucket}?list-type=2&start-after={after}&max-keys=1000")
        assert answer.status == 200, answer
        page = [e.text for e in answer.xml.iter("Key")]
        found.update(page)
        if answer.xml.findtext("IsTruncated") != "true":
            return found
        after = page[-1]
