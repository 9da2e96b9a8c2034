"""Requests that are wrong: a defined answer, and nothing stored."""
import base64
import hashlib
import urllib.parse

import pytest

from support import data, http
from support.signing import STREAMING_UNSIGNED_TRAILER, UNSIGNED, encode, encode_path


def keys(server, bucket):
    answer = server.s3("GET", f"/{bucket}?list-type=2")
    assert answer.status == 200
    return [e.text for e in answer.xml.iter("Key")]


def refuses(answer, status, code):
    assert (answer.status, answer.code) == (status, code), answer


def test_what_is_not_offered_is_no_error_of_the_server(private):
    private.s3("PUT", "/bucket")
    answer = private.s3("GET", "/bucket?policy")
    refuses(answer, 501, "NotImplemented")
    identifier = answer.headers["x-amz-request-id"]
    lines = [line for line in private.log().splitlines() if identifier in line]
    assert not [line for line in lines if '"error"' in line], lines


def test_every_error_names_request_and_resource(server, bucket):
    answer = server.s3("GET", f"/{bucket}/absent")
    refuses(answer, 404, "NoSuchKey")
    assert answer.headers["content-type"] == "application/xml"
    assert answer.xml.findtext("RequestId") == answer.headers["x-amz-request-id"]
    assert answer.xml.findtext("Message") and answer.xml.findtext("Resource")
    assert str(server.data_dir).encode() not in answer.body


# Keys

@pytest.mark.parametrize("target, key", [
    ("/../secret", "../secret"), ("/a/../../b", "a/../../b"), ("/..", ".."), ("/.", "."),
    ("//", "/"), ("//a//b//", "/a//b//"), ("/%2F", "/"), ("/a%2Fb", "a/b"), ("/%2e%2e%2fb", "../b"),
    ("/..%5c..%5cb", "..\\..\\b"), ("/%252F", "%2F"), ("/a+b", "a+b"), ("/a%20b", "a b")])
def test_a_path_is_decoded_once_and_never_resolved(server, bucket, target, key):
    put = server.s3("PUT", f"/{bucket}{target}", body=key.encode())
    assert put.status == 200, put
    got = server.s3("GET", f"/{bucket}{target}")
    assert (got.status, got.body) == (200, key.encode())
    listed = server.s3("GET", f"/{bucket}?list-type=2")
    assert [e.text for e in listed.xml.iter("Key")] == [key]


@pytest.mark.parametrize("key", ["a\0b", "\0", "\x01\x1f", "\ufffe", "\x7f"])
def test_characters_that_xml_has_not_are_shown_encoded(server, bucket, key):
    """They are legal in keys; lists show them where they are asked to encode them."""
    put = server.s3("PUT", f"/{bucket}/{encode(key)}", body=b"x")
    assert put.status == 200, put
    assert server.s3("GET", f"/{bucket}/{encode(key)}").body == b"x"
    listed = server.s3("GET", f"/{bucket}?list-type=2&encoding-type=url")
    assert [urllib.parse.unquote(e.text) for e in listed.xml.iter("Key")] == [key]
    assert server.s3("GET", f"/{bucket}?list-type=2").status == 200


@pytest.mark.parametrize("target", ["/a%ff%fe", "/%c0%af", "/%ed%a0%80"])
def test_keys_that_are_no_text_are_refused(server, bucket, target):
    answer = server.s3("PUT", f"/{bucket}{target}", body=b"x")
    assert answer.status == 400 and answer.code in ("InvalidArgument", "InvalidURI"), answer
    assert keys(server, bucket) == []


@pytest.mark.parametrize("target", ["/%", "/%4", "/%zz", "/a%2"])
def test_broken_percent_codes_are_refused(server, bucket, target):
    answer = server.s3("PUT", f"/{bucket}{target}", body=b"x")
    assert answer.status == 400, answer
    assert keys(server, bucket) == []


def test_keys_have_at_most_1024_bytes(server, bucket):
    assert server.s3("PUT", f"/{bucket}/{'k' * 1024}", body=b"x").status == 200
    refuses(server.s3("PUT", f"/{bucket}/{'k' * 1025}", body=b"x"), 400, "KeyTooLongError")
    long = encode("é" * 512 + "x")
    refuses(server.s3("PUT", f"/{bucket}/{long}", body=b"x"), 400, "KeyTooLongError")
    refuses(server.s3("GET", f"/{bucket}/{'k' * 1025}"), 400, "KeyTooLongError")
    assert keys(server, bucket) == ["k" * 1024]


@pytest.mark.parametrize("name", [
    "ab", "a" * 64, "UPPER", "under_score", "-dash", "dash-", "two..dots", "192.168.1.1", "a b",
    "xn--punycode", "a/../b", "%2e%2e", "sthree-x", "name-s3alias"])
def test_names_that_are_no_bucket_names(server, name):
    answer = server.s3("PUT", "/" + encode(name))
    assert answer.status == 400 and answer.code in ("InvalidBucketName", "InvalidURI"), answer


# Numbers and parameters

@pytest.mark.parametrize("query", [
    "list-type=2&max-keys=-1", "list-type=2&max-keys=x",
    "list-type=2&max-keys=99999999999999999999999", "list-type=2&max-keys=1.5",
    "max-keys=-1", "uploads&max-uploads=-1", "uploads&max-uploads=x",
    "list-type=2&encoding-type=base64", "list-type=2&continuation-token=",
    "list-type=2&continuation-token=AAAA", "list-type=2&continuation-token=%00"])
def test_wrong_parameters_of_lists(server, bucket, query):
    refuses(server.s3("GET", f"/{bucket}?{query}"), 400, "InvalidArgument")


@pytest.mark.parametrize("number", [
    "0", "-1", "10001", "x", "", "1.0", "99999999999999999999", "0x1"])
def test_wrong_part_numbers(server, bucket, number):
    made = server.s3("POST", f"/{bucket}/k?uploads")
    upload = made.xml.findtext("UploadId")
    answer = server.s3("PUT", f"/{bucket}/k?partNumber={number}&uploadId={upload}", body=b"x")
    refuses(answer, 400, "InvalidArgument")
    parts = server.s3("GET", f"/{bucket}/k?uploadId={upload}")
    assert parts.status == 200 and parts.xml.find("Part") is None
    assert server.s3("GET", f"/{bucket}/k?uploadId={upload}&max-parts=-2").status == 400
    assert server.s3("GET", f"/{bucket}/k?uploadId={upload}&part-number-marker=z").status == 400


def test_sub_resources_never_fall_through_to_the_object(server, bucket):
    server.s3("PUT", f"/{bucket}/k", body=b"kept")
    for method, query in [
            ("PUT", "acl"), ("PUT", "tagging"), ("DELETE", "tagging"), ("PUT", "partNumber=1"),
            ("PUT", "uploadId=x"), ("DELETE", "acl"), ("POST", "restore"), ("PUT", "uploads"),
            ("PUT", "retention&legal-hold")]:
        answer = server.s3(method, f"/{bucket}/k?{query}", body=b"x" if method == "PUT" else b"")
        assert answer.status >= 400, (method, query, answer)
    assert server.s3("GET", f"/{bucket}/k").body == b"kept"
    for query in ("policy", "lifecycle", "cors"):
        assert server.s3("DELETE", f"/{bucket}?{query}").status >= 400
    assert server.s3("HEAD", f"/{bucket}").status == 200


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "CONNECT", "get", "PROPFIND", "X" * 40])
def test_methods_that_s3_has_not(server, bucket, method):
    answer = server.s3(method, f"/{bucket}/k")
    assert 400 <= answer.status < 502, answer


# XML

DELETE_ONE = b"<Delete><Object><Key>k</Key></Object></Delete>"


def delete_many(server, bucket, document, **headers):
    return server.s3(
        "POST", f"/{bucket}?delete",
        [("Content-MD5", base64.b64encode(hashlib.md5(document).digest()).decode())],
        document)


@pytest.mark.parametrize("document", [
    b"", b"x", b"<", b"<Delete>", b"<Delete></Other>", b"<Other/>", b"<Delete/>",
    b"<Delete><Object></Object></Delete>", b"<Delete><Object><Key/></Object></Delete>",
    b"<Delete><Object><Key>k</Key></Object>", b"\xff\xfe<", b"<Delete>\x00</Delete>",
    b"<?xml version='1.0' encoding='nonsense'?><Delete/>",
    b"<Delete><Object><Key>&#0;</Key></Object></Delete>",
    b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
    b"<Delete" + b" a='b'" * 5 + b">"], ids=lambda d: repr(d[:20]))
def test_documents_that_are_no_delete(server, bucket, document):
    server.s3("PUT", f"/{bucket}/k", body=b"kept")
    answer = delete_many(server, bucket, document)
    if document == b"<Delete><Object><Key/></Object></Delete>":
        assert answer.status == 200 and answer.xml.findtext("Error/Code") == "UserKeyMustBeSpecified"
    else:
        assert answer.status == 400, answer
        assert answer.code in ("MalformedXML", "MissingRequestBodyError")
    assert server.s3("GET", f"/{bucket}/k").body == b"kept"


def test_a_delete_document_may_have_namespace_comments_and_entities(server, bucket):
    server.s3("PUT", f"/{bucket}/a%26b", body=b"x")
    answer = delete_many(server, bucket, (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- c --><Delete '
        b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a&amp;b</Key></Object>'
        b"<Quiet>true</Quiet></Delete>"))
    assert answer.status == 200 and keys(server, bucket) == []


@pytest.mark.parametrize("document", [
    b"", b"<CompleteMultipartUpload>", b"<CompleteMultipartUpload/>",
    b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>e</ETag></Part>"
    b"</CompleteMultipartUpload>",
    b"<CompleteMultipartUpload><Part><PartNumber>99999999999999999999</PartNumber><ETag>e</ETag>"
    b"</Part></CompleteMultipartUpload>",
    b"<CompleteMultipartUpload>" + b"<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>" * 10001
    + b"</CompleteMultipartUpload>"], ids=lambda d: repr(d[:20]) + str(len(d)))
def test_documents_that_complete_nothing(server, bucket, document):
    upload = server.s3("POST", f"/{bucket}/k?uploads").xml.findtext("UploadId")
    server.s3("PUT", f"/{bucket}/k?partNumber=1&uploadId={upload}", body=b"x")
    answer = server.s3("POST", f"/{bucket}/k?uploadId={upload}", body=document)
    assert answer.status == 400, answer
    assert server.s3("GET", f"/{bucket}/k?uploadId={upload}").status == 200
    assert keys(server, bucket) == []


def test_a_bucket_configuration_must_name_this_region(server):
    document = b"<CreateBucketConfiguration><LocationConstraint>%s</LocationConstraint>" \
        b"</CreateBucketConfiguration>"
    refused = server.s3("PUT", "/region-bucket", body=document % b"mars-north-1")
    assert refused.status == 400 and "LocationConstraint" in refused.code, refused
    assert server.s3("HEAD", "/region-bucket").status == 404
    assert server.s3("PUT", "/region-bucket", body=b"").status == 200


# Digests and checksums

def md5(data_):
    return base64.b64encode(hashlib.md5(data_).digest()).decode()


@pytest.mark.parametrize("size", [10, 100_000, 2_000_000])
@pytest.mark.parametrize("headers, code", [
    ([("Content-MD5", md5(b"other"))], "BadDigest"),
    ([("Content-MD5", "!!!")], "InvalidDigest"), ([("Content-MD5", "AAAA")], "InvalidDigest"),
    ([("x-amz-checksum-crc32", "AAAAAA==")], "BadDigest"),
    ([("x-amz-checksum-crc32", "AAAA")], "InvalidRequest"),
    ([("x-amz-checksum-sha256", md5(b""))], "InvalidRequest"),
    ([("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA==")],
     "InvalidRequest")], ids=lambda v: v if isinstance(v, str) else None)
def test_wrong_digests_store_nothing(server, bucket, size, headers, code):
    body = data.content("digest", size)
    before = server.files()
    answer = server.s3("PUT", f"/{bucket}/k", headers, body)
    assert answer.status == 400 and answer.code in (code, "BadDigest", "InvalidRequest"), answer
    assert keys(server, bucket) == []
    assert_no_new_files(server, before)
    right = server.s3("PUT", f"/{bucket}/k", [("Content-MD5", md5(body))], body)
    assert right.status == 200


def assert_no_new_files(server, before):
    """Other tests of this process do not run meanwhile, so what is new is what was left."""
    left = server.files() - before
    assert not left, left


def test_a_wrong_payload_hash_stores_nothing(server, bucket):
    body = data.content("hash", 300_000)
    answer = server.s3("PUT", f"/{bucket}/k", (), body, payload_hash=hashlib.sha256(b"").hexdigest())
    refuses(answer, 400, "XAmzContentSHA256Mismatch")
    assert keys(server, bucket) == []
    assert server.s3("PUT", f"/{bucket}/k", (), body, payload_hash=UNSIGNED).status == 200


# Sizes and heads

def test_an_object_over_five_gibibytes_is_refused_before_its_body(server, bucket):
    length = str((5 << 30) + 1)
    signed, _ = server.signer.sign("PUT", f"/{bucket}/k", [("Host", server.host)])
    answer = http.request(
        server.ports["s3"], "PUT", f"/{bucket}/k", signed + [("Content-Length", length)])
    refuses(answer, 400, "EntityTooLarge")


def test_a_put_without_a_length_is_refused(server, bucket):
    signed, _ = server.signer.sign("PUT", f"/{bucket}/k", [("Host", server.host)])
    with http.connect(server.ports["s3"]) as connection:
        connection.sendall(http.head_bytes("PUT", f"/{bucket}/k", signed))
        answer = http.read_response(connection)
    assert answer.status in (400, 411), answer


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "99999999999999999999999999", "+5", "5, 6"])
def test_lengths_that_are_no_number_end_the_connection(server, bucket, length):
    signed, _ = server.signer.sign("PUT", f"/{bucket}/k", [("Host", server.host)])
    answer = http.request(
        server.ports["s3"], "PUT", f"/{bucket}/k", signed + [("Content-Length", length)], b"hello")
    assert answer.status == 400, answer
    assert keys(server, bucket) == []


def test_user_metadata_over_two_kibibytes_is_refused(server, bucket):
    answer = server.s3("PUT", f"/{bucket}/k", [("x-amz-meta-a", "v" * 2100)], b"x")
    refuses(answer, 400, "MetadataTooLarge")
    assert server.s3("PUT", f"/{bucket}/k", [("x-amz-meta-a", "v" * 1900)], b"x").status == 200


def test_oversize_heads_are_refused(server):
    for headers in ([("x-long", "v" * (1 << 20))], [(f"x-{i}", "v") for i in range(5000)]):
        answer = http.request(server.ports["s3"], "GET", "/", headers)
        assert answer.status in (400, 413, 431), answer
    answer = http.request(server.ports["s3"], "GET", "/" + "a" * 100_000)
    assert answer.status in (400, 414, 431), answer


@pytest.mark.parametrize("port", ["s3", "http", "admin", "metrics"])
def test_any_bytes_on_any_port_are_answered_or_dropped(server, port):
    import random
    source = random.Random(f"garbage {port}")
    shapes = [
        b"\r\n\r\n", b"\0" * 64, b"GET / HTTP/9.9\r\n\r\n", b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /%zz?%zz=%00 HTTP/1.1\r\nHost: a\r\n\r\n"]
    shapes += [source.randbytes(source.randrange(1, 2000)) for _ in range(20)]
    for shape in shapes:
        with http.connect(server.ports[port]) as connection:
            connection.settimeout(20)
            try:
                connection.sendall(shape)
                connection.shutdown(1)
                while connection.recv(65536):
                    pass
            except (ConnectionResetError, BrokenPipeError):
                pass
    assert server.process.poll() is None and server.healthy()


def test_an_answer_before_the_body_reaches_a_client_that_waits_for_continue(server, bucket):
    def head(target, signer):
        signed, _ = signer.sign("PUT", target, [("Host", server.host), ("Expect", "100-continue")])
        return http.head_bytes("PUT", target, signed + [("Content-Length", "1000000")])

    wrong = type(server.signer)(server.signer.access_key, "not the secret at all")
    with http.connect(server.ports["s3"]) as connection:
        connection.sendall(head(f"/{bucket}/k", wrong))
        refuses(http.read_response(connection), 403, "SignatureDoesNotMatch")
    with http.connect(server.ports["s3"]) as connection:
        connection.sendall(head(f"/{bucket}/k", server.signer))
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"x" * 1_000_000)
        assert http.read_response(connection).status == 200


def test_copy_sources_that_name_nothing(server, bucket):
    server.s3("PUT", f"/{bucket}/k", body=b"kept")
    for source in ["", "/", "x", f"{bucket}", f"/{bucket}/", "/../../etc/passwd", f"{bucket}/%zz",
                   f"{bucket}/%00", f"{bucket}/absent", "UPPER/k", f"/{bucket}/k?versionId=",
                   f"/{bucket}/k?versionId=nonsense", f"/{bucket}/" + "x" * 1025]:
        answer = server.s3("PUT", f"/{bucket}/to", [("x-amz-copy-source", source)])
        assert 400 <= answer.status < 500, (source, answer)
    assert keys(server, bucket) == ["k"]
    right = server.s3("PUT", f"/{bucket}/to", [("x-amz-copy-source", encode_path(f"/{bucket}/k"))])
    assert right.status == 200


def test_a_chunked_body_whose_framing_lies_stores_nothing(server, bucket):
    for frames in [
            b"5\r\nhello\r\n", b"5\r\nhelloXX0\r\n\r\n", b"6\r\nhello\r\n0\r\n\r\n", b"zz\r\n",
            b"7fffffffffffffff\r\nx", b"ffffffffffffffffff\r\nx", b"-1\r\n", b"5;" + b"e" * 9000,
            b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
            b"5\r\nhello\r\n0\r\nx-other:1\r\n\r\n", b"0\r\n\r\n", b"\r\n"]:
        answer = server.s3(
            "PUT", f"/{bucket}/k",
            [("Content-Encoding", "aws-chunked"), ("x-amz-decoded-content-length", "5"),
             ("x-amz-trailer", "x-amz-checksum-crc32")],
            frames, payload_hash=STREAMING_UNSIGNED_TRAILER)
        assert 400 <= answer.status < 500, (frames[:40], answer)
        assert keys(server, bucket) == []
