"""How a server knows us: fixed secrets, SMART Backend Services, and that no secret is ever shown."""

import base64
import hashlib
import itertools
import json
import logging
import socket
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hostile import FakeTime, bundle
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from sekmet.config import Settings
from sekmet.main import create_app
from werkzeug import Request, Response

from fhiradapter.connection import Server
from fhiradapter.errors import AuthenticationError, FhirAdapterError, SettingsError, TransientServerError
from fhiradapter.fhir.keys import public_members, signing_key, thumbprint
from fhiradapter.fhir.scopes import missing_types, readable, scopes_for
from fhiradapter.fhir.secrets import Vault
from fhiradapter.fhir.transport import Transport
from fhiradapter.fhir.transport_opening import open_transport
from fhiradapter.settings import load_study

SECRET = "Nachtigall-7"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP384R1())
TYPES = ("Patient", "Observation")


def pem(key: Any) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def jwk(key: Any, **members: Any) -> dict[str, Any]:
    algorithm = (
        jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    )
    return {**algorithm.to_jwk(key, as_dict=True), **members}


class TokenEndpoint:
    """A SMART server: one token per assertion, each of which it checks; one resource behind the token."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.base = server.url_for("/fhir")
        self.url = server.url_for("/token")
        self.keys: list[Any] = [RSA_KEY, EC_KEY]
        self.headers: list[dict[str, Any]] = []
        self.claims: list[dict[str, Any]] = []
        self.scopes: list[str] = []
        self.valid: set[str] = set()
        self.numbers = itertools.count(1)
        self.answers: list[Response] = []  # given instead of tokens, in turn
        self.grant: dict[str, Any] = {"token_type": "bearer", "expires_in": 300}
        self.configuration: dict[str, Any] = {"token_endpoint": self.url, "capabilities": ["permission-v2"]}
        self.lock = threading.Lock()
        self.meeting: threading.Barrier | None = None  # who comes with an old token waits for the others
        server.expect_request("/fhir/.well-known/smart-configuration").respond_with_handler(
            lambda _: Response(json.dumps(self.configuration), content_type="application/json")
        )
        server.expect_request("/token", method="POST").respond_with_handler(self.token)
        server.expect_request("/fhir/Patient").respond_with_handler(self.resource)

    def token(self, request: Request) -> Response:
        with self.lock:
            assert "Authorization" not in request.headers
            form = {name: value for name, (value,) in parse_qs(request.get_data(as_text=True)).items()}
            assert form["grant_type"] == "client_credentials"
            assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            assertion = form["client_assertion"]
            self.headers.append(jwt.get_unverified_header(assertion))
            self.scopes.append(form["scope"])
            if self.answers:
                self.claims.append(jwt.decode(assertion, options={"verify_signature": False}))
                return self.answers.pop(0)
            known = [self.claimed(assertion, key) for key in self.keys]
            if not any(known):
                return refusal("invalid_client")
            self.claims.append(next(filter(None, known)))
            token = f"{SECRET}-token-{next(self.numbers)}"
            self.valid = {token}
            grant = {"access_token": token, "scope": form["scope"], **self.grant}
            return Response(json.dumps(grant), content_type="application/json")

    def claimed(self, assertion: str, key: Any) -> dict[str, Any] | None:
        algorithm = "RS384" if isinstance(key, rsa.RSAPrivateKey) else "ES384"
        try:
            return jwt.decode(assertion, key.public_key(), algorithms=[algorithm], audience=self.url)
        except jwt.PyJWTError:
            return None

    def resource(self, request: Request) -> Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        known = token in self.valid
        if self.meeting is not None and not known:
            self.meeting.wait(10)
        return Response(bundle(), 200 if known else 401)


def refusal(error: str, status: int = 400) -> Response:
    content = {"error": error, "error_description": f"{SECRET} is not known"}
    return Response(json.dumps(content), status, content_type="application/json")


@pytest.fixture
def smart() -> Iterator[TokenEndpoint]:
    with HTTPServer(host="localhost", port=0, threaded=True) as server:
        yield TokenEndpoint(server)
        server.check()


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


@pytest.fixture
def opened(tmp_path: Path, fake: FakeTime) -> Iterator[Any]:
    made: list[Transport] = []

    def open_one(base: str, *, secret: str = "", types: tuple[str, ...] = TYPES, **auth: Any) -> Transport:
        settings = Server.model_validate({"auth": {"client_id": "us", "private_key": "env:KEY", **auth}})
        made.append(
            open_transport(
                base,
                settings,
                folder=tmp_path,
                environment={"KEY": secret, "OTHER": SECRET},
                types=types,
                sleep=fake.sleep,
                clock=fake.clock,
                random=lambda: 0.0,
            )
        )
        return made[-1]

    yield open_one
    for transport in made:
        transport.close()


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"kind": "none"}, "Authorization", None),
        ({"kind": "bearer", "token": "env:OTHER"}, "Authorization", f"Bearer {SECRET}"),
        (
            {"kind": "basic", "user": "Aladdin", "password": "env:OTHER"},
            "Authorization",
            "Basic " + base64.b64encode(f"Aladdin:{SECRET}".encode()).decode(),
        ),
        ({"kind": "api_key", "api_key": "env:OTHER", "header": "X-Key"}, "X-Key", SECRET),
    ],
)
def test_fixed_secrets_go_into_their_header(
    auth: dict[str, Any], header: str, value: str | None, httpserver: HTTPServer, opened: Any
) -> None:
    """None, bearer, basic (RFC 7617) and API key."""
    httpserver.expect_request("/fhir/Patient").respond_with_data(bundle())
    transport = opened(httpserver.url_for("/fhir"), **auth)
    assert transport.get("Patient").status == 200
    assert httpserver.log[0][0].headers.get(header) == value
    assert SECRET not in repr(transport.auth) + repr(vars(transport))


def test_a_token_file_is_read_again_after_a_401(httpserver: HTTPServer, opened: Any, tmp_path: Path) -> None:
    """An agent that renews the file is followed; an unchanged file is not tried twice."""
    file = tmp_path / "token"
    file.write_text("first\n")
    file.chmod(0o600)

    def handler(request: Request) -> Response:
        return Response(bundle(), 200 if request.headers["Authorization"] == "Bearer second" else 401)

    httpserver.expect_request("/fhir/Patient").respond_with_handler(handler)
    transport = opened(httpserver.url_for("/fhir"), kind="bearer", token="file:token")
    with pytest.raises(AuthenticationError):
        transport.get("Patient")
    assert len(httpserver.log) == 1
    file.write_text("second\n")
    assert transport.get("Patient").status == 200
    assert len(httpserver.log) == 3


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS384"), (EC_KEY, "ES384")])
@pytest.mark.parametrize("form", ["PEM", "JWK", "JWKS"])
def test_a_client_signs_for_itself(
    key: Any, algorithm: str, form: str, smart: TokenEndpoint, opened: Any
) -> None:
    """RS384 and ES384, keys as PEM, JWK or set; the assertion holds what SMART asks for."""
    written = {"PEM": pem(key), "JWK": json.dumps(jwk(key)), "JWKS": json.dumps({"keys": [jwk(key)]})}
    transport = opened(smart.base, kind="smart", secret=written[form])
    assert transport.get("Patient").status == 200
    (header,), (claims,) = smart.headers, smart.claims
    assert (header["alg"], header["typ"]) == (algorithm, "JWT")
    assert claims["iss"] == claims["sub"] == "us"
    assert claims["aud"] == smart.url
    assert claims["exp"] - claims["iat"] <= 300
    assert smart.scopes == ["system/Observation.rs system/Patient.rs"]
    # RFC 7638 by hand: the required members in order, no blanks, SHA-256
    names = ("e", "kty", "n") if algorithm == "RS384" else ("crv", "kty", "x", "y")
    public = json.dumps({name: jwk(key)[name] for name in names}, separators=(",", ":"))
    digest = hashlib.sha256(public.encode()).digest()
    assert header["kid"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_the_thumbprint_of_the_standard() -> None:
    """The key of RFC 7638, section 3.1, has the thumbprint given there."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst"
        "n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr"
        "n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    members = {"kty": "RSA", "n": n, "e": "AQAB"}
    assert thumbprint(members) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert public_members(RSA_KEY) == {name: jwk(RSA_KEY)[name] for name in ("e", "kty", "n")}
    assert public_members(EC_KEY) == {name: jwk(EC_KEY)[name] for name in ("crv", "kty", "x", "y")}


def test_of_a_set_the_named_key_is_taken() -> None:
    """By key_id, else the first of the algorithm; the server knows it under its own kid."""
    content = SecretStr(json.dumps({"keys": [jwk(RSA_KEY, kid="a"), jwk(EC_KEY, kid="b")]}))
    assert signing_key(content, key_id=None, algorithm=None).id == "a"
    assert signing_key(content, key_id="b", algorithm=None).algorithm == "ES384"
    assert signing_key(content, key_id=None, algorithm="ES384").id == "b"
    with pytest.raises(SettingsError):
        signing_key(content, key_id="c", algorithm=None)


BAD_KEYS = {
    "nothing": "",
    "words": SECRET,
    "half a PEM": pem(RSA_KEY)[:200],
    "a public key": RSA_KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode(),
    "a public JWK": json.dumps({name: jwk(RSA_KEY)[name] for name in ("kty", "n", "e")}),
    "an empty set": '{"keys": []}',
    "a set of nonsense": json.dumps({"keys": [SECRET, None, {"kty": "RSA", "d": SECRET}]}),
    "not quite JSON": "{" + SECRET,
    "1024 bits": pem(rsa.generate_private_key(65537, 1024)),
    "P-256": pem(ec.generate_private_key(ec.SECP256R1())),
    "with a pass phrase": RSA_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    ).decode(),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_key_that_cannot_sign_is_told_before_anything_is_asked(
    name: str, smart: TokenEndpoint, opened: Any
) -> None:
    """Exit code 3, and nothing of the key in the error or its causes."""
    with pytest.raises(SettingsError) as raised:
        opened(smart.base, kind="smart", secret=BAD_KEYS[name])
    told = "".join(traceback.format_exception(raised.value))
    assert SECRET not in told
    assert "BEGIN" not in str(raised.value)
    assert smart.server.log == []


def test_a_key_of_the_wrong_kind_is_refused(smart: TokenEndpoint, opened: Any) -> None:
    """The settings say ES384, the key is RSA."""
    with pytest.raises(SettingsError, match="RS384"):
        opened(smart.base, kind="smart", secret=pem(RSA_KEY), algorithm="ES384")


def test_one_renewal_serves_all_workers(smart: TokenEndpoint, opened: Any) -> None:
    """Four workers meet an expired token at once: one new token, and each answer is there."""
    transport = opened(smart.base, kind="smart", secret=pem(EC_KEY))
    transport.get("Patient")
    smart.meeting = threading.Barrier(4)
    smart.valid.clear()
    with ThreadPoolExecutor(4) as pool:
        statuses = [reply.status for reply in pool.map(transport.get, ["Patient"] * 4)]
    assert statuses == [200] * 4
    assert len(smart.claims) == 2
    assert transport.tally.replays == 4
    print("\nSMART: 4 workers met an expired token, 1 renewal")


def test_a_token_is_renewed_at_four_fifths_of_its_life(
    smart: TokenEndpoint, opened: Any, fake: FakeTime
) -> None:
    """A life of 300 seconds: used at 239, renewed at 240, without any 401."""
    transport = opened(smart.base, kind="smart", secret=pem(EC_KEY))
    for moment, tokens in ((0, 1), (239, 1), (240, 2), (479, 2), (480, 3)):
        fake.moment = 1000.0 + moment
        assert transport.get("Patient").status == 200
        assert len(smart.claims) == tokens
    assert transport.tally.replays == 0


@pytest.mark.parametrize(
    ("expires_in", "renewed"), [("100", 80), (None, 240), (-1, 240), (1e300, 240), ("soon", 240), (0, 240)]
)
def test_a_strange_life_is_taken_for_the_usual_one(
    expires_in: Any, renewed: int, smart: TokenEndpoint, opened: Any, fake: FakeTime
) -> None:
    """Text is a number too; what is none means the 300 seconds that SMART recommends."""
    smart.grant["expires_in"] = expires_in
    transport = opened(smart.base, kind="smart", secret=pem(EC_KEY))
    for moment, tokens in ((0, 1), (renewed - 1, 1), (renewed, 2)):
        fake.moment = 1000.0 + moment
        transport.get("Patient")
        assert len(smart.claims) == tokens


def test_no_assertion_is_used_twice(smart: TokenEndpoint, opened: Any, fake: FakeTime) -> None:
    """Every try signs anew, those after a failure of the endpoint too; none lives over 300 seconds."""
    transport = opened(smart.base, kind="smart", secret=pem(EC_KEY))
    for _ in range(20):
        smart.answers = [Response("", 503), Response("", 500), Response("", 429, {"Retry-After": "1"})]
        transport.get("Patient")
        fake.moment += 300
    identifiers = [claims["jti"] for claims in smart.claims]
    assert len(identifiers) == len(set(identifiers)) == 80
    longest = max(claims["exp"] - claims["iat"] for claims in smart.claims)
    assert longest <= 300
    print(f"\nSMART: {len(identifiers)} assertions, none repeated, none over {longest} seconds")


def test_a_rotated_key_is_read_again_once(smart: TokenEndpoint, opened: Any, tmp_path: Path) -> None:
    """invalid_client: the file is read again; when that does not help either, it is the end."""
    file = tmp_path / "key.pem"
    file.write_text(pem(RSA_KEY))
    file.chmod(0o600)
    transport = opened(smart.base, kind="smart", private_key="file:key.pem")
    assert transport.get("Patient").status == 200
    smart.keys, smart.valid = [EC_KEY], set()
    file.write_text(pem(EC_KEY))
    assert transport.get("Patient").status == 200
    assert [header["alg"] for header in smart.headers] == ["RS384", "RS384", "ES384"]
    smart.keys, smart.valid = [], set()
    with pytest.raises(AuthenticationError, match="invalid_client") as raised:
        transport.get("Patient")
    assert len(smart.headers) == 5
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_older_servers_are_asked_for_older_scopes(smart: TokenEndpoint, opened: Any) -> None:
    """By what the server says, and where it says nothing after invalid_scope."""
    smart.configuration["capabilities"] = ["permission-v1"]
    opened(smart.base, kind="smart", secret=pem(EC_KEY)).get("Patient")
    assert smart.scopes == ["system/Observation.read system/Patient.read"]
    smart.configuration.pop("capabilities")
    smart.answers = [refusal("invalid_scope")]
    transport = opened(smart.base, kind="smart", secret=pem(EC_KEY))
    assert transport.get("Patient").status == 200
    assert smart.scopes[1:] == [
        "system/Observation.rs system/Patient.rs",
        "system/Observation.read system/Patient.read",
    ]
    assert transport.auth.missing_types(TYPES) == set()


def test_narrower_scopes_name_the_missing_type(smart: TokenEndpoint, opened: Any) -> None:
    """What was granted is known before anything is read."""
    smart.grant["scope"] = "system/Patient.rs system/Observation.rs?category=laboratory"
    transport = opened(smart.base, kind="smart", secret=pem(EC_KEY))
    assert transport.auth.missing_types(TYPES) == {"Observation"}
    assert transport.auth.granted == {"system/Patient.rs", "system/Observation.rs?category=laboratory"}


@pytest.mark.parametrize(
    ("scopes", "types"),
    [
        (["system/Patient.rs"], {"Patient"}),
        (["system/Patient.cruds"], {"Patient"}),
        (["system/Patient.read"], {"Patient"}),
        (["system/Patient.*"], {"Patient"}),
        (["system/*.read"], {"*"}),
        (["system/Patient.r", "system/Observation.s"], set()),
        (["system/Patient.write", "user/Patient.rs", "patient/Patient.rs", "openid"], set()),
        (["system/Patient.rs?_id=1", "system/Patient.sr", "system/.rs"], set()),
        ([], set()),
    ],
)
def test_scopes_are_read_as_smart_writes_them(scopes: list[str], types: set[str]) -> None:
    """https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html: letters in the order cruds."""
    assert readable(scopes) == types
    assert missing_types(["Patient"], scopes) == (set() if types & {"Patient", "*"} else {"Patient"})


def test_scopes_of_the_settings_are_asked_for_as_they_are(smart: TokenEndpoint, opened: Any) -> None:
    """Nothing is added; and invalid_scope is the end of it."""
    assert scopes_for([]) == ()
    smart.answers = [refusal("invalid_scope")]
    with pytest.raises(AuthenticationError, match="invalid_scope"):
        opened(smart.base, kind="smart", secret=pem(EC_KEY), scopes=["system/*.rs"]).get("Patient")
    assert smart.scopes == ["system/*.rs"]


CONFIGURATIONS = {
    "no endpoint": {},
    "not a text": {"token_endpoint": 7},
    "plain http elsewhere": {"token_endpoint": "http://auth.example.org/token"},
    "with a user": {"token_endpoint": "https://us@auth.example.org/token"},
    "file": {"token_endpoint": "file:///etc/passwd"},
    "other methods": {"token_endpoint_auth_methods_supported": ["client_secret_basic"]},
    "a list": [1],
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_that_cannot_be_used(name: str, smart: TokenEndpoint, opened: Any) -> None:
    """It is told, and no assertion leaves."""
    smart.configuration = CONFIGURATIONS[name]  # type: ignore[assignment]
    if name == "other methods":
        smart.configuration["token_endpoint"] = smart.url
    with pytest.raises(FhirAdapterError) as raised:
        opened(smart.base, kind="smart", secret=pem(EC_KEY)).get("Patient")
    assert raised.value.exit_code in {5, 6}
    assert smart.claims == []


ANSWERS = {
    "refused": refusal("invalid_scope"),
    "words of its own": refusal(SECRET, 401),
    "no JSON": Response(f"<html>{SECRET}</html>"),
    "no token": Response("{}"),
    "an empty token": Response('{"access_token": "", "token_type": "bearer"}'),
    "a token with a line break": Response('{"access_token": "a\\r\\nX: b", "token_type": "bearer"}'),
    "another kind of token": Response(json.dumps({"access_token": SECRET, "token_type": "mac"})),
    "deep": Response("[" * 100_000),
    "a redirect": Response("", 307, {"Location": "https://evil.example/token"}),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_without_a_token_is_the_end(name: str, smart: TokenEndpoint, opened: Any) -> None:
    """AuthenticationError, exit code 5; of the answer nothing but a known OAuth code is repeated."""
    smart.answers = [ANSWERS[name]] * 3
    with pytest.raises(AuthenticationError) as raised:
        opened(smart.base, kind="smart", secret=pem(EC_KEY), scopes=["system/*.rs"]).get("Patient")
    told = "".join(traceback.format_exception(raised.value))
    assert SECRET not in told
    assert "eyJ" not in told


def test_a_token_endpoint_that_is_down_is_waited_for(
    smart: TokenEndpoint, opened: Any, fake: FakeTime
) -> None:
    """Six tries, then TransientServerError: another run may succeed."""
    smart.answers = [Response("", 503)] * 6
    with pytest.raises(TransientServerError):
        opened(smart.base, kind="smart", secret=pem(EC_KEY)).get("Patient")
    assert len(fake.slept) == 5


def test_no_secret_is_shown(
    smart: TokenEndpoint, opened: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither key, assertion nor token in a representation, log or stream, at debug level."""
    caplog.set_level(logging.DEBUG)
    key = pem(EC_KEY)
    transport = opened(smart.base, kind="smart", secret=key)
    assert transport.get("Patient").status == 200
    vault = Vault(Path(), {"OTHER": SECRET})
    shown = repr(transport.auth) + repr(vars(transport.auth)) + repr(vault) + repr(vault.read("env:OTHER"))
    shown += repr(signing_key(SecretStr(key), key_id=None, algorithm=None)) + repr(transport.settings)
    streams = capfd.readouterr()
    own = " ".join(record.getMessage() for record in caplog.records)
    for text in (
        repr(transport.auth),
        shown.replace(repr(vars(transport.auth)), ""),
        own,
        streams.out,
        streams.err,
    ):
        assert SECRET not in text
        assert "eyJ" not in text
        assert key.splitlines()[1] not in text


@pytest.mark.parametrize("name", ["token", "password", "api_key", "private_key"])
def test_a_secret_in_the_study_file_is_refused(name: str, tmp_path: Path) -> None:
    """It is not repeated in what is said about it, nor in the causes of that."""
    file = tmp_path / "study.toml"
    source = 'name = "ehr"\nkind = "server"\nbase_url = "https://ehr.example.org/fhir"'
    auth = f'[sources.server.auth]\n{name} = "{SECRET}"'
    file.write_text(f'[study]\nid = "s"\ntitle = "S"\n[[sources]]\n{source}\n{auth}\n')
    with pytest.raises(SettingsError) as raised:
        load_study(file)
    assert "use env:, file: or keyring:" in str(raised.value)
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    with pytest.raises(SettingsError) as refused:
        Vault(Path(), {}).read(SECRET)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_private_files_are_read(mode: int, tmp_path: Path) -> None:
    """The owner, and the group that Kubernetes gives a mounted secret."""
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n")
    (tmp_path / "secret").chmod(mode)
    assert Vault(tmp_path, {}).read("file:secret").get_secret_value() == SECRET


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666, 0o602, 0o620, 0o777])
def test_files_that_others_may_read_are_refused(mode: int, tmp_path: Path) -> None:
    """With what to do about it."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600") as raised:
        Vault(tmp_path, {}).read("file:secret")
    assert SECRET not in str(raised.value)


def test_secrets_that_are_not_there(tmp_path: Path) -> None:
    """A missing, empty or unreadable secret is named by where it was looked for."""
    (tmp_path / "bytes").write_bytes(b"\xff" + SECRET.encode())
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "long").write_text(SECRET * 10_000)
    (tmp_path / "lines").write_text(f"{SECRET}\nX-Header: {SECRET}")
    for file in tmp_path.iterdir():
        file.chmod(0o600)
    vault = Vault(tmp_path, {"EMPTY": " "})
    for reference in (
        "env:NONE",
        "env:EMPTY",
        "file:none",
        "file:.",
        "file:bytes",
        "file:empty",
        "file:long",
    ):
        with pytest.raises(SettingsError, match=reference) as raised:
            vault.read(reference)
        assert SECRET not in "".join(traceback.format_exception(raised.value))
    with pytest.raises(SettingsError, match="one line") as raised:
        vault.read_line("file:lines")
    assert SECRET not in str(raised.value)


def test_the_keyring_is_asked_only_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Service and user; without the extra it says how to install it; a locked one says so."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    vault = Vault(Path(), {})
    with pytest.raises(SettingsError, match=r"pip install 'fhiradapter\[keyring\]'"):
        vault.read("keyring:ehr:us")

    class KeyringError(Exception):
        pass

    def password(service: str, user: str) -> str | None:
        if service == "locked":
            raise KeyringError(SECRET)
        return SECRET if (service, user) == ("https://ehr.example.org", "us") else None

    stand_in = types.SimpleNamespace(
        get_password=password, errors=types.SimpleNamespace(KeyringError=KeyringError)
    )
    monkeypatch.setitem(sys.modules, "keyring", stand_in)
    assert vault.read("keyring:https://ehr.example.org:us").get_secret_value() == SECRET
    with pytest.raises(SettingsError, match="no secret"):
        vault.read("keyring:ehr:nobody")
    with pytest.raises(SettingsError, match="cannot be opened") as raised:
        vault.read("keyring:locked:us")
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A FHIR server of others, which lets in two clients by SMART Backend Services; its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
        clients = [
            {"client_id": name, "jwks": {"keys": [public_members(key)]}, "scopes": "system/Patient.rs"}
            for name, key in (("RS384", RSA_KEY), ("ES384", EC_KEY))
        ]
        folder = tmp_path_factory.mktemp("sekmet")
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(
                    Settings(
                        base_url=base,
                        host="127.0.0.1",
                        data_dir=str(folder),
                        db_path=":memory:",
                        log_inbound=False,
                        simulator={"enabled": False},
                        server_auth={"types": ["smart"], "smart_clients": clients},
                    )
                ),
                log_level="warning",
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield base
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS384"), (EC_KEY, "ES384")])
def test_a_real_server_lets_us_in(key: Any, algorithm: str, real_server: str, opened: Any) -> None:
    """sekmet-fhir checks signature, audience, expiry and jti, and grants less than was asked for."""
    transport = opened(real_server, kind="smart", client_id=algorithm, secret=pem(key))
    assert transport.auth.missing_types(TYPES) == {"Observation"}
    reply = transport.get("Patient?_count=1")
    assert (reply.status, json.loads(reply.body)["type"]) == (200, "searchset")
    assert transport.auth.refresh(transport.auth.headers()["Authorization"])
    assert transport.get("Patient?_count=1").status == 200
    with pytest.raises(AuthenticationError):
        opened(real_server, kind="none").get("Patient")
    with pytest.raises(AuthenticationError, match="invalid_client"):
        opened(real_server, kind="smart", client_id="nobody", secret=pem(key)).get("Patient")
