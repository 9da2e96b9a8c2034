"""The Files API, as a program uses it."""
import hashlib
import json
import re
import socket
import struct
import threading
import time

import pytest
import requests

from support import data, http
from support.server import ACCESS_KEY, SECRET_KEY

BEARER = {"Authorization": f"Bearer {ACCESS_KEY}:{SECRET_KEY}"}


class Files:
    """The API of one server for one user."""

    def __init__(self, server, headers=BEARER):
        self.base = server.url("http")
        self.session = requests.Session()
        self.session.headers.update(headers)

    def upload(self, name, body, kind="application/octet-stream"):
        return self.session.post(self.base + "/files", files={"file": (name, body, kind)})

    def get(self, path, **options):
        return self.session.get(self.base + path, **options)

    def delete(self, path):
        return self.session.delete(self.base + path)


@pytest.fixture
def files(server):
    return Files(server)


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 65_520, 300_000, 1_048_320, 5_000_000])
def test_a_file_goes_up_and_comes_back(files, size):
    body = data.content(("file", size), size)
    made = files.upload("report ü.bin", body, "application/x-test")
    assert made.status_code == 201, made.text
    shown = made.json()
    assert made.headers["Location"] == f"/files/{shown['id']}"
    assert shown["name"] == "report ü.bin" and shown["size"] == size
    assert shown["sha256"] == hashlib.sha256(body).hexdigest()
    assert shown["status"] == "completed" and shown["content_type"] == "application/x-test"
    got = files.get(f"/files/{shown['id']}")
    assert got.status_code == 200 and got.content == body
    assert got.headers["Content-Type"].startswith("application/x-test")
    assert "filename*=UTF-8''report%20%C3%BC.bin" in got.headers["Content-Disposition"]
    assert got.headers["ETag"] == f'"{shown["sha256"]}"'


@pytest.mark.parametrize("size", [100, 100_000, 3_000_000])
def test_metadata_shows_six_chunks_and_where_they_are(files, server, size):
    shown = files.upload("f", data.content(size, size)).json()
    metadata = files.get(f"/files/{shown['id']}/metadata").json()
    chunks = metadata["chunks"]
    assert [c["index"] for c in chunks] == [0, 1, 2, 3, 4, 5]
    stores = {s["id"] for s in server.admin("status", "--json")["stores"]}
    assert {c["server"] for c in chunks} == stores
    for chunk in chunks:
        assert chunk["status"] == "present" and chunk["size"] > 0
        assert re.fullmatch("[0-9a-f]{64}", chunk["sha256"])
    for name in ("id", "name", "size", "sha256", "content_type", "status", "created_at"):
        assert metadata[name] == shown[name]


def test_ranges_and_conditions_of_downloads(files):
    body = data.content("range", 400_000)
    made = files.upload("f", body).json()
    path = f"/files/{made['id']}"
    for asked, begin, end in (
            ("bytes=0-0", 0, 1), ("bytes=65510-65530", 65510, 65531), ("bytes=-7", 399_993, 400_000),
            ("bytes=399999-", 399_999, 400_000), ("bytes=5-999999999", 5, 400_000)):
        got = files.get(path, headers={"Range": asked})
        assert got.status_code == 206 and got.content == body[begin:end]
        assert got.headers["Content-Range"] == f"bytes {begin}-{end - 1}/400000"
    assert files.get(path, headers={"Range": "bytes=400000-"}).status_code == 416
    tag = f'"{made["sha256"]}"'
    assert files.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert files.get(path, headers={"If-Match": '"other"'}).status_code == 412
    assert files.get(path, headers={"If-Match": tag}).content == body
    head = files.session.head(files.base + path)
    assert head.status_code == 200 and head.headers["Content-Length"] == "400000"


def test_a_deleted_file_is_gone(files):
    path = f"/files/{files.upload('f', b'x' * 100_000).json()['id']}"
    assert files.delete(path).status_code == 204
    for answer in (files.get(path), files.get(path + "/metadata"), files.delete(path)):
        assert answer.status_code == 404
        assert answer.json()["error"] == "not_found" and answer.json()["request_id"]


def test_files_are_listed_in_pages_and_by_status(private):
    files = Files(private)
    made = [files.upload(f"f{i}", bytes([i]) * (i + 1)).json()["id"] for i in range(7)]
    seen = []
    for page in (1, 2, 3):
        answer = files.get(f"/files?page={page}&per_page=3").json()
        assert (answer["page"], answer["per_page"], answer["total"]) == (page, 3, 7)
        seen += [f["id"] for f in answer["files"]]
    # Newest first.
    assert seen == made[::-1]
    assert files.get("/files?page=9&per_page=3").json()["files"] == []
    assert files.get("/files?status=completed").json()["total"] == 7
    assert files.get("/files?status=failed").json()["total"] == 0
    for query in ("page=0", "page=-1", "page=x", "per_page=0", "per_page=1001", "status=other",
                  "page=99999999999999999999999", "per_page="):
        answer = files.get("/files?" + query)
        assert answer.status_code == 400 and answer.json()["details"], query


def test_users_see_only_their_own_files(server, files):
    user = server.add_user("files-user")
    theirs = Files(server, {"Authorization": f"Bearer {user.access_key}:{user.secret_key}"})
    mine = files.upload("mine", b"mine").json()["id"]
    own = theirs.upload("own", b"own").json()["id"]
    assert [f["id"] for f in theirs.get("/files").json()["files"]] == [own]
    for answer in (theirs.get(f"/files/{mine}"), theirs.get(f"/files/{mine}/metadata"),
                   theirs.delete(f"/files/{mine}")):
        assert answer.status_code == 404
    assert files.get(f"/files/{mine}").content == b"mine"
    basic = requests.get(
        server.url("http", f"/files/{own}"), auth=(user.access_key, user.secret_key))
    assert basic.content == b"own"


def test_wrong_uploads_are_refused_as_json(files):
    url = files.base + "/files"
    post = files.session.post
    cases = [
        post(url), post(url, data=b"x"), post(url, json={"file": "x"}),
        post(url, files={"other": ("f", b"x")}), post(url, data={"file": "no file"}),
        files.upload("", b"x"), files.upload("n" * 256, b"x"), files.upload("..", b"x"),
        post(url, files=[("file", ("a", b"x")), ("file", ("b", b"y"))])]
    for answer in cases:
        assert answer.status_code in (400, 415), answer.text
        assert answer.headers["Content-Type"].startswith("application/json")
        assert set(answer.json()) >= {"error", "details", "request_id"}
    assert files.upload("dir/sub\\name.txt", b"x").json()["name"] == "name.txt"
    for method, path in (("PUT", "/files"), ("DELETE", "/files"), ("POST", "/files/" + "0" * 32)):
        assert files.session.request(method, files.base + path).status_code == 405
    for path in ("/files/x", "/files/" + "0" * 31, "/files/" + "g" * 32):
        assert files.get(path).status_code == 400
    assert files.get("/files/" + "0" * 32).status_code == 404
    assert files.get("/nothing").status_code == 404


def test_a_file_over_the_limit_is_refused_before_it_is_read(server):
    head = http.head_bytes("POST", "/files", [
        ("Host", f"127.0.0.1:{server.ports['http']}"), *BEARER.items(), ("Expect", "100-continue"),
        ("Content-Type", "multipart/form-data; boundary=b"), ("Content-Length", str(11 << 30))])
    with http.connect(server.ports["http"]) as connection:
        connection.sendall(head)
        answer = http.read_response(connection)
    assert answer.status == 413 and json.loads(answer.body)["error"] == "too_large"


def begin_upload(server, sent, length):
    connection = http.connect(server.ports["http"])
    connection.sendall(http.head_bytes("POST", "/files", [
        ("Host", f"127.0.0.1:{server.ports['http']}"), *BEARER.items(),
        ("Content-Type", "multipart/form-data; boundary=b"), ("Content-Length", str(length))]))
    connection.sendall(
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n' + sent)
    return connection


def test_a_running_upload_is_shown_and_not_served(private):
    files = Files(private)
    connection = begin_upload(private, b"x" * 3_000_000, 10_000_000)
    deadline = time.monotonic() + 10
    while not (shown := files.get("/files").json()["files"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert shown[0]["status"] in ("pending", "uploading")
    path = f"/files/{shown[0]['id']}"
    answer = files.get(path)
    assert answer.status_code == 409 and answer.json()["error"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    while files.get(path + "/metadata").json()["status"] != "failed":
        assert time.monotonic() < deadline + 10
        time.sleep(0.05)
    assert private.files() == set()
    assert files.get(path).status_code in (404, 409)


def test_many_at_once_keep_apart(server):
    failures = []

    def work(number):
        files = Files(server)
        for index in range(4):
            body = data.content((number, index), 150_000 + number)
            made = files.upload(f"{number}", body).json()
            if files.get(f"/files/{made['id']}").content != body:
                failures.append(made)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_files_outlive_a_kill_and_uploads_cut_off_by_it_are_failed(make_server):
    server = make_server()
    server.start()
    files = Files(server)
    body = data.content("kept", 800_000)
    kept = files.upload("kept", body).json()["id"]
    begin_upload(server, b"x" * 2_000_000, 10_000_000)
    time.sleep(0.3)
    server.kill()
    server.start()
    assert files.get(f"/files/{kept}").content == body
    others = [f for f in files.get("/files").json()["files"] if f["id"] != kept]
    assert all(f["status"] != "completed" for f in others)


def test_health_and_description_are_open(server):
    health = requests.get(server.url("http", "/health"))
    assert health.status_code == 200 and health.json()["status"] == "ok"
    described = requests.get(server.url("http", "/openapi.yaml"))
    assert described.status_code == 200 and described.text.startswith("openapi: 3")
