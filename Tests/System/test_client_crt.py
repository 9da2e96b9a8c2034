"""boto3 on the AWS common runtime: CRC64NVME and its own HTTP and signing."""
import datetime

import awscrt.auth
import awscrt.http
import botocore.session
import pytest
from s3transfer import crt

from support import data, urls
from support.server import ACCESS_KEY, SECRET_KEY


def test_crc64nvme_is_checked_and_shown(s3, bucket):
    body = data.content("crc64", 70_000)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm="CRC64NVME")
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert put["ChecksumCRC64NVME"] == head["ChecksumCRC64NVME"]
    assert head["ChecksumType"] == "FULL_OBJECT"
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body


def test_a_wrong_crc64nvme_stores_nothing(s3, bucket):
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k", Body=b"abc", ChecksumCRC64NVME="AAAAAAAAAAA=")
    assert refused.value.response["Error"]["Code"] in ("BadDigest", "InvalidRequest")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_multipart_with_full_object_crc64nvme(s3, bucket):
    pieces = [data.content(f"part {i}", 5 << 20) for i in range(2)] + [b"tail"]
    upload = s3.create_multipart_upload(
        Bucket=bucket, Key="k", ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT")
    parts = []
    for number, piece in enumerate(pieces, 1):
        done = s3.upload_part(
            Bucket=bucket, Key="k", UploadId=upload["UploadId"], PartNumber=number, Body=piece,
            ChecksumAlgorithm="CRC64NVME")
        parts.append({
            "PartNumber": number, "ETag": done["ETag"],
            "ChecksumCRC64NVME": done["ChecksumCRC64NVME"]})
    complete = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload["UploadId"], MultipartUpload={"Parts": parts},
        ChecksumType="FULL_OBJECT")
    single = s3.put_object(
        Bucket=bucket, Key="whole", Body=b"".join(pieces), ChecksumAlgorithm="CRC64NVME")
    assert complete["ChecksumCRC64NVME"] == single["ChecksumCRC64NVME"]
    assert complete["ChecksumType"] == "FULL_OBJECT"


def test_200_megabytes_in_parts_up_and_down(
        server, bucket, tmp_path, large_file, assert_large, s3):
    """Parallel parts with CRC64NVME up, parallel ranges down: what awscli 2 does with files."""
    session = botocore.session.get_session()
    session.set_credentials(ACCESS_KEY, SECRET_KEY)
    provider = awscrt.auth.AwsCredentialsProvider.new_static(ACCESS_KEY, SECRET_KEY)
    client = crt.create_s3_crt_client(
        region="us-east-1", crt_credentials_provider=provider, use_ssl=False,
        part_size=8 << 20)
    serializer = crt.BotocoreCRTRequestSerializer(
        session, {"region_name": "us-east-1", "endpoint_url": server.endpoint})
    with crt.CRTTransferManager(client, serializer) as manager:
        manager.upload(
            str(large_file.path), bucket, "large",
            {"ChecksumAlgorithm": "CRC64NVME"}).result(120)
        manager.download(bucket, "large", str(tmp_path / "got")).result(120)
    head = s3.head_object(Bucket=bucket, Key="large", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"]
    assert_large("large", tmp_path / "got", parts=24)


def test_presigned_url_of_its_own_signer_reads_without_credentials(server, bucket, s3):
    s3.put_object(Bucket=bucket, Key="share me+é", Body=b"shared")
    request = awscrt.http.HttpRequest(
        "GET", f"/{bucket}/share%20me%2B%C3%A9",
        awscrt.http.HttpHeaders([("host", server.host)]))
    config = awscrt.auth.AwsSigningConfig(
        algorithm=awscrt.auth.AwsSigningAlgorithm.V4,
        signature_type=awscrt.auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
        credentials_provider=awscrt.auth.AwsCredentialsProvider.new_static(ACCESS_KEY, SECRET_KEY),
        region="us-east-1", service="s3", date=datetime.datetime.now(datetime.timezone.utc),
        use_double_uri_encode=False, should_normalize_uri_path=False,
        signed_body_value=awscrt.auth.AwsSignedBodyValue.UNSIGNED_PAYLOAD,
        expiration_in_seconds=600)
    signed = awscrt.auth.aws_sign_request(request, config).result(60)
    urls.assert_shares(server.endpoint + signed.path, b"shared", version=4)
