"""The server of the explorer: for this machine alone, unless a host is named, and then for those who hold the token."""

from __future__ import annotations

import errno
import hmac
import logging
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from bokeh.server.auth_provider import AuthProvider
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

from assembly.checks import check_count
from assembly.errors import ArgumentError
from assembly.explorer.uploads import LARGEST_FILES
from assembly.progress import silenced

LOOPBACK = "127.0.0.1"
_WARMED_AFTER = 1.0  # seconds: a page that is asked for at once is built first
_SWITCH = 1e-3  # seconds that a worker keeps the interpreter at most, while a page waits for it; 5e-3 of Python's own
USUAL_PORT = 5006
LARGEST_MESSAGE = LARGEST_FILES * 3 // 2  # bytes from a page: files arrive as base64
_CHECK_EVERY = 1000  # milliseconds between looks for pages that are gone,
_FORGET_AFTER = 10_000  # and how long one may be away, as during a reconnect
_EVERYWHERE = ("0.0.0.0", "::")
_COOKIE = "assembly-explorer"


class _Refused(RequestHandler):  # type: ignore[misc]
    def get(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("This explorer needs its token: open the address that it printed when it was started.")


class _Token(AuthProvider):  # type: ignore[misc]
    """Lets in whoever knows the token, by the address of the page once, by a cookie from then on."""

    def __init__(self, token: str) -> None:
        self._token = token
        super().__init__()

    @property
    def get_user(self) -> Callable[[Any], str | None]:
        def user(handler: Any) -> str | None:
            given = handler.get_query_argument("token", "")
            if given and self._is_right(given):
                handler.set_cookie(_COOKIE, given, httponly=True, samesite="Strict")
                return "visitor"
            return "visitor" if self._is_right(handler.get_cookie(_COOKIE, "")) else None

        return user

    @property
    def login_url(self) -> str:
        return "/token-needed"

    @property
    def login_handler(self) -> type[RequestHandler]:
        return _Refused

    def _is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def serve(
    port: int | None = None,
    host: str | None = None,
    *,
    query: str = "",
    opens_browser: bool = True,
    tell: Callable[[str], object] = print,
    io_loop: IOLoop | None = None,
) -> None:
    """Serve the explorer until Ctrl-C.

    Parameters
    ----------
    port : int, optional
        By default 5006, or a free one where that is taken.
    host : str, optional
        The address to listen on. By default 127.0.0.1, which this machine alone can reach. With a name, a visitor needs
        the token that is printed as a part of the address.
    query : str
        The state at which the page opens, as its address has it; the usual one by default.
    opens_browser : bool
        Open the page.
    tell : callable
        Given the address when the server listens.

    Raises
    ------
    ArgumentError
        If the port is taken or no port, or the host is no address of this machine.

    Notes
    -----
    Pages of other origins are refused, sessions are signed, nothing that a visitor types is evaluated. A page that is
    gone for ten seconds is forgotten and its work stopped. The traffic is not encrypted.
    """
    import panel as pn

    from assembly.explorer.app import page

    token = None if host is None else secrets.token_urlsafe(16)
    address = LOOPBACK if host is None else host
    bound = _bound_port(address, port)
    logging.getLogger("bokeh").setLevel(logging.ERROR)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    options: dict[str, Any] = {"auth_provider": _Token(token)} if token else {}
    server = pn.io.server.get_server(
        {"/": lambda: page(owns_machine=host is None)},
        port=bound,
        address=address,
        websocket_origin=[f"{name}:{bound}" for name in _names(address)],
        title="Explorer of assemblies",
        show=False,
        start=False,
        loop=io_loop,
        secret_key=secrets.token_bytes(32),
        sign_sessions=True,
        websocket_max_message_size=LARGEST_MESSAGE,
        check_unused_sessions_milliseconds=_CHECK_EVERY,
        unused_session_lifetime_milliseconds=_FORGET_AFTER,
        **options,
    )
    shown = socket.gethostname() if address in _EVERYWHERE else address
    asked = "&".join(part for part in (query, urlencode({"token": token}) if token else "") if part)
    location = f"http://{shown}:{bound}/{'?' + asked if asked else ''}"
    tell(location)
    warmth = threading.Thread(target=_warm, daemon=True)
    server.io_loop.call_later(_WARMED_AFTER, warmth.start)
    if opens_browser:
        server.io_loop.add_callback(webbrowser.open, location)
    sys.setswitchinterval(_SWITCH)
    try:
        with silenced():
            server.start()
            server.io_loop.start()
    finally:
        server.stop(wait=False)


def _bound_port(address: str, port: int | None) -> int:
    """Return a port that is free, or say why there is none."""
    wanted = USUAL_PORT if port is None else check_count("port", port, 1, 65535)
    try:
        return _free(address, wanted)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise ArgumentError(
                f"The 'host' argument must be an address of this machine, with a port one may use. "
                f"Got {address!r}, port {wanted}."
            ) from None
        if port is None:
            return _free(address, 0)
    raise ArgumentError(f"The 'port' argument must be a free port. Got {wanted}, which another program uses.")


def _free(address: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        return int(probe.getsockname()[1])


def _names(address: str) -> list[str]:
    """Return the names under which a page of this server may call it."""
    if address == LOOPBACK:
        return [LOOPBACK, "localhost"]
    if address not in _EVERYWHERE:
        return [address]
    own = socket.gethostname()
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(own, None)}
    except OSError:
        found = set()
    return [LOOPBACK, "localhost", own, *sorted(found)]


def _warm() -> None:
    """Load what the first answer needs, kernels among them, and the panels, behind the first page."""
    from assembly.explorer import answers, script  # noqa: F401
    from assembly.explorer.panels import network, scaling, tour, training  # noqa: F401
    from assembly.explorer.state import State

    answers.numbers(State(width=8))
