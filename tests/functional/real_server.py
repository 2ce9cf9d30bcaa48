"""A real FHIR server, sekmet-fhir, in this process on 127.0.0.1; what is put into it here is synthetic."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

JSON = {"Content-Type": "application/fhir+json"}


class RealServer:
    """A running server."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._session = requests.Session()
        # The server drops idle connections, at times just when the next request is on its way.
        self._session.headers["Connection"] = "close"

    def introduce(self, token: str) -> None:
        """Write with a bearer token from now on."""
        self._session.headers["Authorization"] = f"Bearer {token}"

    def put(self, resource: dict[str, Any]) -> None:
        """Create or change a resource."""
        url = f"{self.base_url}/{resource['resourceType']}/{resource['id']}"
        reply = self._session.put(url, data=json.dumps(resource), headers=JSON)
        assert reply.status_code in {200, 201}, reply.text

    def delete(self, kind: str, key: str) -> None:
        """Delete a resource."""
        assert self._session.delete(f"{self.base_url}/{kind}/{key}").status_code in {200, 204}

    def everything(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return all resources of a type as the server has them now; nobody writes meanwhile."""
        found: dict[str, dict[str, Any]] = {}
        url: str | None = f"{self.base_url}/{kind}?_count=500"
        while url:
            page = self._session.get(url, headers={"Cache-Control": "no-cache"}).json()
            found |= {entry["resource"]["id"]: entry["resource"] for entry in page.get("entry", ())}
            url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        return found

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()


@contextmanager
def real_server(folder: Path, **more: Any) -> Iterator[RealServer]:
    """Start a server and stop it; `more` are settings of sekmet-fhir."""
    import uvicorn
    from sekmet.config import Settings
    from sekmet.main import create_app

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base_url = f"http://127.0.0.1:{port}"
    settings = Settings(
        base_url=f"{base_url}/fhir",
        host="127.0.0.1",
        port=port,
        data_dir=str(folder),
        db_path=":memory:",
        log_inbound=False,
        simulator={"enabled": False},
        **more,
    )
    config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    running = RealServer(f"{base_url}/fhir")
    try:
        yield running
    finally:
        running.close()
        server.should_exit = True
        thread.join(10)
