"""TLS between a real shim and its origin: always verified, and nothing is sent to one that cannot be."""

import asyncio
import datetime
import ipaddress
import json
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integration.agent_and_origin import RawOrigin, get, post, running
from penstock._core.limits import Limits
from unit.penstock._core.fake_sides import CREDENTIAL

pytestmark = pytest.mark.anyio

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Runs every test on the standard loop and on the one that the command uses."""
    return "asyncio", {"use_uvloop": request.param}


class Authority:
    """Is a certificate authority that lives for one test."""

    def __init__(self, folder: Path, name: str = "test") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key.public_key(), NOW + DAY, ca=True)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        until: datetime.datetime,
        *alternatives: x509.GeneralName,
        ca: bool = False,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 2 * DAY)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def trusting(self) -> ssl.SSLContext:
        """Returns what a shim verifies with."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def serving(
        self, *, name: str = "localhost", address: str = "127.0.0.1", until: datetime.datetime = NOW + DAY
    ) -> ssl.SSLContext:
        """Returns what an origin serves with: a certificate for a name and an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternatives = x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))
        certificate = self._sign(subject, key.public_key(), until, *alternatives)
        path = self._folder / f"{certificate.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Makes an authority."""
    return Authority(tmp_path)


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every request that has a Content-Length or no body."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length or b"0"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_origin_with_the_right_certificate_is_served(authority: Authority, host: str) -> None:
    """By address or by name; its connection is kept, and large bodies pass."""
    origin = RawOrigin(answering)
    async with origin.running(authority.serving()), running(origin.port, tls=authority.trusting(), host=host) as shim:
        agent = await shim.agent()
        for size in (0, 5, 3_000_000):
            await agent.send(post("/billing/x", b"x" * size))
            assert await agent.answer() == (200, b"x" * size)
        assert len(origin.received) == 1
        head = bytes(origin.received[0]).partition(b"\r\n\r\n")[0]
        assert f"\r\nhost: {host}:{origin.port}\r\n".encode() in head and CREDENTIAL[1] in head


@pytest.mark.parametrize("why", ["name", "address", "expired", "authority", "system"])
async def test_an_origin_that_cannot_be_verified_gets_nothing(tmp_path: Path, authority: Authority, why: str) -> None:
    """A certificate for somebody else, an old one, or one of an authority that is not trusted: a 502 that says so."""
    serving = {
        "name": lambda: authority.serving(name="other.example"),
        "address": lambda: authority.serving(address="127.0.0.2"),
        "expired": lambda: authority.serving(until=NOW - DAY),
        "authority": lambda: Authority(tmp_path, "other").serving(),
        "system": authority.serving,
    }[why]()
    trusting = ssl.create_default_context() if why == "system" else authority.trusting()
    host = "localhost" if why == "name" else "127.0.0.1"
    origin = RawOrigin(answering)
    async with origin.running(serving), running(origin.port, tls=trusting, host=host) as shim:
        agent = await shim.agent()
        for _ in range(2):
            await agent.send(get())
            status, body = await agent.answer()
            assert (status, json.loads(body)["code"]) == (502, "upstream_untrusted")
        assert origin.everything == b""
        assert shim.recorder.kinds == ["request", "refused"] * 2


async def test_an_origin_that_speaks_no_tls_gets_nothing(authority: Authority) -> None:
    """Nothing but the beginning of a handshake."""
    origin = RawOrigin(answering)
    async with origin.running(), running(origin.port, tls=authority.trusting()) as shim:
        origin._serve = _hang_up
        agent = await shim.agent()
        await agent.send(get())
        assert (await agent.answer())[0] == 502
        assert CREDENTIAL[1] not in origin.everything and b"HTTP" not in origin.everything


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


async def test_a_handshake_that_does_not_end_is_given_up(authority: Authority) -> None:
    """Within the time for connecting; the agent is told."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    origin = RawOrigin(silent)
    limits = Limits(connect_timeout_s=0.5)
    async with origin.running(), running(origin.port, tls=authority.trusting(), limits=limits) as shim:
        agent = await shim.agent()
        await agent.send(get())
        status, body = await agent.answer()
        assert (status, json.loads(body)["code"]) == (502, "upstream_unreachable")
