"""Fixtures of the data set tests: a local cache of their own, and an S3-style server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from ml.dataset.remote_storage import CACHE_VARIABLE

SECRET = "a-secret-that-nobody-may-read"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def s3_bucket() -> Iterator[str]:
    """URL of an empty bucket on a server of this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # they know an earlier server
        bucket = f"sounds-{uuid.uuid4().hex}"  # all servers of a process share their buckets
        fsspec.filesystem("s3").mkdir(bucket)
        yield f"s3://{bucket}"
    server.stop()
