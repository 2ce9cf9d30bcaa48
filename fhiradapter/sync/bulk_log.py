"""The bulk log: `log.ndjson`, in which tools read how an export went."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fhiradapter.fhir.bulk import ExportRequest, Offers, place_of
from fhiradapter.fhir.instants import written
from fhiradapter.fhir.manifests import ManifestFile
from fhiradapter.fhir.origins import origin_of

# The log items of https://github.com/smart-on-fhir/bulk-data-client, which smart-fetch and cumulus-etl read
# and write too: exportId, timestamp, eventId, eventDetail; names of clients begin with an underscore.
CLIENT = "fhiradapter"
CLIENT_VERSION = version(CLIENT)
PERCENT = re.compile(r"\d{1,3}(?:\.\d{1,3})?\s?%")
PRIVATE_FILE = 0o600


def _now() -> datetime:
    return datetime.now(UTC)


class Files(NamedTuple):
    """How many files of each part a manifest lists."""

    output: int
    deleted: int
    error: int

    @classmethod
    def of(cls, files: Iterable[ManifestFile]) -> "Files":
        """Count files."""
        parts = [file.part for file in files]
        return cls(parts.count("output"), parts.count("deleted"), parts.count("error"))


class BulkLog:
    """Writes the log of one source's exports; no id, value, search or text of a server comes into it.

    File URLs are shortened to their origin and a digest, which still tells which request and which end belong
    together: a path may name a Patient, a query may hold the right to read.
    """

    def __init__(self, path: Path, *, now: Callable[[], datetime] = _now) -> None:
        self.path = path
        self._now = now

    def kickoff(
        self,
        export: str,
        request: ExportRequest,
        *,
        base_url: str,
        status: int | None,
        codes: tuple[str, ...] = (),
        offers: Offers | None = None,
    ) -> None:
        """Write that the server was asked to begin."""
        told = offers or Offers(frozenset(), None)
        failed = status is None or status >= 400
        parameters: dict[str, Any] = {
            "_outputFormat": request.output_format,
            "_since": request.since,
            "_type": ",".join(request.types) or None,
            "_elements": ",".join(request.elements) or None,
            "includeAssociatedData": ",".join(request.associated) or None,
            "_typeFilter": ",".join(_without_values(text) for text in request.type_filters) or None,
        }
        self._write(
            export,
            "kickoff",
            {
                "exportUrl": f"{base_url.rstrip('/')}/{place_of(request)}",
                "softwareName": told.software,
                "softwareVersion": told.software_version,
                "softwareReleaseDate": told.software_date,
                "fhirVersion": told.fhir_version,
                "requestParameters": {name: value for name, value in parameters.items() if value is not None},
                "errorCode": status if failed else None,
                "errorBody": ",".join(codes) or None if failed else None,
                "responseHeaders": {},
                "_patients": len(request.patients) or None,
            },
        )

    def progress(self, export: str, *, text: str | None, retry_after: str | None) -> None:
        """Write that the server is not ready; of its text only a percentage."""
        percent = PERCENT.search(text or "")
        detail = {
            "body": None,
            "xProgress": percent[0] if percent else None,
            "retryAfter": retry_after if (retry_after or "").isdigit() else None,
        }
        self._write(export, "status_progress", detail)

    def status_error(self, export: str, *, status: int | None, reason: str) -> None:
        """Write that asking for the status failed, or said that the export did."""
        self._write(export, "status_error", {"body": None, "code": status, "message": reason})

    def status_complete(self, export: str, *, transaction_time: int) -> None:
        """Write that the manifest is there."""
        self._write(export, "status_complete", {"transactionTime": written(transaction_time)})

    def page(self, export: str, files: Files, *, transaction_time: int) -> None:
        """Write that one page of the manifest was read."""
        detail = {
            "transactionTime": written(transaction_time),
            "outputFileCount": files.output,
            "deletedFileCount": files.deleted,
            "errorFileCount": files.error,
        }
        self._write(export, "status_page_complete", detail)

    def manifest(self, export: str, files: Files, *, transaction_time: int, pages: int) -> None:
        """Write that all pages of the manifest were read."""
        detail = {
            "transactionTime": written(transaction_time),
            "totalOutputFileCount": files.output,
            "totalDeletedFileCount": files.deleted,
            "totalErrorFileCount": files.error,
            "totalManifests": pages,
        }
        self._write(export, "manifest_complete", detail)

    def download_request(self, export: str, url: str, *, part: str, kind: str | None) -> None:
        """Write that a file was asked for."""
        detail = {"fileUrl": shortened(url), "itemType": part, "resourceType": kind}
        self._write(export, "download_request", detail)

    def download_complete(self, export: str, url: str, *, lines: int, size: int) -> None:
        """Write that a file is here."""
        detail = {"fileUrl": shortened(url), "resourceCount": lines, "fileSize": size}
        self._write(export, "download_complete", detail)

    def download_error(self, export: str, url: str, *, status: int | None, reason: str) -> None:
        """Write that a file could not be had."""
        detail = {"fileUrl": shortened(url), "body": None, "code": status, "message": reason}
        self._write(export, "download_error", detail)

    def complete(self, export: str, *, files: int, resources: int, size: int, milliseconds: int) -> None:
        """Write that all files are here."""
        detail = {
            "files": files,
            "resources": resources,
            "bytes": size,
            "attachments": None,
            "duration": milliseconds,
        }
        self._write(export, "export_complete", detail)

    def _write(self, export: str, event: str, detail: Mapping[str, Any]) -> None:
        item = {
            "exportId": export,
            "timestamp": self._now().astimezone(UTC).isoformat(timespec="milliseconds"),
            "eventId": event,
            "eventDetail": detail,
            "_client": CLIENT,
            "_clientVersion": CLIENT_VERSION,
        }
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            os.write(handle, msgspec.json.encode(item) + b"\n")
        finally:
            os.close(handle)


def shortened(url: str) -> str:
    """Return a URL by its origin and a digest of the rest.

    >>> shortened("https://files.example.org/Patient-4711.ndjson?signature=secret")
    'https://files.example.org/fec94de34b80469a'
    """
    return f"{origin_of(url) or 'unknown:'}/{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def _without_values(text: str) -> str:
    """Return a filter's type and parameters: its values may be somebody's."""
    kind, _, query = text.partition("?")
    names = [pair.partition("=")[0] for pair in query.split("&") if pair]
    return f"{kind}?{'&'.join(f'{name}=' for name in names)}" if names else kind
