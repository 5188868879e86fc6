from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from flask import Flask
from sqlalchemy import update

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.storage.bucket import Bucket
from devforge_api.core.storage.configured import storage
from devforge_api.files.models import File
from devforge_api.files.service import work
from tests.factories import Api
from tests.files.fake_clamd import FakeClamd, fake_clamd


@pytest.fixture
def lone(make_api: Callable[..., Api], tmp_path: Path) -> Callable[..., Api]:
    """An application on this column's database whose contents are its own; further settings by name."""

    def make(**settings: object) -> Api:
        return make_api(DEVFORGE_DATA_DIR=str(tmp_path / "data"), **settings)

    return make


@pytest.fixture
def kept() -> Callable[[Api], list[str]]:
    """The keys of all contents that an application's storage holds."""

    def keys(api: Api) -> list[str]:
        with api.app.app_context():
            return [one.key for one in storage().kept()]

    return keys


@pytest.fixture
def clamd() -> Iterator[FakeClamd]:
    with fake_clamd() as daemon:
        yield daemon


@pytest.fixture
def make_due(app: Flask) -> Callable[[], None]:
    """Let the claims on all unfinished files run out, and have somebody called."""

    def pass_time() -> None:
        with app.app_context(), unit_of_work():
            db.session.execute(update(File).values(due_at=utc_now() - timedelta(seconds=1)))
            work.call_for_unfinished()

    return pass_time


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a server that speaks S3's protocol."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def s3_settings(s3_server: str) -> dict[str, str]:
    return {
        "S3_ENDPOINT": s3_server,
        "S3_REGION": "us-east-1",
        "S3_ACCESS_KEY_ID": "testing",
        "S3_SECRET_ACCESS_KEY": "testing-secret",
    }


@pytest.fixture
def make_bucket(s3_settings: dict[str, str]) -> Callable[..., Bucket]:
    """An empty bucket, perhaps used below a prefix."""

    def make(name: str, prefix: str = "") -> Bucket:
        requests.post(f"{s3_settings['S3_ENDPOINT']}/moto-api/reset", timeout=30)
        bucket = Bucket(f"s3://{name}{prefix}", s3_settings)
        bucket._client().create_bucket(Bucket=name)
        return bucket

    return make
