"""How a FHIR server is reached, as settings; secrets are named and never written down."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from fhiradapter.section import Section

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SECRET = re.compile(r"(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+|keyring:[^:]+:.+)\Z")
Secret = Annotated[
    str, Field(description="Where the secret is: env:NAME, file:PATH or keyring:SERVICE:USER; never itself")
]


class Authentication(Section):
    """How the server knows us."""

    kind: Literal["none", "bearer", "basic", "api_key", "mtls", "smart"] = "none"
    token: Annotated[Secret | None, Field(description="Bearer token")] = None
    user: Annotated[str | None, Field(description="User name of basic authentication")] = None
    password: Annotated[Secret | None, Field(description="Password of basic authentication")] = None
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "X-API-Key"
    api_key: Annotated[Secret | None, Field(description="Value of that header")] = None
    certificate: Annotated[str | None, Field(description="PEM of the client certificate (mtls)")] = None
    certificate_key: Annotated[str | None, Field(description="PEM of its key")] = None
    client_id: Annotated[str | None, Field(description="SMART Backend Services: registered client")] = None
    private_key: Annotated[Secret | None, Field(description="Its private key, PEM or JWK")] = None
    key_id: Annotated[str | None, Field(description="`kid`; else the key's thumbprint")] = None
    algorithm: Literal["RS384", "ES384"] | None = None
    token_url: Annotated[str | None, Field(description="Token endpoint; else by discovery")] = None
    scopes: Annotated[list[str], Field(description="Scopes to ask for; else by the types read")] = []

    @field_validator("token", "password", "api_key", "private_key")
    @classmethod
    def _is_a_reference(cls, text: str | None) -> str | None:
        if text is not None and not SECRET.match(text):
            # The value itself must not be repeated: it may be the secret.
            raise ValueError("a secret is not written into the study file; use env:, file: or keyring:")
        return text

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        needed = {
            "bearer": ("token",),
            "basic": ("user", "password"),
            "api_key": ("api_key",),
            "mtls": ("certificate",),
            "smart": ("client_id", "private_key"),
        }.get(self.kind, ())
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"kind {self.kind!r} needs {' and '.join(missing)}")
        return self


class Members(Section):
    """Whose resources are read; one of these."""

    everyone: Annotated[bool, Field(description="Every Patient that the server shows")] = False
    group: Annotated[str | None, Field(description="Id of a Group")] = None
    patients: Annotated[list[str], Field(description="Patient ids")] = []
    identifiers: Annotated[
        str | None, Field(description="File of identifiers, one 'system|value' or value a line")
    ] = None
    search: Annotated[str | None, Field(description="A Patient search, such as '_tag=trial'")] = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"several ways to choose patients: {', '.join(given)}; keep one")
        return self


class Exporting(Section):
    """What a server's bulk exports are asked for, beside types and times."""

    level: Annotated[
        Literal["system", "patient", "group"] | None,
        Field(description="Level of the export; else the cohort's Group, all Patients, or the whole system"),
    ] = None
    type_filters: Annotated[
        list[str], Field(description="Searches such as 'Observation?category=laboratory' (_typeFilter)")
    ] = []
    elements: Annotated[list[str], Field(description="Elements to leave it at (_elements)")] = []
    associated_data: Annotated[list[str], Field(description="Codes of includeAssociatedData")] = []
    output_format: Annotated[
        Literal["application/fhir+ndjson", "application/ndjson", "ndjson"],
        Field(description="Name by which the server knows NDJSON (_outputFormat)"),
    ] = "application/fhir+ndjson"
    wait_seconds: Annotated[
        float | None, Field(ge=0, description="How long one run waits for an export; else to its end")
    ] = None


class Server(Section):
    """How a FHIR server is read."""

    cohort: Members = Members(everyone=True)
    auth: Authentication = Authentication()
    feeds: Annotated[
        dict[str, Literal["updated", "reread", "bulk"]],
        Field(description="Feed by resource type, where the probe is to be overruled"),
    ] = {}
    concurrency: Annotated[int, Field(ge=1, le=32)] = 4
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    patients_at_once: Annotated[int, Field(ge=1, le=500, description="Patient ids in one search")] = 40
    settle_seconds: Annotated[float, Field(ge=0, description="What is younger is left for the next run")] = 60
    overlap_seconds: Annotated[
        float,
        Field(ge=0, description="Read again from the last run; twice the longest lag seen, if more"),
    ] = 600
    tries: Annotated[int, Field(ge=1, le=20)] = 6
    request_seconds: Annotated[
        float, Field(gt=0, description="Deadline of one request, to its last byte")
    ] = 120
    retry_after_seconds: Annotated[
        float, Field(ge=0, description="A longer Retry-After is not waited for")
    ] = 300
    page_bytes: Annotated[int, Field(gt=0, description="Largest page, after decompression")] = 128 * 2**20
    pages: Annotated[int, Field(gt=0, description="Most pages of one search")] = 100_000
    ca_file: Annotated[
        str | None, Field(description="PEM of the authorities to trust; else the system's")
    ] = None
    proxy: Annotated[str | None, Field(description="Proxy; those of the environment are not used")] = None
    file_hosts: Annotated[
        list[str], Field(description="Hosts, besides the server, that bulk files come from")
    ] = []
    export_days: Annotated[float, Field(gt=0, description="How long a bulk export may take")] = 7
    export: Exporting = Exporting()

    @field_validator("proxy")
    @classmethod
    def _proxy_is_a_url(cls, text: str | None) -> str | None:
        if text is not None and urlsplit(text).scheme not in {"http", "https"}:
            raise ValueError("write a proxy as http://host:port")
        return text
