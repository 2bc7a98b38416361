"""S3 over rclone: what the platform relies on, through boto3 and through ClickHouse itself."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError

from lake.store import ObjectMissingError


def client_for(stack, secret=None):
    return boto3.client(
        "s3",
        endpoint_url=stack.s3_url,
        aws_access_key_id=stack.s3_access_key,
        aws_secret_access_key=secret or stack.s3_secret_key.get_secret_value(),
        region_name=stack.s3_region,
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.fixture
def s3(stack):
    return client_for(stack)


def test_the_bucket_of_the_settings_is_there(s3, stack):
    s3.head_bucket(Bucket=stack.s3_bucket)


def test_a_wrong_secret_is_refused(stack):
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client_for(stack, secret="wrong-secret-of-some-length").list_buckets()


def test_what_was_written_is_read_listed_and_gone_at_once(store):
    def churn(worker):
        wrong = []
        for number in range(20):
            key, data = f"raw/w{worker}/h={number % 3}/{number}", os.urandom(2000)
            store.put_bytes(key, data)
            listed = {found.key for found in store.list(f"raw/w{worker}/")}
            if store.get_bytes(key) != data or key not in listed:
                wrong.append(key)
            if number % 2:
                store.delete_many([key])
                if store.exists(key) or key in {found.key for found in store.list(f"raw/w{worker}/")}:
                    wrong.append(f"deleted {key}")
        return wrong

    with ThreadPoolExecutor(4) as pool:
        assert [wrong for found in pool.map(churn, range(4)) for wrong in found] == []


def test_an_overwritten_object_is_the_old_or_the_new_one(store):
    store.put_bytes("manifest.json", b"a" * 50_000)
    seen = set()

    def overwrite():
        for number in range(100):
            store.put_bytes("manifest.json", bytes([97 + number % 26]) * 50_000)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(overwrite)
        while not writing.done():
            body = store.get_bytes("manifest.json")
            seen.add((len(body), len(set(body))))
        writing.result()
    assert seen == {(50_000, 1)}


def test_multipart_uploads_arrive_whole_with_their_metadata(s3, store, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(os.urandom(1 << 20) * 30)
    s3.upload_file(
        str(large), store.bucket, "large", ExtraArgs={"Metadata": {"received-at": "2026-11-16T10:00:00Z"}}
    )
    body = s3.get_object(Bucket=store.bucket, Key="large")
    metadata = {name.lower(): value for name, value in body["Metadata"].items()}
    assert hashlib.sha256(body["Body"].read()).digest() == hashlib.sha256(large.read_bytes()).digest()
    assert metadata["received-at"] == "2026-11-16T10:00:00Z"


def test_a_file_put_into_the_folder_is_an_object(stack, store):
    store.put_bytes("landing/first.txt", b"first")
    (stack.state_dir / "lake" / store.bucket / "landing" / "second.txt").write_text("second")
    # rclone looks again after a second: bounded by the number of asks.
    for _ in range(2000):
        if {found.key for found in store.list("landing/")} == {"landing/first.txt", "landing/second.txt"}:
            break
    assert store.get_bytes("landing/second.txt") == b"second"


def test_missing_objects_are_missing(store):
    with pytest.raises(ObjectMissingError):
        store.get_bytes("nothing/here")


@pytest.mark.parametrize("rows", [1000, 500_000])
def test_clickhouse_reads_and_writes_the_store(clickhouse, stack, store, rows):
    location = (
        f"s3('{store.http_url('raw/part-*.parquet')}', '{stack.s3_access_key}', "
        f"'{stack.s3_secret_key.get_secret_value()}', 'Parquet')"
    )
    one = location.replace("*", "1")
    clickhouse.command(
        f"insert into function {one} select number as id, toString(number) as name from numbers({rows})"
    )
    assert clickhouse.query(f"select count(), sum(id), uniqExact(name) from {location}").result_rows == [
        (rows, rows * (rows - 1) // 2, rows)
    ]


def test_a_wrong_secret_in_a_query_fails_the_query_only(clickhouse, store):
    from clickhouse_connect.driver.exceptions import DatabaseError

    store.put_bytes("x.csv", b"1\n")
    with pytest.raises(DatabaseError, match=r"S3_ERROR|CANNOT_EXTRACT"):
        clickhouse.query(f"select * from s3('{store.http_url('x.csv')}', 'nobody', 'wrong-secret', 'CSV')")
    assert clickhouse.query("select 1").result_rows == [(1,)]
