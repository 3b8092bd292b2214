"""`drill rotate`: every credential of a service ends, then it gets new ones. Investigate after.

The order is what a leak asks for: first nobody can log in any more (secret ids), then nobody is
logged in (tokens), then nothing that was leased works (leases, static logins), and only then is
something new issued. Each step can be repeated; what an interrupted rotation has ended stays
ended, and the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from drills.database import Database
from drills.errors import SetupError, VaultRefused, VaultUnreachable
from drills.project import Project
from drills.vault import Vault
from infra.platform import Application, Platform, Service

POLICY = "rotate-operator"
#: Long enough for thousands of leases (57 a second were measured), short enough to be harmless.
_TOKEN_TTL = "30m"  # noqa: S105 - a duration
_ROUNDS = 5
Say = Callable[[str], None]


@dataclass(frozen=True)
class Check:
    """What was tried after the rotation: as it must be, or not; None: could not be tried."""

    name: str
    good: bool | None
    detail: str


@dataclass
class Rotated:
    """What was done, what was not, and how it was checked."""

    service: str
    done: list[str] = field(default_factory=list)
    not_done: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    error: str | None = None

    @property
    def good(self) -> bool:
        """Whether all was done and no check came out wrong."""
        return not self.not_done and all(check.good is not False for check in self.checks)


@dataclass
class _Canary:
    """Logins of before, which must not work after."""

    secret_id: str = ""
    token: str = ""
    username: str = ""
    password: str = ""


class Rotation:
    """One rotation of one service. `close` revokes the token that it ran under."""

    def __init__(
        self, platform: Platform, service: Application, *, project: Project, say: Say
    ) -> None:
        """Make the token to work with; raises `SetupError`, `VaultRefused`, `VaultUnreachable`."""
        self._platform, self._service, self._project = platform, service, project
        self._say = say
        self._canary = _Canary()
        self.result = Rotated(service.name)
        provisioner = Vault(platform, token=project.provisioner_token())
        try:
            made = provisioner.call(
                "POST",
                "auth/token/create",
                json={
                    "policies": [POLICY],
                    "no_default_policy": False,  # it revokes itself
                    "display_name": f"rotate-{service.name}",
                    "ttl": _TOKEN_TTL,
                    "renewable": False,
                },
            )
        finally:
            provisioner.close()
        self._vault = Vault(platform, token=made["auth"]["client_token"])

    def close(self) -> None:
        """Revoke the rotation's own token; it ends by itself when Vault can't be reached."""
        with suppress(VaultRefused, VaultUnreachable):
            self._vault.call("POST", "auth/token/revoke-self", seconds=5)
        self._vault.close()

    # -- what there is -----------------------------------------------------------

    def _login_path(self) -> str | None:
        return f"auth/{self._service.auth.mount}" if isinstance(self._service, Service) else None

    def _secret_ids(self) -> list[str]:
        mount = self._login_path()
        return (
            self._vault.list_keys(f"{mount}/role/{self._service.name}/secret-id") if mount else []
        )

    def _tokens(self) -> Iterator[str]:
        """Yield the accessor of every token that has the service's policy or was given to it."""
        for accessor in self._vault.list_keys("auth/token/accessors"):
            try:
                told = self._vault.call(
                    "POST", "auth/token/lookup-accessor", json={"accessor": accessor}
                )["data"]
            except VaultRefused as error:
                if error.status not in {400, 403, 404}:  # it has just ended
                    raise
                continue
            if self._is_the_services(told):
                yield accessor

    def _is_the_services(self, token: dict[str, Any]) -> bool:
        name = self._service.name
        meta = token.get("meta") or {}
        return (
            name in (token.get("policies") or [])
            or name in (token.get("identity_policies") or [])
            or meta.get("service") == name
            or (meta.get("role_name") or meta.get("role")) == name
        )

    def _prefixes(self) -> list[str]:
        mount = self._platform.vault.database_mount
        own = (self._service.role, self._service.read_only_role)
        return [f"{mount}/creds/{role}" for role in own]

    def _leases(self) -> int:
        return sum(
            len(self._vault.list_keys(f"sys/leases/lookup/{prefix}")) for prefix in self._prefixes()
        )

    def count(self) -> str:
        """Return what there is to end, in words."""
        tokens = sum(1 for _ in self._tokens())
        ids = f"{len(self._secret_ids())} secret ids, " if self._login_path() else ""
        static = ", a static login" if self._service.static else ""
        return f"{ids}{tokens} tokens, {self._leases()} leases{static}"

    # -- the steps ---------------------------------------------------------------

    def steps(self) -> dict[str, Callable[[], str]]:
        """Return the steps by name, in order; each returns what it has done."""
        steps: dict[str, Callable[[], str]] = {}
        if self._login_path():
            steps["destroy secret ids"] = self._destroy_secret_ids
        steps["revoke tokens"] = self._revoke_tokens
        steps["revoke leases"] = self._revoke_leases
        if self._service.static:
            steps["rotate the static login"] = self._rotate_static
        if self._login_path():
            steps["issue a new secret id"] = self._reissue
        return steps

    def run(self) -> Rotated:
        """Do every step, then check. What could not be done is in the result, with the reason.

        An interruption passes through; the result says what was done until then.
        """
        steps = self.steps()
        self.result.not_done = list(steps)
        self._take_canary()
        for name, step in steps.items():
            try:
                detail = step()
            except (SetupError, VaultRefused, VaultUnreachable) as error:
                self.result.error = " ".join(f"{name}: {error}".split())
                break
            self.result.not_done.remove(name)
            self.result.done.append(f"{name}: {detail}")
            self._say(f"{name}: {detail}")
        else:
            self._check()
        return self.result

    def _take_canary(self) -> None:
        """Log in as the service does now, so that it can be tried whether that still works later.

        A secret id that is refused already is what a rotation that was interrupted leaves.
        """
        if not isinstance(self._service, Service):
            return
        self._canary.secret_id = self._service.auth.secret_id.get_secret_value()
        try:
            with _logged_in(self._platform, self._service) as vault:
                self._canary.token = vault.token
                lease = vault.call("GET", self._prefixes()[0])["data"]
                self._canary.username = lease["username"]
                self._canary.password = lease["password"]
        except (VaultRefused, VaultUnreachable) as error:
            self._say(f"no login as it is now to try again later: {error}")

    def _destroy_secret_ids(self) -> str:
        path = f"{self._login_path()}/role/{self._service.name}/secret-id-accessor/destroy"
        return self._until_none("secret ids", self._secret_ids, path, "secret_id_accessor")

    def _revoke_tokens(self) -> str:
        path = "auth/token/revoke-accessor"
        return self._until_none("tokens", lambda: list(self._tokens()), path, "accessor")

    def _until_none(
        self, what: str, find: Callable[[], list[str]], path: str, parameter: str
    ) -> str:
        """End each until there is none: what was begun just before may come in between."""
        ended = 0
        for _ in range(_ROUNDS):
            found = find()
            if not found:
                return f"{ended}, none left"
            for one in found:
                try:
                    self._vault.call("POST", path, json={parameter: one})
                    ended += 1
                except VaultRefused as error:
                    if error.status not in {400, 403, 404}:  # it has ended in the meantime
                        raise
        left = len(find())
        if left:
            raise SetupError(f"{left} {what} of {self._service.name} are left after {ended} ended")
        return f"{ended}, none left"

    def _revoke_leases(self) -> str:
        before = self._leases()
        for prefix in self._prefixes():
            self._vault.call(
                "PUT",
                f"sys/leases/revoke-prefix/{prefix}",
                json={"sync": True},
                timeout=300,
                seconds=600,
            )
        left = self._leases()
        if left:
            raise SetupError(
                f"{left} leases of {self._service.name} are left: see `drill audit leases`"
            )
        return f"{before}, none left"

    def _rotate_static(self) -> str:
        assert self._service.static is not None  # noqa: S101 - it is a step only then
        role = self._service.static.role
        self._vault.call("POST", f"{self._platform.vault.database_mount}/rotate-role/{role}")
        return f"{role} has a new password"

    def _reissue(self) -> str:
        self._project.reissue_secret_ids(self._service.name)
        return "it is in the stack's outputs"

    # -- the checks --------------------------------------------------------------

    def _check(self) -> None:
        """Try the old logins, which must be refused, and a new one, which must work."""
        canary, checks = self._canary, self.result.checks
        if canary.secret_id:
            checks.append(self._refused("old secret id", self._login_again))
        if canary.token:
            checks.append(self._refused("old token", self._use_old_token))
        if canary.username:
            database = Database(self._platform)
            told = database.login(canary.username, canary.password)
            database.close()
            good = {"refused": True, "accepted": False}.get(told)
            checks.append(Check("old database login", good, told))

    def _refused(self, name: str, attempt: Callable[[], Any]) -> Check:
        try:
            attempt()
        except VaultRefused as error:
            return Check(name, good=True, detail=f"refused ({error.status})")
        except VaultUnreachable as error:
            return Check(name, good=None, detail=str(error))
        return Check(name, good=False, detail="accepted")

    def _login_again(self) -> None:
        assert isinstance(self._service, Service)  # noqa: S101 - only such has a secret id
        with _logged_in(self._platform, self._service):
            pass

    def _use_old_token(self) -> None:
        vault = Vault(self._platform, token=self._canary.token)
        try:
            vault.call("GET", "auth/token/lookup-self")
        finally:
            vault.close()


class _logged_in:  # noqa: N801 - used as a function
    """A Vault client with the token of a new AppRole login; on exit it is closed, not revoked."""

    def __init__(self, platform: Platform, service: Service) -> None:
        self._vault = Vault(platform, token="")
        auth = service.auth
        try:
            made = self._vault.call(
                "POST",
                f"auth/{auth.mount}/login",
                json={"role_id": auth.role_id, "secret_id": auth.secret_id.get_secret_value()},
            )
        except BaseException:
            self._vault.close()
            raise
        self._vault.token = made["auth"]["client_token"]

    def __enter__(self) -> Vault:
        return self._vault

    def __exit__(self, *_: object) -> None:
        self._vault.close()


def check_new_login(platform: Platform, service: Service) -> Check:
    """Try what the service will do: log in anew, lease, log in to Postgres; then give it back."""
    name = "new login"
    try:
        with _logged_in(platform, service) as vault:
            path = f"{platform.vault.database_mount}/creds/{service.role}"
            try:
                lease = vault.call("GET", path)
                database = Database(platform)
                told = database.login(lease["data"]["username"], lease["data"]["password"])
                database.close()
            finally:
                vault.call("POST", "auth/token/revoke-self", seconds=5)
    except VaultRefused as error:
        return Check(name, good=False, detail=str(error))
    except VaultUnreachable as error:
        return Check(name, good=None, detail=str(error))
    return Check(name, good={"accepted": True, "refused": False}.get(told), detail=told)
