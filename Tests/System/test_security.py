"""The classes of bug that have hit this field's servers, one or more named tests each.

Every test first shows that the honest request works, so that a broken route cannot pass for a gate.
"""
import ast
import datetime
import hashlib
import pathlib
import re
import time
import urllib.parse
import zlib
import base64

import pytest

from conftest import boto_client
from support import data, http, urls
from support.server import ACCESS_KEY, SECRET_KEY
from support.signing import (
    STREAMING, STREAMING_TRAILER, STREAMING_UNSIGNED_TRAILER, UNSIGNED, Signer, encode, encode_path,
    now)

BODY = data.content("security", 200_000)
REQUIRED_CLASSES = [1, 2, 3, 4, 5, 11, 13, 21, 23, 24, 25, 27, 28, 29]
LEAST_NUMBER_OF_TESTS = 40


def keys(server, bucket):
    answer = server.s3("GET", f"/{bucket}?list-type=2")
    assert answer.status == 200, answer
    return [e.text for e in answer.xml.iter("Key")]


def test_there_is_a_test_for_each_class_and_no_fewer_than_there_were():
    functions = [
        node.name for node in ast.parse(pathlib.Path(__file__).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_class_")]
    assert {int(name.split("_")[2]) for name in functions} >= set(REQUIRED_CLASSES)
    assert len(functions) >= LEAST_NUMBER_OF_TESTS, len(functions)


# 1. Streaming and trailer signatures

def crc32(body):
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def stream(server, target, mode, body=BODY, trailers=None, seed=None, length=None, sign_mode=True,
           declared="x-amz-checksum-crc32", **flaws):
    """A PUT in one of the streaming modes, with a flaw where one is named."""
    moment = now()
    with_trailer = mode != STREAMING
    headers = [
        ("Host", server.host), ("Content-Encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", str(len(body) if length is None else length))]
    if with_trailer and declared:
        headers.append(("x-amz-trailer", declared))
    signed, signature = server.signer.sign(
        "PUT", target, headers, mode, moment, unsigned=() if sign_mode else (
            "x-amz-content-sha256",))
    if trailers is None:
        trailers = [("x-amz-checksum-crc32", crc32(body))] if with_trailer else []
    framed = server.signer.chunked(
        body, seed or signature, moment, signed=mode != STREAMING_UNSIGNED_TRAILER,
        trailers=trailers, **flaws)
    return http.request(server.ports["s3"], "PUT", target, signed, framed)


MODES = [STREAMING, STREAMING_TRAILER, STREAMING_UNSIGNED_TRAILER]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [0, 5, 65536, 200_000, 3_000_000])
def test_class_01_each_streaming_mode_works(server, bucket, mode, size):
    body = data.content(mode, size)
    assert stream(server, f"/{bucket}/k", mode, body).status == 200
    assert server.s3("GET", f"/{bucket}/k").body == body


def both_targets(server, bucket):
    """A key and a part: whatever reads a body."""
    upload = server.s3("POST", f"/{bucket}/p?uploads").xml.findtext("UploadId")
    return [f"/{bucket}/k", f"/{bucket}/p?partNumber=1&uploadId={upload}"]


def refused_everywhere(server, bucket, send, statuses=(400, 403)):
    targets = both_targets(server, bucket)
    for target in targets:
        answer = send(target)
        assert answer.status in statuses, answer
    assert keys(server, bucket) == []
    assert server.s3("GET", targets[1].replace("partNumber=1&", "")).xml.find("Part") is None


@pytest.mark.parametrize("mode", [STREAMING, STREAMING_TRAILER])
@pytest.mark.parametrize("chunk", [0, 1, -2, -1])
def test_class_01_a_wrong_chunk_signature_is_refused(server, bucket, mode, chunk):
    refused_everywhere(
        server, bucket, lambda t: stream(server, t, mode, corrupt_chunk=chunk), (403,))


@pytest.mark.parametrize("mode", [STREAMING, STREAMING_TRAILER])
def test_class_01_a_wrong_seed_signature_is_refused(server, bucket, mode):
    refused_everywhere(server, bucket, lambda t: stream(server, t, mode, seed="0" * 64), (403,))


@pytest.mark.parametrize("mode", MODES)
def test_class_01_a_body_without_its_last_chunk_is_refused(server, bucket, mode):
    refused_everywhere(server, bucket, lambda t: stream(server, t, mode, drop_final=True))


def test_class_01_a_wrong_trailer_signature_is_refused(server, bucket):
    refused_everywhere(
        server, bucket, lambda t: stream(server, t, STREAMING_TRAILER, corrupt_trailer=True))


@pytest.mark.parametrize("mode", [STREAMING_TRAILER, STREAMING_UNSIGNED_TRAILER])
def test_class_01_a_missing_or_wrong_trailer_checksum_is_refused(server, bucket, mode):
    refused_everywhere(server, bucket, lambda t: stream(server, t, mode, trailers=[]))
    refused_everywhere(server, bucket, lambda t: stream(
        server, t, mode, trailers=[("x-amz-checksum-crc32", "AAAAAA==")]))
    refused_everywhere(server, bucket, lambda t: stream(
        server, t, mode, trailers=[("x-amz-checksum-sha1", "AAAAAA==")]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("length", [0, 199_999, 200_001, "x", "-1", "99999999999999999999"])
def test_class_01_a_decoded_length_that_lies_is_refused(server, bucket, mode, length):
    refused_everywhere(
        server, bucket, lambda t: stream(server, t, mode, length=length), (400, 403, 411))


@pytest.mark.parametrize("mode", [*MODES, UNSIGNED])
def test_class_01_a_mode_that_is_not_signed_is_refused(server, bucket, mode):
    if mode == UNSIGNED:
        signed, _ = server.signer.sign(
            "PUT", f"/{bucket}/k", [("Host", server.host)], mode,
            unsigned=("x-amz-content-sha256",))
        assert http.request(
            server.ports["s3"], "PUT", f"/{bucket}/k", signed, b"x").status == 403
    else:
        refused_everywhere(
            server, bucket, lambda t: stream(server, t, mode, sign_mode=False), (400, 403))


def test_class_01_unsigned_streaming_still_needs_a_signature(server, bucket):
    framed = server.signer.chunked(
        b"x", "", now(), signed=False, trailers=[("x-amz-checksum-crc32", crc32(b"x"))])
    answer = http.request(server.ports["s3"], "PUT", f"/{bucket}/k", [
        ("x-amz-content-sha256", STREAMING_UNSIGNED_TRAILER), ("Content-Encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "1"), ("x-amz-trailer", "x-amz-checksum-crc32")], framed)
    assert answer.status == 403
    wrong = Signer(ACCESS_KEY, "x" * 40)
    signed, _ = wrong.sign("PUT", f"/{bucket}/k", [
        ("Host", server.host), ("Content-Encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "1"), ("x-amz-trailer", "x-amz-checksum-crc32")],
        STREAMING_UNSIGNED_TRAILER)
    answer = http.request(server.ports["s3"], "PUT", f"/{bucket}/k", signed, framed)
    assert answer.status == 403 and keys(server, bucket) == []


def test_class_01_a_mode_that_nobody_knows_is_refused(server, bucket):
    for mode in ("STREAMING-NONSENSE", "unsigned-payload", "", "0" * 63, "g" * 64,
                 "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"):
        answer = server.s3("PUT", f"/{bucket}/k", (), b"x", payload_hash=mode)
        assert answer.status in (400, 403, 501), (mode, answer)
    assert keys(server, bucket) == []


# 2. Credentials in the query

VERBS = ["GET", "HEAD", "PUT", "DELETE", "POST"]


@pytest.mark.parametrize("method", VERBS)
def test_class_02_a_credential_in_the_query_without_its_signature(server, bucket, method):
    server.s3("PUT", f"/{bucket}/k", body=b"kept")
    right = server.presign("GET", bucket, "k")
    assert http.request(server.ports["s3"], "GET", right).body == b"kept"
    signed = server.presign(method, bucket, "k")
    unsigned = signed.rpartition("&X-Amz-Signature")[0]
    for target in (
            unsigned, unsigned + "&X-Amz-Signature=", unsigned + "&X-Amz-Signature=" + "0" * 64,
            unsigned + "&x-amz-signature=" + "0" * 64, unsigned + "&X-Amz-Signature=zz",
            signed + "&X-Amz-Signature=" + "0" * 64,
            f"/{bucket}/k?X-Amz-Credential={encode(ACCESS_KEY)}"):
        answer = http.request(server.ports["s3"], method, target)
        assert answer.status in (400, 403), (target, answer)
    assert server.s3("GET", f"/{bucket}/k").body == b"kept"


def test_class_02_header_and_query_together_are_refused(server, bucket):
    server.s3("PUT", f"/{bucket}/k", body=b"kept")
    target = server.presign("GET", bucket, "k")
    signed, _ = server.signer.sign("GET", target, [("Host", server.host)])
    assert http.request(server.ports["s3"], "GET", target, signed).status == 400


def test_class_02_a_header_of_version_2_is_refused(server, bucket):
    server.s3("PUT", f"/{bucket}/k", body=b"kept")
    answer = http.request(
        server.ports["s3"], "GET", f"/{bucket}/k",
        [("Authorization", f"AWS {ACCESS_KEY}:c2lnbmF0dXJl")])
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert "AWS4-HMAC-SHA256" in answer.xml.findtext("Message")


@pytest.mark.parametrize("method", VERBS)
def test_class_02_a_url_of_version_2_without_its_signature(server, bucket, method):
    server.s3("PUT", f"/{bucket}/k", body=b"kept")
    end = int(time.time()) + 600
    for query in (
            f"AWSAccessKeyId={ACCESS_KEY}&Signature=c2ln&Expires={end}",
            f"AWSAccessKeyId={ACCESS_KEY}&Signature={'A' * 27}%3D&Expires={end}",
            f"AWSAccessKeyId={ACCESS_KEY}&Signature=&Expires={end}",
            f"AWSAccessKeyId={ACCESS_KEY}&Expires={end}", f"AWSAccessKeyId={ACCESS_KEY}",
            "Signature=c2ln", f"Signature=c2ln&Expires={end}",
            f"AWSAccessKeyId={ACCESS_KEY}&Signature=c2ln&Expires=99999999999999999999999",
            f"AWSAccessKeyId={ACCESS_KEY}&Signature=c2ln&Expires=-{end}",
            f"AWSAccessKeyId=%00{'x' * 5000}&Signature=c2ln&Expires={end}",
            f"awsaccesskeyid={ACCESS_KEY}&signature=c2ln&expires={end}"):
        answer = http.request(server.ports["s3"], method, f"/{bucket}/k?{query}")
        assert answer.status in (400, 403), (query, answer)
    assert server.s3("GET", f"/{bucket}/k").body == b"kept"


# 3. Headers that are not signed

@pytest.mark.parametrize("header", [
    ("x-amz-copy-source", "/{bucket}/secret"), ("x-amz-acl", "public-read"),
    ("x-amz-tagging", "a=b"), ("x-amz-object-lock-mode", "GOVERNANCE"),
    ("x-amz-server-side-encryption", "AES256"), ("x-amz-meta-forged", "1"),
    ("x-amz-website-redirect-location", "http://evil/"), ("X-AMZ-Copy-Source-Range", "bytes=0-1"),
    ("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-storage-class", "STANDARD")])
def test_class_03_an_unsigned_amz_header_is_refused(server, bucket, header):
    server.s3("PUT", f"/{bucket}/secret", body=b"secret")
    name, value = header[0], header[1].format(bucket=bucket)
    target = server.presign("PUT", bucket, "k")
    assert http.request(server.ports["s3"], "PUT", target, body=b"honest").status == 200
    assert http.request(server.ports["s3"], "PUT", target, [(name, value)], b"x").status == 403
    signed, _ = server.signer.sign(
        "PUT", f"/{bucket}/k", [("Host", server.host), (name, value)], unsigned=(name,))
    assert http.request(server.ports["s3"], "PUT", f"/{bucket}/k", signed, b"x").status == 403
    assert server.s3("GET", f"/{bucket}/k").body == b"honest"


def test_class_03_the_host_must_be_signed_and_be_the_one_asked(server, bucket):
    signed, _ = server.signer.sign("PUT", f"/{bucket}/k", [("Host", server.host)], unsigned=("host",))
    answer = http.request(server.ports["s3"], "PUT", f"/{bucket}/k", signed, b"x")
    assert answer.status in (400, 403)
    signed, _ = server.signer.sign("GET", f"/{bucket}", [("Host", "other.example")])
    moved = [(n, server.host if n == "Host" else v) for n, v in signed]
    assert http.request(server.ports["s3"], "GET", f"/{bucket}", moved).status == 403
    signed, _ = server.signer.sign("GET", f"/{bucket}", [("Host", server.host)])
    assert http.request(server.ports["s3"], "GET", f"/{bucket}", signed).status == 200


def test_class_03_a_header_given_twice_is_signed_as_both(server, bucket):
    signed, _ = server.signer.sign(
        "PUT", f"/{bucket}/k", [("Host", server.host), ("x-amz-meta-a", "1")])
    answer = http.request(
        server.ports["s3"], "PUT", f"/{bucket}/k", signed + [("x-amz-meta-a", "2")], b"x")
    assert answer.status in (400, 403) and keys(server, bucket) == []


# 4. Signatures, times and scopes

def get(server, bucket, signer=None, **options):
    return server.s3("GET", f"/{bucket}?list-type=2", signer=signer, **options)


def test_class_04_no_signature_and_garbage_are_refused(server, bucket):
    assert get(server, bucket).status == 200
    target = f"/{bucket}?list-type=2"
    for headers in (
            [], [("Authorization", "")], [("Authorization", "x")], [("Authorization", "Bearer x")],
            [("Authorization", "AWS4-HMAC-SHA256")],
            [("Authorization", "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=")],
            [("Authorization", "AWS4-HMAC-SHA256 " + "," * 5000)],
            [("Authorization", "Basic " + base64.b64encode(
                f"{ACCESS_KEY}:{SECRET_KEY}".encode()).decode())]):
        answer = http.request(server.ports["s3"], "GET", target, headers)
        assert answer.status in (400, 403), (headers, answer)


def test_class_04_a_wrong_secret_or_key_is_refused(server, bucket):
    wrong = get(server, bucket, Signer(ACCESS_KEY, SECRET_KEY + "x"))
    assert (wrong.status, wrong.code) == (403, "SignatureDoesNotMatch")
    for name in ("AKIAUNKNOWN000000000", "", "x" * 500, "' OR 1=1 --", "%00"):
        answer = get(server, bucket, Signer(name, SECRET_KEY))
        assert answer.status in (400, 403), (name, answer)


@pytest.mark.parametrize("minutes", [-16, 16, -60 * 24, 60 * 24 * 365])
def test_class_04_a_clock_more_than_a_quarter_off_is_refused(server, bucket, minutes):
    moment = now() + datetime.timedelta(minutes=minutes)
    answer = get(server, bucket, moment=moment)
    assert (answer.status, answer.code) == (403, "RequestTimeTooSkewed")
    near = now() + datetime.timedelta(minutes=14 if minutes > 0 else -14)
    assert get(server, bucket, moment=near).status == 200


@pytest.mark.parametrize("expires", [0, -1, 604801, "x", "", "9" * 30, "1e3"])
def test_class_04_lives_of_presigned_urls_are_bounded(server, bucket, expires):
    server.s3("PUT", f"/{bucket}/k", body=b"x")
    right = server.presign("GET", bucket, "k", expires=604800)
    assert http.request(server.ports["s3"], "GET", right).status == 200
    wrong = server.presign("GET", bucket, "k", expires=expires)
    assert http.request(server.ports["s3"], "GET", wrong).status in (400, 403)


def test_class_04_presigned_urls_of_the_past_and_the_future_are_refused(server, bucket):
    server.s3("PUT", f"/{bucket}/k", body=b"x")
    for minutes, expires in ((-10, 300), (30, 3600)):
        moment = now() + datetime.timedelta(minutes=minutes)
        target = server.presign("GET", bucket, "k", expires=expires, moment=moment)
        assert http.request(server.ports["s3"], "GET", target).status == 403


def test_class_04_another_region_or_service_is_refused_and_named(server, bucket):
    for signer in (
            Signer(ACCESS_KEY, SECRET_KEY, region="eu-west-1"),
            Signer(ACCESS_KEY, SECRET_KEY, service="ec2"), Signer(ACCESS_KEY, SECRET_KEY, region="")):
        answer = get(server, bucket, signer)
        assert (answer.status, answer.code) == (400, "AuthorizationHeaderMalformed"), answer
    region = get(server, bucket, Signer(ACCESS_KEY, SECRET_KEY, region="eu-west-1"))
    assert region.xml.findtext("Region") == "us-east-1"


def test_class_04_what_was_signed_is_what_counts(server, bucket):
    """Method, path, query and body of a signed request cannot be exchanged."""
    server.s3("PUT", f"/{bucket}/k", body=b"kept")
    signed, _ = server.signer.sign("GET", f"/{bucket}/k", [("Host", server.host)])
    port = server.ports["s3"]
    assert http.request(port, "GET", f"/{bucket}/k", signed).status == 200
    for method, target in (
            ("DELETE", f"/{bucket}/k"), ("PUT", f"/{bucket}/k"), ("GET", f"/{bucket}/other"),
            ("GET", f"/{bucket}"), ("GET", f"/{bucket}/k?versionId=null"),
            ("GET", f"/{bucket}//k"), ("GET", f"/{bucket}/k/")):
        assert http.request(port, method, target, signed).status in (403,), (method, target)
    assert server.s3("GET", f"/{bucket}/k").body == b"kept"


# 5. Admin and Files API by key name alone

def test_class_05_the_admin_api_needs_more_than_a_name(server):
    assert server.admin("status", "--json")
    refused = [
        dict(secret_key="wrong secret key wrong secret key"), dict(access_key="AKIAUNKNOWN000000000"),
        dict(secret_key="x" * 40, access_key="x" * 20)]
    for options in refused:
        done = server.admin("status", check=False, **options)
        assert done.returncode != 0, done.stdout


def test_class_05_a_common_user_is_no_administrator(server):
    user = server.add_user("class-five")
    assert get(server, "", signer=user).status == 200
    done = server.admin(
        "users", "list", check=False, access_key=user.access_key, secret_key=user.secret_key)
    assert done.returncode != 0 and "class-five" not in done.stdout


def test_class_05_disabled_users_and_revoked_keys_are_shut_out_within_two_seconds(server, bucket):
    import time
    for name, shut_out in (
            ("class-five-disabled", lambda u: server.admin("users", "disable", "class-five-disabled")),
            ("class-five-revoked", lambda u: server.admin("keys", "revoke", u.access_key))):
        user = server.add_user(name)
        assert get(server, "", signer=user).status == 200
        shut_out(user)
        time.sleep(2)
        assert get(server, "", signer=user).status == 403


def test_class_05_the_files_api_refuses_strangers(server):
    def files(token, path="/files"):
        headers = [("Authorization", f"Bearer {token}")] if token is not None else []
        return http.request(server.ports["http"], "GET", path, headers)

    assert files(f"{ACCESS_KEY}:{SECRET_KEY}").status == 200
    for token in (None, "", ACCESS_KEY, ACCESS_KEY + ":", f"{ACCESS_KEY}:wrong", ":", "x" * 5000,
                  f":{SECRET_KEY}", f"{ACCESS_KEY}:{SECRET_KEY}x"):
        assert files(token).status == 401, token


# 11. Information before authentication

@pytest.mark.parametrize("header", [
    ("If-Modified-Since", "Mon, 01 Jan 2001 00:00:00 GMT"), ("If-None-Match", "*"),
    ("If-Match", '"x"'), ("If-Unmodified-Since", "Mon, 01 Jan 2001 00:00:00 GMT"),
    ("Range", "bytes=0-0"), ("Expect", "100-continue")])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_class_11_a_stranger_learns_nothing_from_conditions(server, bucket, header, method):
    server.s3("PUT", f"/{bucket}/there", body=b"x")
    answers = [
        http.request(server.ports["s3"], method, f"/{target}", [header])
        for target in (f"{bucket}/there", f"{bucket}/absent", "no-such-bucket/k")]
    shapes = {(a.status, a.code, len(a.headers)) for a in answers}
    assert {a.status for a in answers} == {403} and len(shapes) == 1, answers


def test_class_11_only_these_routes_answer_strangers(server, bucket):
    open_routes = []
    for port, targets in (
            ("s3", ["/", "/_/health", f"/{bucket}", "/health", "/metrics", "/_/metrics", "/?x-id=1",
                    "/minio/health/live", "/_/", "/_/config"]),
            ("http", ["/", "/health", "/files", "/files/x", "/openapi.yaml", "/metrics", "/admin"]),
            ("admin", ["/", "/status", "/users", "/health", "/admin/v1/status", "/v1/users"])):
        for target in targets:
            answer = http.request(server.ports[port], "GET", target)
            if answer.status < 400:
                open_routes.append((port, target))
            assert SECRET_KEY.encode() not in answer.body
    assert set(open_routes) <= {
        ("s3", "/_/health"), ("http", "/health"), ("http", "/openapi.yaml"), ("admin", "/health")}
    assert ("s3", "/_/health") in open_routes and ("http", "/health") in open_routes


# 13. Copy sources

def test_class_13_a_copy_needs_the_right_to_read_its_source(server, bucket):
    server.s3("PUT", f"/{bucket}/secret", body=b"secret")
    user = server.add_user("class-thirteen")
    assert server.s3("PUT", "/class-thirteen-own", signer=user).status == 200
    source = [("x-amz-copy-source", encode_path(f"/{bucket}/secret"))]
    answer = server.s3("PUT", "/class-thirteen-own/k", source, signer=user)
    assert (answer.status, answer.code) == (403, "AccessDenied")
    upload = server.s3("POST", "/class-thirteen-own/k?uploads", signer=user).xml.findtext("UploadId")
    part = f"/class-thirteen-own/k?partNumber=1&uploadId={upload}"
    assert server.s3("PUT", part, source, signer=user).status == 403
    server.s3("PUT", "/class-thirteen-own/mine", body=b"mine", signer=user)
    mine = [("x-amz-copy-source", "/class-thirteen-own/mine")]
    assert server.s3("PUT", "/class-thirteen-own/k", mine, signer=user).status == 200
    assert server.s3("PUT", part, mine, signer=user).status == 200


def test_class_13_buckets_of_others_are_closed(server, bucket):
    server.s3("PUT", f"/{bucket}/k", body=b"x")
    user = server.add_user("class-thirteen-other")
    for method, target in (
            ("GET", f"/{bucket}/k"), ("HEAD", f"/{bucket}/k"), ("PUT", f"/{bucket}/k"),
            ("DELETE", f"/{bucket}/k"), ("GET", f"/{bucket}"), ("DELETE", f"/{bucket}"),
            ("POST", f"/{bucket}/k?uploads"), ("GET", f"/{bucket}?uploads")):
        assert server.s3(method, target, signer=user).status == 403, (method, target)
    listed = server.s3("GET", "/", signer=user)
    assert bucket not in [e.text for e in listed.xml.iter("Name")]
    assert server.s3("GET", f"/{bucket}/k").body == b"x"


# 21. Paths

TRAVERSALS = [
    "..", "../k", "a/../../b", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..%5cb", "//x", "/etc/passwd",
    "./.", "%2e", "a/%2e%2e/%2e%2e/%2e%2e/b", "....//....//x", "C:%5cx"]


@pytest.mark.parametrize("target", TRAVERSALS)
def test_class_21_a_key_names_nothing_outside_its_bucket(server, bucket, target):
    other = server.s3("PUT", f"/{bucket}-other")
    assert other.status == 200
    before = sorted(p for p in server.data_dir.glob("*"))
    assert server.s3("PUT", f"/{bucket}/{target}", body=b"inside").status == 200
    assert server.s3("GET", f"/{bucket}/{target}").body == b"inside"
    assert len(keys(server, bucket)) == 1 and keys(server, f"{bucket}-other") == []
    assert sorted(p for p in server.data_dir.glob("*")) == before


def test_class_21_a_delete_document_or_copy_source_reaches_no_other_bucket(server, bucket):
    server.s3("PUT", f"/{bucket}-other")
    server.s3("PUT", f"/{bucket}-other/k", body=b"kept")
    document = (
        f"<Delete><Object><Key>../{bucket}-other/k</Key></Object>"
        f"<Object><Key>/{bucket}-other/k</Key></Object></Delete>").encode()
    md5 = base64.b64encode(hashlib.md5(document).digest()).decode()
    assert server.s3("POST", f"/{bucket}?delete", [("Content-MD5", md5)], document).status == 200
    for source in (f"/{bucket}/../{bucket}-other/k", f"/{bucket}%2F..%2F{bucket}-other/k"):
        answer = server.s3("PUT", f"/{bucket}/to", [("x-amz-copy-source", source)])
        assert answer.status in (400, 404), answer
    assert server.s3("GET", f"/{bucket}-other/k").body == b"kept"


def test_class_21_upload_ids_and_file_ids_are_no_paths(server, bucket):
    for upload in ("..%2F..%2Fx", "%00", "x" * 3000, "..", "%2F"):
        answer = server.s3("PUT", f"/{bucket}/k?partNumber=1&uploadId={upload}", body=b"x")
        assert answer.status in (400, 404), answer
    token = [("Authorization", f"Bearer {ACCESS_KEY}:{SECRET_KEY}")]
    for name in ("..%2f..%2fetc%2fpasswd", "..", "%00", "x" * 3000, "' OR 1=1"):
        answer = http.request(server.ports["http"], "GET", "/files/" + name.replace(" ", "%20"), token)
        assert answer.status in (400, 404), answer


# 23. XML

XML_ATTACKS = {
    "doctype": b'<!DOCTYPE Delete><Delete><Object><Key>k</Key></Object></Delete>',
    "external entity": b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
                       b"<Delete><Object><Key>&x;</Key></Object></Delete>",
    "entity bomb": b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
        + b"]><Delete><Object><Key>&j;</Key></Object></Delete>",
    "depth": b"<Delete>" + b"<a>" * 10_000 + b"</a>" * 10_000 + b"</Delete>",
    "attributes": b"<Delete " + b" ".join(b"a%d='%s'" % (i, b"x" * 500) for i in range(10_000))
                  + b"/>",
    "long name": b"<" + b"D" * 5_000_000 + b"/>",
    "long text": b"<Delete><Object><Key>" + b"k" * 5_000_000 + b"</Key></Object></Delete>",
    "too large": b"<Delete>" + b" " * (40 << 20) + b"</Delete>",
}


@pytest.mark.parametrize("name", XML_ATTACKS)
def test_class_23_hostile_xml_is_refused_and_cheap(server, bucket, name):
    server.s3("PUT", f"/{bucket}/k", body=b"kept")
    before = server.status_field("VmRSS")
    cpu = server.cpu_seconds()
    document = XML_ATTACKS[name]
    md5 = base64.b64encode(hashlib.md5(document).digest()).decode()
    answer = server.s3("POST", f"/{bucket}?delete", [("Content-MD5", md5)], document)
    assert 400 <= answer.status < 500 or (
        answer.status == 200 and name == "long text" and b"<Error>" in answer.body), answer
    assert server.s3("GET", f"/{bucket}/k").body == b"kept"
    assert server.cpu_seconds() - cpu < 10
    assert server.status_field("VmRSS") - before < 100 << 10
    assert b"root:" not in answer.body


# 24. Parsers

def test_class_24_no_parser_can_be_made_to_trap(server, bucket):
    import random
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source = random.Random(seed)
    honest = server.s3("PUT", f"/{bucket}/k", body=b"kept")
    assert honest.status == 200
    numbers = ["-1", "0", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
               "18446744073709551616", "1e9", "", "+1", "00", " 1", "\u0661", "9" * 400]
    targets = [
        ("GET", f"/{bucket}/k", "Range", lambda n: f"bytes={n}-{source.choice(numbers)}"),
        ("GET", f"/{bucket}/k", "Range", lambda n: f"bytes=-{n}"),
        ("GET", f"/{bucket}/k", "Range", lambda n: "bytes=" + ",".join([f"{n}-"] * 500)),
        ("GET", f"/{bucket}/k", "If-Modified-Since", lambda n: f"Mon, 99 Jan {n} 25:61:61 GMT"),
        ("GET", f"/{bucket}/k", "If-Match", lambda n: '"' * source.randrange(9) + n),
        ("PUT", f"/{bucket}/t", "x-amz-copy-source", lambda n: f"/{bucket}/k?versionId={n}"),
        ("PUT", f"/{bucket}/t", "x-amz-copy-source", lambda n: "%" * source.randrange(9)),
        ("PUT", f"/{bucket}/t", "x-amz-decoded-content-length", lambda n: n),
        ("PUT", f"/{bucket}/t", "x-amz-tagging", lambda n: "&=" * source.randrange(99) + n),
        ("PUT", f"/{bucket}/t", "Content-MD5", lambda n: n),
        ("PUT", f"/{bucket}/t", "x-amz-checksum-crc32c", lambda n: n),
        ("PUT", f"/{bucket}/t", "x-amz-trailer", lambda n: n * 3),
        ("PUT", f"/{bucket}/t", "Expires", lambda n: n)]
    for _ in range(15):
        for method, target, header, value in targets:
            text = value(source.choice(numbers)).encode("ascii", "ignore").decode()
            server.s3(method, target, [(header, text)], b"x" if method == "PUT" else b"")
        for name in ("max-keys", "partNumber", "max-parts", "part-number-marker", "max-uploads"):
            number = encode(source.choice(numbers))
            for suffix in ("list-type=2&", "uploads&", "uploadId=x&", ""):
                server.s3("GET", f"/{bucket}?{suffix}{name}={number}")
                server.s3("GET", f"/{bucket}/k?{suffix}{name}={number}")
    assert server.process.poll() is None
    assert server.s3("GET", f"/{bucket}/k").body == b"kept"


def test_class_24_random_forms_on_the_files_api(server):
    import random
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source = random.Random(seed)
    honest = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
              b"Content-Type: text/plain\r\n\r\ncontent\r\n--b--\r\n")
    token = ("Authorization", f"Bearer {ACCESS_KEY}:{SECRET_KEY}")
    kind = ("Content-Type", "multipart/form-data; boundary=b")
    answer = http.request(server.ports["http"], "POST", "/files", [token, kind], honest)
    assert answer.status in (200, 201), answer
    for _ in range(150):
        body = bytearray(honest)
        for _ in range(source.randrange(1, 5)):
            at = source.randrange(len(body))
            if source.random() < 0.5:
                body[at] = source.randrange(256)
            else:
                del body[at:at + source.randrange(1, 12)]
        answer = http.request(server.ports["http"], "POST", "/files", [token, kind], bytes(body))
        assert answer.status in (200, 201, 400, 413), (answer, bytes(body))
    for wrong in ("multipart/form-data", "multipart/form-data; boundary=", "text/plain",
                  "multipart/form-data; boundary=" + "b" * 500, "multipart/form-data; boundary=\"b",
                  "multipart/mixed; boundary=b"):
        answer = http.request(
            server.ports["http"], "POST", "/files", [token, ("Content-Type", wrong)], honest)
        assert answer.status in (400, 415), (wrong, answer)
    assert server.process.poll() is None


# 25. Response splitting and scripts

@pytest.mark.parametrize("parameter", [
    "response-content-disposition", "response-content-type", "response-cache-control",
    "response-content-language", "response-content-encoding", "response-expires"])
def test_class_25_overrides_cannot_split_a_response(server, bucket, parameter):
    server.s3("PUT", f"/{bucket}/k", body=b"x")
    honest = server.s3("GET", f"/{bucket}/k?{parameter}=plain")
    assert honest.headers[parameter[9:]] == "plain"
    for attack in ("a%0d%0aX-Evil:%201", "a%0aX-Evil:%201", "a%0dX-Evil:%201", "a%00b"):
        answer = server.s3("GET", f"/{bucket}/k?{parameter}={attack}")
        assert "x-evil" not in answer.headers
        assert answer.status == 400 or "\r" not in answer.headers.get(parameter[9:], "")


def test_class_25_strangers_may_not_override_headers(server, bucket):
    answer = http.request(
        server.ports["s3"], "GET", f"/{bucket}/k?response-content-type=text/html")
    assert answer.status in (400, 403)


def test_class_25_metadata_with_line_breaks_is_refused(server, bucket):
    for name, value in (("x-amz-meta-a", "b\rX-Evil: 1"), ("x-amz-meta-a", "b\nX-Evil: 1"),
                        ("Content-Type", "a\rb"), ("x-amz-meta-a", "b\0c")):
        signed, _ = server.signer.sign("PUT", f"/{bucket}/k", [("Host", server.host)])
        answer = http.request(
            server.ports["s3"], "PUT", f"/{bucket}/k", signed + [(name, value)], b"x")
        assert answer.status in (400, 403), answer
    assert keys(server, bucket) == []


def test_class_25_files_are_served_so_that_no_browser_runs_them(server):
    token = ("Authorization", f"Bearer {ACCESS_KEY}:{SECRET_KEY}")
    body = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.html"\r\n'
            b"Content-Type: text/html\r\n\r\n<script>alert(1)</script>\r\n--b--\r\n")
    made = http.request(
        server.ports["http"], "POST", "/files",
        [token, ("Content-Type", "multipart/form-data; boundary=b")], body)
    assert made.status in (200, 201), made
    import json
    got = http.request(server.ports["http"], "GET", f"/files/{json.loads(made.body)['id']}", [token])
    assert got.status == 200 and b"<script>" in got.body
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    assert got.headers["content-disposition"].startswith("attachment")


def test_class_25_names_in_error_documents_are_escaped(server, bucket):
    answer = server.s3("GET", f"/{bucket}/" + encode("<script>&'\""))
    assert answer.status == 404 and b"<script>" not in answer.body
    assert answer.xml.findtext("Key") in (None, "<script>&'\"")


# 27. Memory

def test_class_27_declared_sizes_reserve_nothing(server, bucket):
    server.s3("PUT", f"/{bucket}/k", body=b"x")
    before = server.status_field("VmRSS")
    connections = []
    for _ in range(50):
        signed, _ = server.signer.sign("PUT", f"/{bucket}/k", [
            ("Host", server.host), ("Content-Encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", str(5 << 30)),
            ("x-amz-trailer", "x-amz-checksum-crc32")], STREAMING_UNSIGNED_TRAILER)
        connection = http.connect(server.ports["s3"])
        connection.sendall(http.head_bytes(
            "PUT", f"/{bucket}/k", signed + [("Content-Length", str(5 << 30))]) + b"140000000\r\nx")
        connections.append(connection)
    assert server.s3("GET", f"/{bucket}/k").body == b"x"
    assert server.status_field("VmRSS") - before < 350 << 10
    for connection in connections:
        connection.close()


def test_class_27_a_thousand_idle_connections_are_cheap(server, bucket):
    before = server.status_field("VmRSS")
    connections = [http.connect(server.ports["s3"]) for _ in range(1000)]
    for connection in connections[:500]:
        connection.sendall(b"GET /" + b"a" * 2000)
    assert server.s3("GET", f"/{bucket}?list-type=2").status == 200
    assert server.status_field("VmRSS") - before < 64 << 10
    for connection in connections:
        connection.close()


def test_class_27_heads_without_end_are_cut_off(server):
    with http.connect(server.ports["s3"]) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        sent = 0
        try:
            while sent < 16 << 20:
                sent += connection.send(b"x-filler: " + b"v" * 65536 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 16 << 20 or b" 431 " in connection.recv(1000)


# 28. Secrets in logs

def test_class_28_no_secret_is_ever_logged(private):
    """Everything that carries a secret, done rightly and wrongly, at the debug level."""
    user = private.add_user("class-twenty-eight")
    private.s3("PUT", "/bucket")
    private.s3("PUT", "/bucket/k", body=b"x", signer=user)
    private.s3("GET", "/bucket/k", signer=Signer(ACCESS_KEY, SECRET_KEY + "wrong"))
    target = private.presign("GET", "bucket", "k")
    http.request(private.ports["s3"], "GET", target)
    http.request(private.ports["s3"], "GET", target[:-1])
    http.request(private.ports["s3"], "GET", "/?X-Amz-Security-Token=sessionsecret")
    private.s3("PUT", "/bucket/k", body=b"x")
    old = boto_client(private).generate_presigned_url(
        "get_object", {"Bucket": "bucket", "Key": "k"})
    old_signature = re.search("Signature=([^&]+)", old)[1]
    assert urls.request(old).body == b"x"
    urls.request(urls.wrongly_signed(old))
    urls.request(old.replace("/k?", "/k2?"))
    for token in (f"{ACCESS_KEY}:{SECRET_KEY}", f"{user.access_key}:{user.secret_key}",
                  f"{ACCESS_KEY}:mistypedsecret"):
        http.request(private.ports["http"], "GET", "/files", [("Authorization", f"Bearer {token}")])
    private.admin("status")
    private.admin("keys", "list")
    assert private.stop() == 0
    log = private.log()
    assert len(log) > 200, "it logs nothing at the debug level"
    signature = target.rpartition("=")[2]
    master = (private.data_dir / "keys/master.key").read_bytes()
    secrets = [SECRET_KEY, user.secret_key, "mistypedsecret", signature, "sessionsecret",
               old_signature[:20], old_signature[1:20], urllib.parse.unquote(old_signature)[1:20],
               base64.b64encode(SECRET_KEY.encode()).decode()[:30]]
    secrets += re.findall(r"[0-9A-Za-z+/=_-]{32,}", master.decode(errors="replace"))
    for secret in secrets:
        assert secret not in log


# 29. Plaintext at rest

MARKS = {
    "key": "PLAINTEXTKEYMARK", "metadata": "PLAINTEXTMETADATAMARK",
    "content": "PLAINTEXTCONTENTMARK", "type": "plaintexttype/mark"}


def test_class_29_neither_plaintext_nor_secrets_lie_on_the_disk(private):
    """Contents everywhere, and secrets; names only outside the database, which lists by them."""
    user = private.add_user("class-twenty-nine")
    private.s3("PUT", "/bucket")
    upload = private.s3("POST", f"/bucket/{MARKS['key']}-parts?uploads").xml.findtext("UploadId")
    parts = []
    for number, size in ((1, 5 << 20), (2, 1000)):
        body = (MARKS["content"] * (size // 20 + 1)).encode()[:size]
        answer = private.s3(
            "PUT", f"/bucket/{MARKS['key']}-parts?partNumber={number}&uploadId={upload}", body=body)
        parts.append((number, answer.headers["etag"]))
    document = "<CompleteMultipartUpload>" + "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in parts)
    assert private.s3(
        "POST", f"/bucket/{MARKS['key']}-parts?uploadId={upload}",
        body=(document + "</CompleteMultipartUpload>").encode()).status == 200
    for size in (100, 10_000, 60_000, 300_000, 2_500_000):
        body = (MARKS["content"] * (size // 20 + 1)).encode()[:size]
        put = private.s3(
            "PUT", f"/bucket/{MARKS['key']}-{size}",
            [("x-amz-meta-mark", MARKS["metadata"]), ("Content-Type", MARKS["type"])], body)
        assert put.status == 200
        assert private.s3("GET", f"/bucket/{MARKS['key']}-{size}").body == body
    private.s3("PUT", "/bucket/unfinished?partNumber=1&uploadId=" + private.s3(
        "POST", "/bucket/unfinished?uploads").xml.findtext("UploadId"),
        body=MARKS["content"].encode() * 20_000)
    for stopped in (False, True):
        if stopped:
            assert private.stop() == 0
        seen = 0
        for path in private.data_dir.rglob("*"):
            if not path.is_file() or path.is_relative_to(private.data_dir / "keys"):
                continue
            raw = path.read_bytes()
            seen += len(raw)
            for secret in (MARKS["content"], SECRET_KEY, user.secret_key):
                assert secret.encode() not in raw, (path, secret)
            if path.is_relative_to(private.data_dir / "stores"):
                for mark in MARKS.values():
                    assert mark.encode() not in raw, (path, mark)
        assert seen > 8_000_000


def test_class_29_equal_objects_have_unequal_ciphertexts(private):
    private.s3("PUT", "/bucket")
    blocks = set()
    for index in range(4):
        before = private.files()
        private.s3("PUT", f"/bucket/{index}", body=b"\0" * (1 << 20))
        for name in private.files() - before:
            raw = (private.data_dir / name).read_bytes()
            # The first page names the chunk; the last may be padding.
            for at in range(4096, len(raw) - 8192, 4096):
                block = raw[at:at + 4096]
                assert block not in blocks
                blocks.add(block)
    assert len(blocks) > 100


def test_class_29_the_master_key_is_for_its_owner_alone(private):
    assert (private.data_dir / "keys/master.key").stat().st_mode & 0o077 == 0
    for path in (private.data_dir / "keys", private.data_dir / "metadata"):
        assert path.stat().st_mode & 0o022 == 0
