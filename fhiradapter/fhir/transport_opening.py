"""Opening: a transport made from the settings of one server, with the secrets that they refer to."""

import random as randomness
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from fhiradapter.connection import Server
from fhiradapter.fhir.auth import Authorization, static_authorization
from fhiradapter.fhir.fetching import Reply
from fhiradapter.fhir.keys import SigningKey, signing_key
from fhiradapter.fhir.patience import Patience, Tally
from fhiradapter.fhir.retries import Policy
from fhiradapter.fhir.secrets import Vault
from fhiradapter.fhir.smart import SmartBackend
from fhiradapter.fhir.transport import Transport
from fhiradapter.fhir.transport_session import Session

LARGEST_TOKEN = 1 << 20  # bytes of an answer of the token endpoint


def _now() -> datetime:
    return datetime.now(UTC)


def open_transport(
    base_url: str,
    settings: Server,
    *,
    folder: Path,
    environment: Mapping[str, str],
    types: Iterable[str] = (),
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    random: Callable[[], float] = randomness.random,
    now: Callable[[], datetime] = _now,
) -> Transport:
    """Return a transport for the server at `base_url`; close it.

    `types` are those that scopes are asked for. `environment` is where `env:` secrets are looked up. Raises
    SettingsError when a secret, key or certificate cannot be used; nobody is asked yet.
    """
    vault = Vault(folder, environment)
    session = Session(settings, vault=vault, clock=clock)
    auth: Authorization
    try:
        if settings.auth.kind == "smart":
            policy = Policy(settings.tries, settings.retry_after_seconds)
            auth = _smart(
                base_url,
                settings,
                vault=vault,
                session=session,
                patience=Patience(policy, sleep, clock, random, now, Tally()),
                types=types,
            )
        else:
            auth = static_authorization(settings.auth, vault)
        return Transport(
            base_url,
            settings,
            auth=auth,
            folder=folder,
            sleep=sleep,
            clock=clock,
            random=random,
            now=now,
            session=session,
        )
    except BaseException:
        session.close()
        raise


def _smart(
    base_url: str,
    settings: Server,
    *,
    vault: Vault,
    session: Session,
    patience: Patience,
    types: Iterable[str],
) -> SmartBackend:
    def read_key() -> SigningKey:
        secret = vault.read(settings.auth.private_key or "")
        return signing_key(secret, key_id=settings.auth.key_id, algorithm=settings.auth.algorithm)

    def ask(method: str, url: str, *, headers: Mapping[str, str], body: bytes | None) -> Reply:
        pace = session.pace(f"{base_url}: token endpoint", most=LARGEST_TOKEN)
        return session.open(method, url, headers=headers, pace=pace, body=body).read()

    read_key()  # a key that cannot be used is told before anything is begun
    return SmartBackend(
        base_url.rstrip("/"),
        settings.auth,
        read_key=read_key,
        ask=ask,
        patience=patience,
        types=tuple(types),
        clock=patience.clock,
        now=patience.now,
    )
