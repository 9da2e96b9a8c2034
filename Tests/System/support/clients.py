"""Clients of several gateways at once: for histories, and for reads that must never fail."""
import hashlib
import http.client
import random
import threading
import time

from . import data, http as wire
from .linearizability import ABSENT, FOREVER
from .signing import encode_path

GONE = (OSError, http.client.HTTPException)
# Inline, volume record, chunk file.
SIZES = [40, 5_000, 30_000, 300_000, 1_300_000]


def send(gateway, method, target, headers=(), body=b"", timeout=20):
    """A header-signed S3 request to one gateway."""
    signed, _ = gateway.signer.sign(
        method, target, [("Host", gateway.host), *headers], hashlib.sha256(body).hexdigest())
    return wire.request(gateway.ports["s3"], method, target, signed, body, timeout)


def tag_of(body):
    return hashlib.md5(body).hexdigest()


class Register:
    """One client of one gateway whose every operation goes into a history."""

    def __init__(self, gateway, bucket, history, name, sizes=SIZES, timeout=15):
        self.gateway, self.bucket, self.history, self.name = gateway, bucket, history, name
        self.sizes, self.timeout = sizes, timeout
        self.source = random.Random(name)
        self.count = 0
        self.answers = {}

    def call(self, method, key, headers=(), body=b"", query=""):
        """The answer, or None for none."""
        target = f"/{self.bucket}" + (f"/{encode_path(key)}" if key else "") + query
        try:
            answer = send(self.gateway, method, target, headers, body, self.timeout)
        except GONE:
            self.answers[method, None] = self.answers.get((method, None), 0) + 1
            time.sleep(0.05)
            return None
        count = self.answers.get((method, answer.status), 0)
        self.answers[method, answer.status] = count + 1
        return answer

    def write(self, key, condition=None):
        """Writes a content of its own; (outcome, its tag)."""
        self.count += 1
        body = f"{self.name} {self.count} ".encode()
        body += data.content(body, self.source.choice(self.sizes))
        value = tag_of(body)
        headers = []
        if condition:
            headers = [("If-None-Match", "*") if condition[0] == "none" else (
                "If-Match", f'"{condition[1]}"')]
        called = self.history.now()
        answer = self.call("PUT", key, headers, body)
        if answer is not None and answer.status == 409:
            return "conflict", None  # Nothing happened, and nothing is said of the object.
        outcome = self.outcome(answer, condition)
        self.history.add(
            client=self.name, key=key, kind="write", called=called, value=value,
            condition=condition, outcome=outcome,
            returned=FOREVER if outcome == "unknown" else self.history.now())
        return outcome, value

    @staticmethod
    def outcome(answer, condition=None):
        if answer is None or answer.status >= 500:
            return "unknown"
        if answer.status in (200, 204):
            return "done"
        if condition and (answer.status == 412 or (
                answer.status == 404 and condition[0] == "match")):
            return "refused"
        raise AssertionError(f"no such answer was expected: {answer}")

    def delete(self, key):
        called = self.history.now()
        outcome = self.outcome(self.call("DELETE", key))
        self.history.add(
            client=self.name, key=key, kind="delete", called=called, outcome=outcome,
            returned=FOREVER if outcome == "unknown" else self.history.now())
        return outcome

    def read(self, key):
        """The tag that was read, ABSENT, or "unknown"."""
        called = self.history.now()
        answer = self.call("GET", key)
        if answer is None or answer.status >= 500:
            return "unknown"
        value = ABSENT
        if answer.status == 200:
            value = answer.headers["etag"].strip('"')
            assert tag_of(answer.body) == value, f"{key}: the content is not that of {value}"
        else:
            assert answer.status == 404, answer
        self.history.add(
            client=self.name, key=key, kind="read", called=called, returned=self.history.now(),
            value=value)
        return value

    def list(self, keys, page=1000):
        """Lists the bucket in pages; each of `keys` counts as read."""
        def all_pages():
            found, token = {}, ""
            while True:
                answer = self.call("GET", "", query=f"?list-type=2&max-keys={page}{token}")
                if answer is None or answer.status >= 500:
                    return None
                assert answer.status == 200, answer
                for entry in answer.xml.iter("Contents"):
                    found[entry.findtext("Key")] = entry.findtext("ETag").strip('"')
                if answer.xml.findtext("IsTruncated") != "true":
                    return found
                following = encode_path(answer.xml.findtext("NextContinuationToken"))
                token = "&continuation-token=" + following.replace("/", "%2F")

        return self.history.record_list(self.name, keys, all_pages)

    def step(self, keys):
        """One operation of a random kind."""
        key = self.source.choice(keys)
        kind = self.source.choice(
            ["read", "read", "read", "write", "write", "create", "swap", "swap", "delete", "list"])
        if kind == "read":
            self.read(key)
        elif kind == "write":
            self.write(key)
        elif kind == "create":
            self.write(key, ("none",))
        elif kind == "delete":
            self.delete(key)
        elif kind == "list":
            self.list(keys, self.source.choice([2, 1000]))
        else:
            value = self.read(key)
            if value not in (ABSENT, "unknown"):
                self.write(key, ("match", value))


class Crowd:
    """Threads that each do `work(number)` until told to stop; what one raises fails the test."""

    def __init__(self, count, work):
        self.stopping = threading.Event()
        self.errors = []
        self.rounds = 0
        self.threads = [
            threading.Thread(target=self.run, args=(work, n), daemon=True) for n in range(count)]

    def run(self, work, number):
        try:
            while not self.stopping.is_set():
                work(number)
                self.rounds += 1
        except BaseException as error:
            self.errors.append(error)
            self.stopping.set()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(90)
        if kind is None:
            assert not any(t.is_alive() for t in self.threads), "a client hangs"
            if self.errors:
                raise self.errors[0]


class Library:
    """Objects that stay as they are, to be read while things go wrong around them."""

    def __init__(self, gateways, bucket, seed, count=12, sizes=SIZES, prefix="library"):
        self.gateways, self.bucket = gateways, bucket
        self.bodies = {
            f"{prefix}/{n}": data.content(f"{seed} {n}", sizes[n % len(sizes)])
            for n in range(count)}

    def store(self):
        for index, (key, body) in enumerate(self.bodies.items()):
            gateway = self.gateways[index % len(self.gateways)]
            answer = send(gateway, "PUT", f"/{self.bucket}/{key}", body=body)
            assert answer.status == 200, answer
        return self

    def read(self, key, gateway=None, timeout=30, excused=()):
        """Reads one object: any failure is an error, but a status that is excused.

        Whether the object was read."""
        gateway = gateway or random.choice(self.gateways)
        answer = send(gateway, "GET", f"/{self.bucket}/{key}", timeout=timeout)
        if answer.status in excused:
            return False
        assert answer.status == 200, f"{key} through {gateway.title}: {answer}"
        assert answer.body == self.bodies[key], f"{key}: another content"
        return True

    def read_any(self, *_, excused=()):
        return self.read(random.choice(list(self.bodies)), excused=excused)

    def read_all(self):
        for gateway in self.gateways:
            for key in self.bodies:
                self.read(key, gateway)


class Shelf:
    """Keys of one writer each; what was acknowledged last must be there.

    A write that fails is repeated until it succeeds: then it counts.
    """

    def __init__(self, gateways, bucket, name, sizes=SIZES):
        self.gateways, self.bucket, self.name, self.sizes = gateways, bucket, name, sizes
        self.source = random.Random(name)
        self.settled, self.failures, self.written = {}, [], 0

    def step(self, patience=60):
        """One overwrite or delete of one key through a random gateway, repeated until it is done."""
        key = f"{self.name}/{self.source.randrange(8)}"
        body = None
        if self.source.random() < 0.85:
            body = data.content(self.source.random(), self.source.choice(self.sizes))
        deadline = time.monotonic() + patience
        while True:
            gateway = self.source.choice(self.gateways)
            try:
                answer = send(
                    gateway, "DELETE" if body is None else "PUT", f"/{self.bucket}/{key}",
                    body=body or b"")
                if answer.status in (200, 204):
                    break
                assert answer.status >= 500, answer
                self.failures.append((key, answer.status, answer.body[:200]))
            except GONE as error:
                self.failures.append((key, repr(error)))
            assert time.monotonic() < deadline, f"no success in {patience} s: {self.failures[-5:]}"
        self.settled[key] = body
        self.written += 1

    def check(self):
        """Every key through every gateway: acknowledged is there, deleted is gone."""
        for gateway in self.gateways:
            for key, body in self.settled.items():
                answer = send(gateway, "GET", f"/{self.bucket}/{key}")
                if body is None:
                    assert answer.status == 404, f"{key} is back: {answer}"
                else:
                    assert answer.status == 200, f"{key} is lost: {answer}"
                    assert answer.body == body, f"{key}: another content"
