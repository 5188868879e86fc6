"""Contents in a bucket, by S3's protocol: Amazon's, or another one's that speaks it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from devforge_api.core.storage.base import CHUNK, Content, ContentMissing, Kept, StorageAway, is_key

# A call's two attempts end well within the half minute that a delivery may take.
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 3, 8, 2
AT_ONCE = 1000  # keys that one call deletes


class Bucket:
    """One object for each content, below a prefix.

    :param settings: those named ``S3_…``.
    :param url: ``s3://bucket/prefix``.
    """

    def __init__(self, url: str, settings: Mapping[str, Any]) -> None:
        parts = urlsplit(url)
        self._bucket = parts.netloc
        self._prefix = f"{path}/" if (path := parts.path.strip("/")) else ""
        self._settings = settings
        self._lock = threading.Lock()
        self._made: Any = None

    def put(self, key: str, file: BinaryIO, size: int, media_type: str) -> None:
        """Keep so many bytes of a file; an object is there as a whole, or not at all."""
        file.seek(0)
        self._call(
            "put_object", Key=self._name(key), Body=file, ContentLength=size, ContentType=media_type,
        )  # fmt: skip

    def open(self, key: str, start: int = 0, length: int | None = None) -> Content:
        """Begin to read, from a byte on."""
        if length == 0:
            return _Nothing()
        wanted = {}
        if start or length is not None:
            wanted["Range"] = f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"
        answer = self._call("get_object", Key=self._name(key), **wanted)
        return _Pieces(answer["Body"], _refusals())

    def delete(self, keys: Iterable[str]) -> None:
        """Forget contents."""
        waiting = iter([self._name(key) for key in keys])
        while batch := list(islice(waiting, AT_ONCE)):
            objects = {"Objects": [{"Key": name} for name in batch], "Quiet": True}
            if failed := self._call("delete_objects", Delete=objects).get("Errors"):
                raise StorageAway(f"{len(failed)} objects were not deleted: {failed[0].get('Code')}")

    def kept(self, after: str = "", limit: int = 1000) -> list[Kept]:
        """What is there, in the order of the keys."""
        found: list[Kept] = []
        since = self._prefix + after
        while len(found) < limit:
            page = self._call("list_objects_v2", Prefix=self._prefix, StartAfter=since, MaxKeys=1000)
            contents = page.get("Contents", [])
            for one in contents:
                key = one["Key"].removeprefix(self._prefix)
                if is_key(key) and len(found) < limit:
                    found.append(Kept(key, one["Size"], one["LastModified"].astimezone(UTC)))
            if not page.get("IsTruncated") or not contents:
                break
            since = contents[-1]["Key"]
        return found

    def tidy(self, before: datetime) -> int:
        """Nothing is left half-way here."""
        return 0

    def link(self, key: str, *, seconds: int, disposition: str, media_type: str) -> str | None:
        """A presigned address: whoever has it reads from the bucket itself."""
        wanted = {
            "Bucket": self._bucket,
            "Key": self._name(key),
            "ResponseContentDisposition": disposition,
            "ResponseContentType": media_type,
        }
        with _told():
            address: str = self._client().generate_presigned_url("get_object", wanted, ExpiresIn=seconds)
        return address

    def check(self) -> str:
        """Look whether the bucket is there and ours to use."""
        self._call("head_bucket")
        return f"bucket {self._bucket} answers"

    def _name(self, key: str) -> str:
        if not is_key(key):
            raise ValueError("not a key of the storage")
        return self._prefix + key

    def _call(self, name: str, **wanted: Any) -> Any:
        with _told():
            operation: Callable[..., Any] = getattr(self._client(), name)
            return operation(Bucket=self._bucket, **wanted)

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = _connect(self._settings)
            return self._made


class _Pieces:
    """An object's bytes, a piece at a time."""

    def __init__(self, body: Any, refusals: tuple[type[Exception], ...]) -> None:
        self._body, self._refusals = body, refusals

    def __iter__(self) -> Iterator[bytes]:
        try:
            while piece := self._body.read(CHUNK):
                yield piece
        except self._refusals as error:
            raise StorageAway(f"the bucket: {type(error).__name__}") from error

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()


class _Nothing:
    """No bytes."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        """There is nothing to let go of."""


def _connect(settings: Mapping[str, Any]) -> Any:
    import boto3  # noqa: PLC0415 - heavy, and needed only where a bucket is configured
    from botocore.config import Config  # noqa: PLC0415

    endpoint = settings["S3_ENDPOINT"]
    options = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        signature_version="s3v4",
        # Others than Amazon seldom have a name for each bucket, nor its newest checksums.
        s3={"addressing_style": "path" if endpoint else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        max_pool_connections=32,
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings["S3_REGION"],
        aws_access_key_id=settings["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["S3_SECRET_ACCESS_KEY"],
        config=options,
    )


def _refusals() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, HTTPClientError  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    return (BotoCoreError, HTTPClientError, HTTPError, OSError)


@contextmanager
def _told() -> Iterator[None]:
    """Whatever the bucket refuses, in our words; the library's may hold keys and addresses."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in {"NoSuchKey", "404"} and error.operation_name == "GetObject":
            raise ContentMissing(code) from None
        raise StorageAway(f"the bucket refuses {error.operation_name}: {code}") from error
    except _refusals() as error:
        raise StorageAway(f"the bucket: {type(error).__name__}") from error
