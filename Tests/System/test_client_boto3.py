"""boto3 with its defaults: every operation of objects and buckets."""
import base64
import datetime
import hashlib
import io
import re
import socket
import zlib

import botocore.session
import pytest

from conftest import boto_client
from support import data, tools
from support.server import ROOT


def code(error):
    return error.value.response["Error"]["Code"]


def status(error):
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_buckets_are_made_found_located_listed_and_removed(s3):
    s3.create_bucket(Bucket="boto-buckets")
    assert s3.head_bucket(Bucket="boto-buckets")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket="boto-buckets")["LocationConstraint"] is None
    listed = {b["Name"]: b for b in s3.list_buckets()["Buckets"]}
    age = datetime.datetime.now(datetime.timezone.utc) - listed["boto-buckets"]["CreationDate"]
    assert abs(age.total_seconds()) < 60
    s3.delete_bucket(Bucket="boto-buckets")
    with pytest.raises(s3.exceptions.ClientError) as gone:
        s3.head_bucket(Bucket="boto-buckets")
    assert status(gone) == 404
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="boto-buckets")


@pytest.mark.parametrize("size", data.BORDER_SIZES)
def test_an_object_of_each_border_size_reads_back(s3, bucket, size):
    body = data.content(size, size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got["ContentLength"] == size
    assert got["ChecksumCRC32"] == base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("key", data.ODD_KEYS, ids=lambda k: ascii(k)[:24])
def test_an_odd_key_is_a_key_like_any_other(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [o["Key"] for o in s3.list_objects(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert [d["Key"] for d in deleted["Deleted"]] == [key]
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key=key)


def test_metadata_and_content_headers_come_back(s3, bucket):
    expires = datetime.datetime(2031, 5, 6, 7, 8, 9, tzinfo=datetime.timezone.utc)
    s3.put_object(
        Bucket=bucket, Key="k", Body=b"x", ContentType="text/x-odd; a=b", CacheControl="no-store",
        ContentDisposition='attachment; filename="a b"', ContentEncoding="gzip",
        ContentLanguage="de", Expires=expires, Metadata={"one": "1", "two-words": "a  b"})
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ContentType"] == "text/x-odd; a=b"
    assert head["CacheControl"] == "no-store"
    assert head["ContentDisposition"] == 'attachment; filename="a b"'
    assert head["ContentEncoding"] == "gzip"
    assert head["ContentLanguage"] == "de"
    assert head["ResponseMetadata"]["HTTPHeaders"]["expires"].startswith("Tue, 06 May 2031 07:08:09")
    assert head["Metadata"]["one"] == "1"
    assert head["Metadata"]["two-words"].split() == ["a", "b"]
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="plain")["ContentType"] == "binary/octet-stream"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_each_checksum_is_verified_and_kept(s3, bucket, algorithm):
    body = data.content(algorithm, 200_000)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got["Checksum" + algorithm] == put["Checksum" + algorithm]
    wrong = base64.b64encode(b"\0" * len(base64.b64decode(put["Checksum" + algorithm]))).decode()
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k", Body=b"other", **{"Checksum" + algorithm: wrong})
    assert status(refused) == 400
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == len(body)


def test_the_server_adds_crc64nvme_where_a_client_sends_no_checksum(server, bucket):
    client = boto_client(server, request_checksum_calculation="when_required")
    client.put_object(Bucket=bucket, Key="k", Body=b"123456789")
    head = client.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    # The check value of CRC-64/NVME.
    assert base64.b64decode(head["ChecksumCRC64NVME"]).hex() == "ae8b14860a799888"
    assert head["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize("size", [10_000, 100_000, 3_000_000])
def test_ranges(s3, bucket, size):
    body = data.content("range", size)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    for asked, begin, end in [
            ("bytes=0-0", 0, 1), ("bytes=1-9", 1, 10), (f"bytes={size - 1}-", size - 1, size),
            ("bytes=-1", size - 1, size), (f"bytes=-{size + 5}", 0, size), ("bytes=0-", 0, size),
            (f"bytes=5-{size + 100}", 5, size), (f"bytes={size // 2}-{size // 2 + 4999}",
                                                size // 2, size // 2 + 5000)]:
        got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
        assert got["ContentRange"] == f"bytes {begin}-{end - 1}/{size}"
        assert got["Body"].read() == body[begin:end], asked
        assert status_of(got) == 206
    for asked in (f"bytes={size}-", "bytes=-0"):
        with pytest.raises(s3.exceptions.ClientError) as refused:
            s3.get_object(Bucket=bucket, Key="k", Range=asked)
        assert code(refused) == "InvalidRange" and status(refused) == 416
    # What is no byte range is ignored, as HTTP says.
    for asked in ("lines=0-1", "bytes=5-4", "bytes=x"):
        assert s3.get_object(Bucket=bucket, Key="k", Range=asked)["Body"].read() == body


def status_of(answer):
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def test_conditions_of_reads(s3, bucket):
    tag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    written = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    before, after = written - datetime.timedelta(days=1), written + datetime.timedelta(seconds=1)
    passing = [
        {"IfMatch": tag}, {"IfMatch": "*"}, {"IfNoneMatch": '"other"'},
        {"IfModifiedSince": before}, {"IfUnmodifiedSince": after},
        {"IfMatch": tag, "IfUnmodifiedSince": before}, {"IfNoneMatch": '"other"',
                                                        "IfModifiedSince": after}]
    for condition in passing:
        assert s3.get_object(Bucket=bucket, Key="k", **condition)["Body"].read() == b"x"
        s3.head_object(Bucket=bucket, Key="k", **condition)
    failing = [
        ({"IfMatch": '"other"'}, 412), ({"IfUnmodifiedSince": before}, 412),
        ({"IfNoneMatch": tag}, 304), ({"IfNoneMatch": "*"}, 304), ({"IfModifiedSince": written}, 304),
        ({"IfNoneMatch": tag, "IfModifiedSince": before}, 304)]
    for condition, expected in failing:
        for operation in (s3.get_object, s3.head_object):
            with pytest.raises(s3.exceptions.ClientError) as refused:
                operation(Bucket=bucket, Key="k", **condition)
            assert status(refused) == expected, condition


def test_conditions_of_writes(s3, bucket):
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert status(refused) == 412 and code(refused) == "PreconditionFailed"
    s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch=first)
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=first)
    assert status(refused) == 412
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="absent", Body=b"3", IfMatch=first)
    assert status(refused) == 404


def test_response_overrides(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket, Key="k", ResponseContentType="text/html", ResponseContentLanguage="fr",
        ResponseCacheControl="no-cache", ResponseContentDisposition="attachment",
        ResponseContentEncoding="x-none", ResponseExpires=datetime.datetime(2030, 1, 1))
    assert got["ContentType"] == "text/html" and got["ContentLanguage"] == "fr"
    assert got["CacheControl"] == "no-cache" and got["ContentDisposition"] == "attachment"
    assert got["ContentEncoding"] == "x-none"
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "text/plain"


def test_copies_keep_or_replace_metadata(s3, bucket):
    body = data.content("copy", 300_000)
    tag = s3.put_object(
        Bucket=bucket, Key="from", Body=body, ContentType="a/b", Metadata={"m": "1"})["ETag"]
    source = {"Bucket": bucket, "Key": "from"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    s3.copy_object(
        Bucket=bucket, Key="replaced", CopySource=source, MetadataDirective="REPLACE",
        ContentType="c/d", Metadata={"n": "2"})
    kept, replaced = (s3.get_object(Bucket=bucket, Key=k) for k in ("kept", "replaced"))
    assert (kept["ContentType"], kept["Metadata"]) == ("a/b", {"m": "1"})
    assert (replaced["ContentType"], replaced["Metadata"]) == ("c/d", {"n": "2"})
    assert kept["Body"].read() == replaced["Body"].read() == body
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.copy_object(Bucket=bucket, Key="from", CopySource=source)
    assert code(refused) == "InvalidRequest"
    s3.copy_object(
        Bucket=bucket, Key="from", CopySource=source, MetadataDirective="REPLACE",
        Metadata={"self": "yes"})
    own = s3.get_object(Bucket=bucket, Key="from")
    assert own["Metadata"] == {"self": "yes"} and own["Body"].read() == body
    for condition in ({"CopySourceIfMatch": '"other"'}, {"CopySourceIfNoneMatch": tag}):
        with pytest.raises(s3.exceptions.ClientError) as refused:
            s3.copy_object(Bucket=bucket, Key="no", CopySource=source, **condition)
        assert status(refused) == 412
    s3.copy_object(Bucket=bucket, Key="yes", CopySource=source, CopySourceIfMatch=tag)
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.copy_object(Bucket=bucket, Key="no", CopySource={"Bucket": bucket, "Key": "absent"})
    assert code(refused) == "NoSuchKey"


def test_deleting_is_idempotent_and_many_at_once(s3, bucket):
    for index in range(12):
        s3.put_object(Bucket=bucket, Key=f"k{index}", Body=b"x")
    assert status_of(s3.delete_object(Bucket=bucket, Key="k0")) == 204
    assert status_of(s3.delete_object(Bucket=bucket, Key="k0")) == 204
    names = [{"Key": f"k{index}"} for index in range(11)]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": names})
    assert len(answer["Deleted"]) == 11 and "Errors" not in answer
    quiet = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "k11"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "x"}] * 1001})
    assert code(refused) == "MalformedXML"


# Lists

KEYS = sorted(
    ["a/1", "a/2", "a/b/3", "a/b/4", "b", "b/", "b/1", "c d/+", "ü/1", "z"], key=str.encode)


@pytest.fixture
def listed(s3, bucket):
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def expected(prefix="", delimiter="", after=""):
    """What S3 answers: keys and common prefixes after a key, in the order of their bytes."""
    rows = []
    for key in KEYS:
        if not key.startswith(prefix) or key.encode() <= after.encode():
            continue
        rest = key[len(prefix):]
        if delimiter and delimiter in rest:
            common = prefix + rest.split(delimiter)[0] + delimiter
            if common not in rows and not common <= after:
                rows.append(common)
        else:
            rows.append(key)
    return rows


@pytest.mark.parametrize("prefix", ["", "a/", "a/b", "b", "ü", "none"])
@pytest.mark.parametrize("delimiter", ["", "/", "/b/", "1"])
@pytest.mark.parametrize("page", [1, 3, 1000])
def test_pages_of_both_list_versions_join_to_the_whole(s3, listed, prefix, delimiter, page):
    options = {"Bucket": listed, "Prefix": prefix, "Delimiter": delimiter}
    for version, size in (("list_objects_v2", "PageSize"), ("list_objects", "PageSize")):
        rows = []
        pages = s3.get_paginator(version).paginate(**options, PaginationConfig={size: page})
        for answer in pages:
            found = [o["Key"] for o in answer.get("Contents", [])]
            found += [p["Prefix"] for p in answer.get("CommonPrefixes", [])]
            assert len(found) <= page
            rows += found
        assert sorted(rows) == sorted(expected(prefix, delimiter)), version
        assert len(rows) == len(set(rows))


def test_start_after_owner_and_attributes_of_a_list(s3, listed):
    answer = s3.list_objects_v2(Bucket=listed, StartAfter="a/b/3", FetchOwner=True)
    assert [o["Key"] for o in answer["Contents"]] == expected(after="a/b/3")
    assert answer["KeyCount"] == len(answer["Contents"]) and not answer["IsTruncated"]
    for row in answer["Contents"]:
        assert row["Size"] == len(row["Key"].encode())
        assert row["ETag"] == f'"{hashlib.md5(row["Key"].encode()).hexdigest()}"'
        assert row["StorageClass"] == "STANDARD" and row["Owner"]["ID"]
    assert "Owner" not in s3.list_objects_v2(Bucket=listed)["Contents"][0]
    marked = s3.list_objects(Bucket=listed, Marker="b/")
    assert [o["Key"] for o in marked["Contents"]] == expected(after="b/")
    empty = s3.list_objects_v2(Bucket=listed, MaxKeys=0)
    assert empty["KeyCount"] == 0 and not empty["IsTruncated"]


def test_list_tokens_of_strangers_are_refused(s3, listed):
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.list_objects_v2(Bucket=listed, ContinuationToken="not a token")
    assert code(refused) == "InvalidArgument"


# Multipart

PART = 5 << 20


def upload_parts(s3, bucket, key, pieces, **options):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **options)["UploadId"]
    parts = []
    for number, piece in pieces.items():
        tag = s3.upload_part(
            Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    return upload, parts


def test_multipart_upload_with_gaps_replacement_and_part_reads(s3, bucket):
    pieces = {2: data.content("p2", PART), 7: data.content("p7", PART + 1), 9: b"end"}
    upload, parts = upload_parts(
        s3, bucket, "k", {7: b"replaced later", **pieces}, Metadata={"m": "1"}, ContentType="a/b")
    parts = sorted(parts, key=lambda p: p["PartNumber"])
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    shown = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)
    assert [(p["PartNumber"], p["Size"]) for p in shown["Parts"]] == [
        (n, len(b)) for n, b in pieces.items()]
    first = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload, MaxParts=2)
    assert first["IsTruncated"] and first["NextPartNumberMarker"] == 7
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    digests = b"".join(hashlib.md5(b).digest() for b in pieces.values())
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"".join(pieces.values())
    assert (got["ContentType"], got["Metadata"]) == ("a/b", {"m": "1"})
    for number, piece in pieces.items():
        part = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
        assert part["Body"].read() == piece and part["PartsCount"] == 3
        head = s3.head_object(Bucket=bucket, Key="k", PartNumber=number)
        assert head["ContentLength"] == len(piece)
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.get_object(Bucket=bucket, Key="k", PartNumber=4)
    assert status(refused) == 416
    across = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={PART - 10}-{2 * PART + 3}")
    assert across["Body"].read() == b"".join(pieces.values())[PART - 10:2 * PART + 4]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    # A repeated Complete is answered as the first one was.
    again = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"]


def test_wrong_completes_are_refused_and_change_nothing(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {1: data.content(1, PART), 2: b"x"})
    one, two = parts
    cases = [
        ([two, one], "InvalidPartOrder"), ([one, {**two, "ETag": '"' + "0" * 32 + '"'}], "InvalidPart"),
        ([one, {**two, "PartNumber": 3}], "InvalidPart"), ([], "MalformedXML")]
    for wrong, expected_code in cases:
        with pytest.raises(s3.exceptions.ClientError) as refused:
            s3.complete_multipart_upload(
                Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": wrong})
        assert code(refused) == expected_code
    small, parts = upload_parts(s3, bucket, "s", {1: b"too small", 2: b"x"})
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.complete_multipart_upload(
            Bucket=bucket, Key="s", UploadId=small, MultipartUpload={"Parts": parts})
    assert code(refused) == "EntityTooSmall"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    for number in (0, 10001, -1):
        with pytest.raises(s3.exceptions.ClientError) as refused:
            s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=b"x")
        assert code(refused) == "InvalidArgument"
    for name in ("absent", "../../x", upload + "x"):
        with pytest.raises(s3.exceptions.NoSuchUpload):
            s3.upload_part(Bucket=bucket, Key="k", UploadId=name, PartNumber=1, Body=b"x")


def test_an_aborted_upload_is_gone(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {1: b"x"})
    assert status_of(s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)) == 204
    with pytest.raises(s3.exceptions.NoSuchUpload):
        s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)
    with pytest.raises(s3.exceptions.NoSuchUpload):
        s3.complete_multipart_upload(
            Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})


def test_conditions_of_complete(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {1: b"from parts"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"there first")
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.complete_multipart_upload(
            Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts},
            IfNoneMatch="*")
    assert status(refused) == 412
    s3.delete_object(Bucket=bucket, Key="k")
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"from parts"


def test_parts_copied_from_objects(s3, bucket):
    body = data.content("source", 2 * PART)
    s3.put_object(Bucket=bucket, Key="from", Body=body)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="to")["UploadId"]
    parts = []
    for number, part_range in ((1, None), (2, "bytes=100-200")):
        options = {"CopySourceRange": part_range} if part_range else {}
        done = s3.upload_part_copy(
            Bucket=bucket, Key="to", UploadId=upload, PartNumber=number,
            CopySource={"Bucket": bucket, "Key": "from"}, **options)
        parts.append({"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]})
    for wrong in ("bytes=0-99999999", "bytes=5-4", "bytes=5-", "0-5"):
        with pytest.raises(s3.exceptions.ClientError) as refused:
            s3.upload_part_copy(
                Bucket=bucket, Key="to", UploadId=upload, PartNumber=3, CopySourceRange=wrong,
                CopySource={"Bucket": bucket, "Key": "from"})
        assert status(refused) in (400, 416)
    s3.complete_multipart_upload(
        Bucket=bucket, Key="to", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == body + body[100:201]


def test_uploads_are_listed_in_pages_and_by_prefix(s3, bucket):
    made = []
    for key in ("a/1", "a/2", "b", "b"):
        made.append((key, s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]))
    shown, markers = [], {}
    while True:
        page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=1, **markers)
        shown += [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
        if not page["IsTruncated"]:
            break
        markers = {
            "KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
        assert len(shown) <= 4
    assert sorted(shown) == sorted(made)
    folded = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in folded["CommonPrefixes"]] == ["a/"]
    assert len(s3.list_multipart_uploads(Bucket=bucket, Prefix="a/")["Uploads"]) == 2


def test_object_attributes(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {1: data.content(1, PART), 2: b"end"})
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    shown = s3.get_object_attributes(
        Bucket=bucket, Key="k",
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"])
    assert shown["ObjectSize"] == PART + 3 and shown["StorageClass"] == "STANDARD"
    assert shown["ETag"].endswith("-2") and '"' not in shown["ETag"]
    assert shown["ObjectParts"]["TotalPartsCount"] == 2
    only = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])
    assert "ETag" not in only and only["ObjectSize"] == PART + 3


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "SHA1", "SHA256"])
def test_composite_checksums_of_parts(s3, bucket, algorithm):
    upload = s3.create_multipart_upload(
        Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm)["UploadId"]
    parts = []
    for number, piece in ((1, data.content(1, PART)), (2, b"end")):
        done = s3.upload_part(
            Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=piece,
            ChecksumAlgorithm=algorithm)
        parts.append({
            "PartNumber": number, "ETag": done["ETag"],
            "Checksum" + algorithm: done["Checksum" + algorithm]})
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    raw = b"".join(base64.b64decode(p["Checksum" + algorithm]) for p in parts)
    value = done["Checksum" + algorithm]
    assert value.endswith("-2") and done["ChecksumType"] == "COMPOSITE"
    if algorithm.startswith("SHA"):
        digest = hashlib.new(algorithm.lower(), raw).digest()
        assert value == base64.b64encode(digest).decode() + "-2"
    if algorithm == "CRC32":
        assert value == base64.b64encode(zlib.crc32(raw).to_bytes(4, "big")).decode() + "-2"


def test_transfers_of_streams_by_the_high_level_client(s3, bucket):
    body = data.content("transfer", 20_000_000)
    s3.upload_fileobj(io.BytesIO(body), bucket, "k")
    got = io.BytesIO()
    s3.download_fileobj(bucket, "k", got)
    assert got.getvalue() == body


def test_a_tree_with_odd_names_there_and_back(s3, bucket, tmp_path):
    tree = tools.make_tree(tmp_path / "up")
    for name in tree:
        s3.upload_file(str(tmp_path / "up" / name), bucket, "tree/" + name)
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix="tree/", PaginationConfig={"PageSize": 7})
    for page in pages:
        for found in page["Contents"]:
            path = tmp_path / "down" / found["Key"].removeprefix("tree/")
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, found["Key"], str(path))
    assert tools.read_tree(tmp_path / "down") == tree


def test_200_megabytes_in_parts_up_and_down(s3, bucket, tmp_path, large_file, assert_large):
    s3.upload_file(str(large_file.path), bucket, "large")
    s3.download_file(bucket, "large", str(tmp_path / "got"))
    assert_large("large", tmp_path / "got", parts=24)


# Addressing

def test_virtual_host_style(server, bucket, monkeypatch):
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **options: resolve(
        "127.0.0.1" if str(host).endswith("localhost") else host, *more, **options))
    client = boto_client(
        server, endpoint=f"http://localhost:{server.ports['s3']}", signature_version="s3v4",
        s3={"addressing_style": "virtual"})
    client.put_object(Bucket=bucket, Key="a/b", Body=b"by host")
    assert client.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"by host"
    assert [o["Key"] for o in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["a/b"]
    assert boto_client(server).get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"by host"


# Operations that are not offered

def test_operations_not_offered_say_so_and_never_succeed(server, bucket):
    for method, target in NOT_OFFERED:
        path = f"/{bucket}" + target
        answer = server.s3(method, path, body=b"<x/>" if method in ("PUT", "POST") else b"")
        assert (answer.status, answer.code) == (501, "NotImplemented"), (method, path, answer)


OFFERED = {
    "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateBucket",
    "CreateMultipartUpload", "DeleteBucket", "DeleteObject", "DeleteObjects", "GetBucketLocation",
    "GetObject", "GetObjectAttributes", "HeadBucket", "HeadObject", "ListBuckets",
    "ListMultipartUploads", "ListObjects", "ListObjectsV2", "ListParts", "PutObject",
    "UploadPart", "UploadPartCopy"}
# Older names of what looks the same on the wire, and what does so but for its host.
SAME_ON_THE_WIRE = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "ListDirectoryBuckets": "ListBuckets"}
MODEL = botocore.session.get_session().get_service_model("s3")


def sample(shape, bucket, name=""):
    """The least that botocore takes for a shape."""
    if shape.type_name == "structure":
        members = shape.required_members or (list(shape.members)[:1] if shape.is_tagged_union else [])
        return {m: sample(shape.members[m], bucket, m) for m in members}
    if shape.type_name == "list":
        return [sample(shape.member, bucket)]
    if shape.type_name == "map":
        return {}
    if shape.type_name == "string":
        if shape.enum:
            return shape.enum[0]
        return {"Bucket": bucket, "Key": "key", "CopySource": f"{bucket}/key"}.get(
            name, "x" * shape.metadata.get("min", 1))
    return {
        "timestamp": datetime.datetime(2030, 1, 1), "blob": b"x", "boolean": True, "float": 1.0,
        "double": 1.0}.get(shape.type_name, 1)


def test_the_table_has_every_operation_that_boto3_knows():
    source = (ROOT / "Sources/Domain/S3Wire/Operations/S3Operation.swift").read_text()
    table = set(re.findall(r'case \w+\s*=\s*"(\w+)"', source))
    names = set(MODEL.operation_names)
    assert len(names) > 100
    assert names - table == set(SAME_ON_THE_WIRE) and OFFERED < names
    assert set(SAME_ON_THE_WIRE.values()) < table


@pytest.mark.parametrize("name", [
    n for n in MODEL.operation_names if SAME_ON_THE_WIRE.get(n, n) not in OFFERED])
def test_an_operation_that_is_not_offered_says_so_to_boto3(server, bucket, name):
    client = boto_client(server, inject_host_prefix=False)
    client.put_object(Bucket=bucket, Key="key", Body=b"kept")
    arguments = sample(MODEL.operation_model(name).input_shape, bucket)
    with pytest.raises(client.exceptions.ClientError) as refused:
        client._make_api_call(name, arguments)
    assert (status(refused), code(refused)) == (501, "NotImplemented"), refused.value
    assert [o["Key"] for o in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["key"]
    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == b"kept"


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_an_operation_that_is_offered_never_says_that_it_is_not(server, bucket, name):
    client = boto_client(server)
    try:
        client._make_api_call(name, sample(MODEL.operation_model(name).input_shape, bucket))
    except client.exceptions.ClientError as refused:
        answer = refused.response["ResponseMetadata"]["HTTPStatusCode"]
        assert 400 <= answer < 500, refused


def test_the_owner_that_boto3_expects(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    own = s3.list_buckets()["Owner"]["ID"]
    assert s3.head_object(Bucket=bucket, Key="k", ExpectedBucketOwner=own)["ContentLength"] == 1
    for other, expected_code in (
            ("123456789012", "AccessDenied"), ("0" * 64, "AccessDenied"),
            ("me", "InvalidBucketOwnerAWSAccountID")):
        with pytest.raises(s3.exceptions.ClientError) as refused:
            s3.delete_object(Bucket=bucket, Key="k", ExpectedBucketOwner=other)
        assert code(refused) == expected_code
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_parts_without_an_algorithm_make_an_object_with_the_default_checksum(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {1: data.content(1, PART), 2: b"end"})
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] and head["ChecksumType"] == "FULL_OBJECT"


NOT_OFFERED = [
    (method, f"?{name}")
    for name in (
        "accelerate", "acl", "cors", "encryption", "lifecycle", "logging", "notification",
        "object-lock", "ownershipControls", "policy", "publicAccessBlock", "replication",
        "requestPayment", "tagging", "versioning", "website")
    for method in ("GET", "PUT")
] + [
    ("DELETE", f"?{name}")
    for name in (
        "cors", "encryption", "lifecycle", "ownershipControls", "policy", "publicAccessBlock",
        "replication", "tagging", "website")
] + [
    ("GET", f"/key?{name}") for name in ("acl", "legal-hold", "retention", "tagging", "torrent")
] + [
    ("PUT", f"/key?{name}") for name in ("acl", "legal-hold", "retention", "tagging")
] + [
    ("GET", "?versions"), ("GET", "?policyStatus"), ("GET", "?analytics"), ("GET", "?inventory"),
    ("GET", "?metrics"), ("GET", "?intelligent-tiering"), ("GET", "?session"),
    ("POST", "/key?restore"), ("POST", "/key?select&select-type=2"), ("DELETE", "/key?tagging")]
