"""URLs that boto3 signs: with version 2 where nothing tells it not to, and with version 4."""
import base64
import datetime
import hashlib
import time
import types

import botocore.auth
import botocore.crt.auth
import pytest

from conftest import boto_client
from support import data, urls

PART = 5 << 20


@pytest.fixture(params=[2, 4])
def version(request):
    return request.param


def signing(server, version, **options):
    """A client that signs with this version; two is the default."""
    if version == 4:
        options["signature_version"] = "s3v4"
    return boto_client(server, **options)


@pytest.fixture
def presign(server, bucket, version):
    client = signing(server, version)

    def make(operation, key="pre signed+é", expires=600, **parameters):
        return client.generate_presigned_url(
            operation, {"Bucket": bucket, **({"Key": key} if key else {}), **parameters},
            ExpiresIn=expires)

    return make


def ok(answer):
    assert answer.status in (200, 204), answer
    return answer


def test_every_verb_of_objects(presign, version):
    ok(urls.request(presign("put_object"), "PUT", b"by url"))
    urls.assert_shares(presign("get_object"), b"by url", version)
    assert ok(urls.request(presign("head_object"), "HEAD")).headers["content-length"] == "6"
    ok(urls.request(presign("delete_object"), "DELETE"))
    assert urls.refused(presign("get_object")) == (404, "NoSuchKey")


@pytest.mark.parametrize("key", data.ODD_KEYS, ids=lambda k: ascii(k)[:24])
def test_odd_keys(presign, key):
    ok(urls.request(presign("put_object", key), "PUT", key.encode()))
    assert ok(urls.request(presign("get_object", key))).body == key.encode()


def test_buckets_and_their_lists(presign, bucket, s3):
    s3.put_object(Bucket=bucket, Key="dir/k", Body=b"x")
    for operation in ("list_objects", "list_objects_v2"):
        listed = ok(urls.request(presign(operation, key=None, Prefix="dir/"))).xml
        assert [k.text for k in listed.iter("Key")] == ["dir/k"]
    ok(urls.request(presign("head_bucket", key=None), "HEAD"))
    assert ok(urls.request(presign("get_bucket_location", key=None))).xml is not None


def test_the_buckets_of_a_user(server, bucket, version):
    url = signing(server, version).generate_presigned_url("list_buckets")
    assert bucket in [n.text for n in ok(urls.request(url)).xml.iter("Name")]


def test_headers_in_the_url_are_read(presign, bucket, s3, version):
    url = presign("put_object", "k", ContentType="text/x-odd", Metadata={"one": "1 + 1"})
    headers = [("Content-Type", "text/x-odd")]
    # Version 4 wants to see them as headers, version 2 has them in the URL.
    if version == 4:
        headers.append(("x-amz-meta-one", "1 + 1"))
    ok(urls.request(url, "PUT", b"x", headers))
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentType"], head["Metadata"]) == ("text/x-odd", {"one": "1 + 1"})
    for wrong in ([("Content-Type", "text/html")], headers + [("x-amz-meta-two", "2")]):
        assert urls.refused(url, "PUT", b"x", wrong)[0] in (400, 403)
    if version == 2:
        assert urls.refused(url + "&x-amz-meta-two=2", "PUT", b"x") == (
            403, "SignatureDoesNotMatch")
        s3.delete_object(Bucket=bucket, Key="k")
        ok(urls.request(url, "PUT", b"x"))
        assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "text/x-odd"


def test_a_copy_is_of_the_source_that_was_signed(presign, bucket, s3, version):
    s3.put_object(Bucket=bucket, Key="from here", Body=b"copied")
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    source = {"Bucket": bucket, "Key": "from here"}
    url = presign("copy_object", "to", CopySource=source)
    headers = [] if version == 2 else [("x-amz-copy-source", f"{bucket}/from%20here")]
    ok(urls.request(url, "PUT", b"", headers))
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"copied"
    put = presign("put_object", "to")
    stolen = f"{bucket}/secret"
    for address, added in (
            (put, [("x-amz-copy-source", stolen)]), (put + f"&x-amz-copy-source={stolen}", []),
            (put + f"&X-Amz-Copy-Source={stolen}", []),
            (url, [("x-amz-copy-source", stolen)]), (url + f"&x-amz-copy-source={stolen}", []),
            (url.replace("from%2520here", "secret"), [])):
        if (address, added) != (url, []):
            assert urls.refused(address, "PUT", b"", added)[0] in (400, 403), (address, added)
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"copied"


@pytest.mark.parametrize("target", ["object", "bucket"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_no_other_operation_is_made_of_a_url(presign, bucket, s3, method, target):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    operations = {
        ("GET", "object"): "get_object", ("PUT", "object"): "put_object",
        ("DELETE", "object"): "delete_object", ("GET", "bucket"): "list_objects",
        ("PUT", "bucket"): "create_bucket", ("DELETE", "bucket"): "delete_bucket"}
    url = presign(operations[method, target], "k" if target == "object" else None)
    names = [
        "abac", "accelerate", "acl", "analytics", "annotation", "attributes", "cors", "delete",
        "encryption", "intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location",
        "logging", "metadataConfiguration", "metadataTable", "metrics", "notification",
        "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock",
        "renameObject", "replication", "requestPayment", "restore", "retention", "session",
        "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions",
        "website", "%61ttributes", "ret%65ntion"]
    taken = [n for n in names if urls.request(f"{url}&{n}=1", method).status != 403]
    # What names no operation says nothing, as S3 passes over it.
    assert set(taken) <= {"abac", "annotation", "metadataConfiguration", "metadataTable",
                          "renameObject", "session"}, taken


def test_response_overrides(presign, bucket, s3):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    url = presign(
        "get_object", "k", ResponseContentType="text/x-odd",
        ResponseContentDisposition='attachment; filename="a + b.txt"',
        ResponseExpires=datetime.datetime(2030, 1, 1))
    headers = ok(urls.request(url)).headers
    assert headers["content-type"] == "text/x-odd"
    assert headers["content-disposition"] == 'attachment; filename="a + b.txt"'
    for changed in (url.replace("x-odd", "html"), url + "&response-content-encoding=gzip",
                    presign("get_object", "k") + "&response-content-type=text%2Fhtml"):
        assert changed != url
        assert urls.refused(changed) == (403, "SignatureDoesNotMatch")


def test_an_upload_in_parts(presign, bucket, s3):
    upload = ok(urls.request(presign("create_multipart_upload"), "POST")).xml.findtext("UploadId")
    parts = [data.content("presigned part", PART), b"end"]
    document = ""
    for number, part in enumerate(parts, 1):
        url = presign("upload_part", UploadId=upload, PartNumber=number)
        tag = ok(urls.request(url, "PUT", part)).headers["etag"]
        document += f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
        assert urls.refused(url.replace(f"Number={number}", "Number=9"), "PUT", b"x") == (
            403, "SignatureDoesNotMatch")
    shown = ok(urls.request(presign("list_parts", UploadId=upload))).xml
    assert len(list(shown.iter("Part"))) == 2
    complete = presign("complete_multipart_upload", UploadId=upload)
    body = f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>".encode()
    assert b"<ETag>" in ok(urls.request(complete, "POST", body)).body
    key = "pre signed+é"
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"".join(parts)


def test_digests_that_come_with_the_body_are_compared(presign, bucket, s3):
    right = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    url = presign("put_object", "k", ContentMD5=right)
    headers = [("Content-MD5", right)]
    assert urls.refused(url, "PUT", b"other", headers) == (400, "BadDigest")
    ok(urls.request(url, "PUT", b"body", headers))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


@pytest.mark.parametrize("moment", ["expired", "far away"])
def test_lives_of_urls(presign, bucket, s3, version, monkeypatch, moment):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    week = 7 * 86400
    assert ok(urls.request(presign("get_object", "k", week))).body == b"x"
    if moment == "far away":
        assert urls.refused(presign("get_object", "k", week + 3600)) == (
            400, "AuthorizationQueryParametersError")
        return
    # Both are signed a while ago; one of them ended since.
    ago = time.time() - 600
    monkeypatch.setattr(botocore.auth, "time", types.SimpleNamespace(time=lambda: ago))
    then = datetime.datetime.fromtimestamp(ago, datetime.timezone.utc)

    def now(remove_tzinfo=True):
        return then.replace(tzinfo=None) if remove_tzinfo else then

    for module in (botocore.auth, botocore.crt.auth):
        monkeypatch.setattr(module, "get_current_datetime", now)
    assert ok(urls.request(presign("get_object", "k", 3600))).body == b"x"
    answer = urls.request(presign("get_object", "k", 60))
    assert (answer.status, answer.code) == (403, "AccessDenied"), answer
    assert answer.xml.findtext("Message") == "Request has expired"
    assert b"<ServerTime>" in answer.body and b"<Expires>" in answer.body


def test_virtual_host_style(server, bucket, version):
    port = server.ports["s3"]
    client = signing(
        server, version, endpoint=f"http://localhost:{port}", s3={"addressing_style": "virtual"})
    address = {"Bucket": bucket, "Key": "a/b c"}
    ok(urls.request(client.generate_presigned_url("put_object", address), "PUT", b"by host"))
    url = client.generate_presigned_url("get_object", address)
    assert f"//{bucket}.localhost:{port}/" in url
    urls.assert_shares(url, b"by host", version)
    listed = urls.request(client.generate_presigned_url("list_objects_v2", {"Bucket": bucket}))
    assert [k.text for k in ok(listed).xml.iter("Key")] == ["a/b%20c"]
    # The same signature names nothing in another bucket.
    assert urls.refused(url.replace(f"//{bucket}.", "//another.")) == (
        403, "SignatureDoesNotMatch")


def test_a_url_gives_what_its_signer_may_use(server, bucket, version):
    server.s3("PUT", f"/{bucket}/k", body=b"x")
    user = server.add_user(f"presigner-{bucket}-{version}")
    own = signing(server, version, access_key=user.access_key, secret_key=user.secret_key)
    url = own.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    assert urls.refused(url) == (403, "AccessDenied")
    nobody = signing(server, version, access_key="AKIANOBODY", secret_key="x" * 20)
    url = nobody.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    assert urls.refused(url) == (403, "InvalidAccessKeyId")
    impostor = signing(server, version, secret_key="x" * 40)
    url = impostor.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    assert urls.refused(url) == (403, "SignatureDoesNotMatch")


def test_a_url_ends_with_its_key(server, version):
    user = server.add_user(f"leaver-{version}")
    own = signing(server, version, access_key=user.access_key, secret_key=user.secret_key)
    name = f"leavers-bucket-{version}"
    own.create_bucket(Bucket=name)
    own.put_object(Bucket=name, Key="k", Body=b"x")
    url = own.generate_presigned_url("get_object", {"Bucket": name, "Key": "k"})
    assert ok(urls.request(url)).body == b"x"
    server.admin("keys", "revoke", user.access_key)
    deadline = time.monotonic() + 60
    while urls.request(url).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert urls.refused(url) == (403, "InvalidAccessKeyId")


def test_a_token_of_temporary_credentials_is_refused(server, bucket, s3, version):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    client = signing(server, version)
    client._request_signer._credentials.token = "temporary/token+"
    url = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    assert "oken=" in url
    assert urls.refused(url) == (400, "InvalidToken")
