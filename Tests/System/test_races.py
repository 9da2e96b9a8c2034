"""Conditional writes from many processes."""
import multiprocessing

from botocore.exceptions import ClientError

from conftest import boto_client

PROCESSES = 8
context = multiprocessing.get_context("fork")


def in_processes(work, server, bucket, *more):
    """Runs `work(client, bucket, number, …)` in processes that start together; their results."""
    barrier, results = context.Barrier(PROCESSES), context.Queue()

    def body(number):
        client = boto_client(server)
        client.head_bucket(Bucket=bucket)
        barrier.wait()
        try:
            results.put((number, work(client, bucket, number, *more)))
        except BaseException as error:
            results.put((number, repr(error)))
            raise

    processes = [context.Process(target=body, args=(n,)) for n in range(PROCESSES)]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(20)
        assert process.exitcode == 0, found
    return found


def status(error):
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def create(client, bucket, number, rounds, size):
    won = []
    for index in range(rounds):
        try:
            client.put_object(
                Bucket=bucket, Key=f"lock-{index}", Body=bytes([number]) * size, IfNoneMatch="*")
            won.append(index)
        except ClientError as error:
            assert status(error) in (409, 412), error
    return won


def exactly_one_wins(server, s3, bucket, rounds, size):
    found = in_processes(create, server, bucket, rounds, size)
    winners = {}
    for number, won in found.items():
        for index in won:
            assert index not in winners, f"two wrote lock-{index}"
            winners[index] = number
    assert sorted(winners) == list(range(rounds))
    for index, number in winners.items():
        body = s3.get_object(Bucket=bucket, Key=f"lock-{index}")["Body"].read()
        assert body == bytes([number]) * size


def test_of_many_inline_creates_exactly_one_wins(server, s3, bucket):
    exactly_one_wins(server, s3, bucket, rounds=40, size=16)


def test_of_many_chunked_creates_exactly_one_wins(server, s3, bucket):
    exactly_one_wins(server, s3, bucket, rounds=15, size=200_000)


def complete(client, bucket, number, rounds):
    won = []
    for index in range(rounds):
        key = f"multi-{index}"
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        tag = client.upload_part(
            Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=bytes([number]))["ETag"]
        try:
            client.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=upload, IfNoneMatch="*",
                MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
            won.append(index)
        except ClientError as error:
            assert status(error) in (409, 412), error
    return won


def test_of_many_conditional_completes_exactly_one_wins(server, s3, bucket):
    found = in_processes(complete, server, bucket, 8)
    assert sorted(i for won in found.values() for i in won) == list(range(8))


def count(client, bucket, number, increments):
    done = 0
    while done < increments:
        got = client.get_object(Bucket=bucket, Key="counter")
        value = int(got["Body"].read())
        try:
            client.put_object(
                Bucket=bucket, Key="counter", Body=str(value + 1).encode(), IfMatch=got["ETag"])
            done += 1
        except ClientError as error:
            assert status(error) in (409, 412), error
    return done


def test_a_counter_by_compare_and_swap_loses_no_update(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="counter", Body=b"0")
    in_processes(count, server, bucket, 15)
    assert int(s3.get_object(Bucket=bucket, Key="counter")["Body"].read()) == 15 * PROCESSES


def overwrite(client, bucket, number, rounds):
    for index in range(rounds):
        client.put_object(Bucket=bucket, Key="one", Body=bytes([number]) * (1 << 18))
        got = client.get_object(Bucket=bucket, Key="one")["Body"].read()
        assert len(got) == 1 << 18 and len(set(got)) == 1, "a mixture of two writes"
    return True


def test_overwrites_of_one_key_never_mix(server, bucket):
    in_processes(overwrite, server, bucket, 10)


def make_and_remove(client, bucket, number, rounds):
    made = 0
    for _ in range(rounds):
        try:
            client.create_bucket(Bucket=bucket + "-race")
            made += 1
        except ClientError as error:
            assert status(error) == 409, error
        try:
            client.put_object(Bucket=bucket + "-race", Key="k", Body=b"x")
            # It stands acknowledged: only its own deletion may take it, so the bucket must be there.
            client.head_bucket(Bucket=bucket + "-race")
            client.delete_object(Bucket=bucket + "-race", Key="k")
        except ClientError as error:
            # One that was removed and made again in the midst of a write: to be tried again.
            again = error.response["Error"]["Code"] == "SlowDown"
            assert again or status(error) == 404, error
        try:
            client.delete_bucket(Bucket=bucket + "-race")
        except ClientError as error:
            assert status(error) in (404, 409), error
    return made


def test_buckets_made_and_removed_at_once_stay_whole(server, bucket):
    assert sum(in_processes(make_and_remove, server, bucket, 10).values()) >= 1
