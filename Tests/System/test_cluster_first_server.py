"""A cluster whose gateways start before any storage server is there."""
import json
import os

import pytest
from botocore.exceptions import ClientError

from conftest import boto_client


@pytest.mark.parametrize("tls", [False, True], ids=["secret", "certificates"])
def test_gateways_wait_for_the_first_servers_with_a_change_log(make_cluster, tls):
    cluster = make_cluster({"CHANGE_LOG": "on"}, gateways=2, tls=tls)
    cluster.postgres.create(cluster.database)
    cluster.migrate()
    cluster.initialise()
    for gateway in cluster.gateways:
        gateway.spawn().await_start(gateway.healthy, 60)
    s3 = boto_client(cluster.gateways[0])
    with pytest.raises(ClientError) as caught:
        s3.create_bucket(Bucket="bucket")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    # Nothing of it was done.
    assert s3.list_buckets()["Buckets"] == []
    assert all(gateway.alive for gateway in cluster.gateways)
    cluster.start()
    # The other gateway learns of the stores a moment later.
    cluster.until(lambda: status(cluster)["pending_changes"] == 0, 90,
                  lambda: json.dumps(status(cluster)))
    s3.create_bucket(Bucket="bucket")
    body = os.urandom(100_000)
    s3.put_object(Bucket="bucket", Key="key", Body=body)
    read = boto_client(cluster.gateways[1]).get_object(Bucket="bucket", Key="key")
    assert read["Body"].read() == body


def status(cluster):
    return cluster.gateways[0].admin("recovery", "--json")
