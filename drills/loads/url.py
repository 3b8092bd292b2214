"""`{url: https://…, users: 40}`: an HTTP service of your own, driven by locust."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from drills.errors import SetupError
from drills.loads.base import Load
from drills.parts import Positive, Seconds

_SECONDS = 10.0


def _is_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", text):
        raise ValueError(f"a URL like http://host:port/path is wanted, not {text!r}")
    if parts.username is not None or parts.password is not None:
        # not repeated here: this line is shown
        raise ValueError("a URL must hold no user or password: it is written to the run folder")
    return text


Url = Annotated[str, AfterValidator(_is_url)]
Request = Annotated[
    str, Field(pattern=r"^(GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE) /[^\s]*$", examples=["GET /x"])
]


class UrlLoad(Load):
    """`users` users that send `requests` to the service at `url`, each at random, waiting `wait`
    in between. POST, PUT and PATCH send `body` as JSON.

    The service runs before, during and after the drill; it is neither started nor stopped. Its
    certificate is not verified: what is judged is its database credentials.
    """

    key: ClassVar[str] = "url"
    foreign: ClassVar[bool] = True

    url: Url
    users: Positive
    requests: Annotated[tuple[Request, ...], Field(strict=False)] = ()
    body: dict[str, Any] | None = None
    wait: Seconds = 0.08

    @property
    def host(self) -> str:
        """The URL without path and query: what locust calls the host."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def asked(self) -> tuple[str, ...]:
        """The requests: those given, else a GET of the URL's own path."""
        parts = urlsplit(self.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return self.requests or (f"GET {path}",)

    def client(self, pool: str) -> str:
        """Whatever pool the service has, the drill does not know it."""
        return "its own (url)"

    def words(self, pool: str) -> str:
        """Return the load in a few words."""
        return f"{self.users} users on {self.host}"

    def check(self) -> None:
        """Ask what may be asked without a trace (GET, HEAD, OPTIONS), once. Raises `SetupError`.

        A service that does not answer, or fails before anything is broken, can't be drilled.
        """
        import httpx  # noqa: PLC0415 - `drill list` needs none of it

        safe = [line.split(" ", 1) for line in self.asked]
        safe = [each for each in safe if each[0] in {"GET", "HEAD", "OPTIONS"}] or [["HEAD", "/"]]
        method, path = safe[0]
        known = any(line.startswith(f"{method} {path}") for line in self.asked)
        try:
            with httpx.Client(verify=False, timeout=_SECONDS, trust_env=False) as client:  # noqa: S501 - see above
                status = client.request(method, self.host + path).status_code
        except httpx.HTTPError as error:
            raise SetupError(
                f"load.url: {self.host} does not answer ({type(error).__name__}): start the "
                "service, or mend the URL"
            ) from None
        if known and status >= 400:
            raise SetupError(
                f"load.url: {method} {self.host}{path} is answered with {status} before anything "
                "is broken: mend the URL or `requests`, or the service"
            )
