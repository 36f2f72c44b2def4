"""The pool: which connections are used again, for how long they are kept, and to which addresses none is made."""

import asyncio
import socket
import ssl
from collections.abc import Callable

import pytest

from penstock._core.environment import Link
from penstock._core.limits import Limits
from penstock._core.mounts import Route
from penstock.http.pool import MAX_IDLE, Pool
from penstock.http.upstream_side import UpstreamConnection
from unit.penstock._core.fake_sides import KNOWN, an_upstream
from unit.penstock.http.fake_transport import FakeTransport
from unit.penstock.http.test_upstream_side import OK, Taker

ROUTE = Route.of(an_upstream())


class Kept:
    """Is a pool with connections that a test made without opening any."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pool = Pool(Limits(upstream_idle_s=15), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), lambda: self.now)

    def add(self, route: Route = ROUTE) -> FakeTransport:
        """Puts one connection into the pool, as it is after a whole answer."""
        key = (route.tls, route.host, route.port, route.upstream.private_addresses)
        connection = UpstreamConnection(self.pool, key)
        transport = FakeTransport(connection)
        connection.take(Taker(link=connection))
        transport.receive(OK)
        return transport

    def used(self, route: Route = ROUTE) -> object:
        """Returns the connection that a request gets at once, None if there is none."""
        taker = Taker()

        async def ask() -> None:
            self.pool.open(route, taker)
            self.pool.close()
            await asyncio.sleep(0)

        asyncio.run(ask())
        return taker.events == ["reused"] or None


def test_a_kept_connection_is_used_at_once_and_by_one_request_only() -> None:
    """The one that was used last, as it is the least likely to be stale."""
    kept = Kept()
    first, last = kept.add(), kept.add()
    takers = [Taker(), Taker()]
    for taker in takers:
        kept.pool.open(ROUTE, taker)
        assert taker.events == ["reused"]
    last.receive(OK)
    assert (takers[0].body, takers[1].body) == (b"ok", b"")
    first.receive(OK)
    assert takers[1].body == b"ok"


def test_a_connection_that_has_closed_is_not_used() -> None:
    """Whether its end was noticed or is under way."""
    kept = Kept()
    kept.add().lose()
    kept.add().close()
    alive = kept.add()
    kept.add().abort()
    taker = Taker()
    kept.pool.open(ROUTE, taker)
    assert taker.events == ["reused"]
    alive.receive(OK)
    assert taker.body == b"ok"
    assert kept.used() is None


@pytest.mark.parametrize(
    "other",
    [
        an_upstream(url="https://billing.example"),
        an_upstream(url="http://other.example"),
        an_upstream(url="http://billing.example:8080"),
        an_upstream(private=True),
    ],
)
def test_connections_to_other_places_are_not_used(other: object) -> None:
    """Host, port, TLS and the permission for private addresses must be the same."""
    kept = Kept()
    kept.add()
    assert kept.used(Route.of(other)) is None  # type: ignore[arg-type]
    assert kept.used(Route.of(an_upstream("second", dialect="anthropic"))) is not None


def test_only_so_many_are_kept() -> None:
    """Further ones are closed."""
    kept = Kept()
    transports = [kept.add() for _ in range(MAX_IDLE + 1)]
    assert [bool(each.ended) for each in transports] == [False] * MAX_IDLE + [True]


def test_idle_connections_are_closed_before_servers_do_it() -> None:
    """Time counts from the last answer."""
    kept = Kept()
    old = kept.add()
    kept.now += 10
    young = kept.add()
    kept.now += 5
    kept.pool.sweep()
    assert not old.ended
    kept.now += 0.1
    kept.pool.sweep()
    assert (old.ended, young.ended) == ("aborted", "")
    kept.now += 10
    kept.pool.sweep()
    assert young.ended == "aborted"
    assert kept.used() is None


class Waiter(Taker):
    """Is an exchange that a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    def opened(self, link: Link, *, reused: bool) -> None:
        super().opened(link, reused=reused)
        self.told.set()

    def open_failed(self, code: str, reason: str) -> None:
        assert reason.isprintable() and "billing" in reason
        super().open_failed(code, reason)
        self.told.set()


async def opened(url: str, *, private: bool = False, known: bool = False) -> Taker:
    """Returns what a request for a new connection was told."""
    pool = Pool(Limits(connect_timeout_s=5), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), lambda: 0.0)
    taker = Waiter()
    pool.open(Route.of(an_upstream(url=url, private=private, known=(KNOWN,) if known else ())), taker, fresh=True)
    assert taker.events == []
    await taker.told.wait()
    pool.close()
    return taker


@pytest.mark.anyio
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "localhost",
        "169.254.169.254",
        "2852039166",
        "0.0.0.0",
        "[::]",
        "0",
    ],
)
async def test_an_address_that_is_not_public_is_refused(host: str) -> None:
    """However it is written: what counts is what the name resolves to."""
    assert (await opened(f"http://{host}:9")).events == ["address_refused"]


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["169.254.169.254", "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "0.0.0.0"])
async def test_some_addresses_are_refused_even_where_private_ones_are_meant(host: str) -> None:
    """Metadata services hand out credentials."""
    assert (await opened(f"http://{host}:9", private=True)).events == ["address_refused"]


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
async def test_a_host_that_is_no_name_is_told_once(host: str) -> None:
    """A request is never left waiting."""
    assert (await opened(f"http://{host}")).events == ["upstream_unreachable"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("found", "private"),
    [
        (["8.8.8.8", "127.0.0.1"], False),
        (["127.0.0.1", "8.8.8.8"], False),
        (["2606:4700::1111", "8.8.8.8", "10.0.0.1"], False),
        (["127.0.0.1", "169.254.169.254"], True),
        (["10.0.0.1", "::ffff:169.254.169.254"], True),
    ],
)
async def test_one_bad_address_of_a_name_refuses_them_all(
    found: list[str], private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can mix an inner address in among good ones; nothing is connected to."""
    asked: list[object] = []

    async def resolve(host: object, port: object, **_: object) -> list[object]:
        asked.append((host, port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    taker = await opened("http://billing.example:9", private=private)
    assert (taker.events, asked) == (["address_refused"], [("billing.example", 9)])


@pytest.mark.anyio
@pytest.mark.parametrize(("known", "events"), [(True, ["address_refused"]), (False, ["upstream_unreachable"])])
async def test_a_credential_never_crosses_the_internet_in_the_clear(
    known: bool, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain HTTP with a credential stays in private networks, whatever the name resolves to by now."""
    loop = asyncio.get_running_loop()

    async def resolve(host: object, port: object, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]

    async def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    monkeypatch.setattr(loop, "create_connection", refuse)
    assert (await opened("http://billing.example:9", private=True, known=(KNOWN,) if known else ())).events == events


@pytest.mark.anyio
async def test_a_name_without_an_address_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the resolver fails or finds nothing usable, nothing is connected to."""

    async def fail(*_: object, **__: object) -> list[object]:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
    assert (await opened("http://billing.example")).events == ["upstream_unreachable"]

    async def nothing(*_: object, **__: object) -> list[object]:
        return []

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nothing)
    assert (await opened("http://billing.example")).events == ["address_refused"]


class Connected(FakeTransport):
    """Is a connection between two addresses. ended: whether the pool let it go."""

    def __init__(self, here: str, other: str, protocol: asyncio.Protocol) -> None:
        super().__init__(protocol)
        self.names = {"sockname": (here, 50000), "peername": (other, 8642)}

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.names.get(name, default)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("here", "other", "own", "event"),
    [
        ("127.0.0.1", "127.0.0.1", ("127.0.0.1", 8642), "loop_detected"),
        ("::1", "::1", ("::1", 8642), "loop_detected"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", ("127.0.0.1", 8642), "loop_detected"),
        ("127.0.0.1", "127.0.0.99", ("0.0.0.0", 8642), "loop_detected"),
        ("10.0.0.7", "10.0.0.7", ("::", 8642), "loop_detected"),
        ("fe80::7%eth0", "fe80::7%eth0", ("::", 8642), "loop_detected"),
        ("10.0.0.7", "10.0.0.8", ("0.0.0.0", 8642), "opened"),
        ("10.0.0.7", "10.0.0.7", ("127.0.0.1", 8642), "opened"),
        ("127.0.0.1", "127.0.0.1", ("127.0.0.1", 8643), "opened"),
        ("127.0.0.1", "127.0.0.1", ("127.0.0.1", 0), "opened"),
    ],
)
async def test_a_shim_is_never_its_own_upstream(
    here: str, other: str, own: tuple[str, int], event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever address of this machine it is found; nothing was sent to it. Others may have its port elsewhere."""
    made: list[Connected] = []

    async def connect(factory: Callable[[], asyncio.Protocol], *_: object, **__: object) -> object:
        protocol = factory()
        made.append(Connected(here, other, protocol))
        return made[0], protocol

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", connect)
    pool = Pool(Limits(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), lambda: 0.0)
    pool.own = frozenset({own})
    taker = Waiter()
    pool.open(Route.of(an_upstream(url="http://127.0.0.1:8642", private=True)), taker, fresh=True)
    await taker.told.wait()
    assert taker.events == [event]
    assert (made[0].ended, made[0].written) == ("" if event == "opened" else "aborted", b"")
    pool.close()
