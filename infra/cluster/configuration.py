"""The configuration file of a Vault (or OpenBao) server: raft storage, TLS, and who unseals it."""

from __future__ import annotations

from dataclasses import dataclass

#: Autopilot counts a server as a voter after the stabilization time; measured on three nodes:
#: 7.8 s to three voters with these, 22 s by default.
_RAFT_TUNING = """
  performance_multiplier       = 1
  autopilot_reconcile_interval = "1s"
  autopilot_update_interval    = "500ms"
"""
STABILIZATION = "1s"
SEAL_KEY = "unseal"


@dataclass(frozen=True)
class Server:
    """Where one server listens, what it calls itself, and where its files are, all as it sees it.

    `listen` and `cluster_listen` are host:port, `api` and `cluster` https URLs for other nodes,
    the rest paths.
    """

    name: str
    listen: str
    cluster_listen: str
    api: str
    cluster: str
    data: str
    certificate: str
    key: str


@dataclass(frozen=True)
class TransitSeal:
    """The Vault that unseals: its https URL and CA, as the sealed one reaches it.

    Its token is not among these: a configuration file is read by more eyes than a process's
    environment, which is where the token goes (`VAULT_TOKEN`).
    """

    address: str
    ca_file: str


def text(server: Server, *, seal: TransitSeal | None = None, openbao: bool = False) -> str:
    """Return the file's text. It holds no secret."""
    return f"""# written by the stack; changes here are lost
api_addr      = "{server.api}"
cluster_addr  = "{server.cluster}"
disable_mlock = true
ui            = false
{_OPENBAO if openbao else ""}
storage "raft" {{
  path    = "{server.data}"
  node_id = "{server.name}"
{_RAFT_TUNING}}}

listener "tcp" {{
  address         = "{server.listen}"
  cluster_address = "{server.cluster_listen}"
  tls_cert_file   = "{server.certificate}"
  tls_key_file    = "{server.key}"
}}

telemetry {{
  disable_hostname          = true
  prometheus_retention_time = "60s"
}}
{_seal(seal) if seal else ""}"""


#: From 2.3.2 on, OpenBao makes no audit device by its API unless this is said; Vault has no such
#: setting, and warns about what it doesn't know.
_OPENBAO = "unsafe_allow_api_audit_creation = true"


def _seal(seal: TransitSeal) -> str:
    return f"""
seal "transit" {{
  address     = "{seal.address}"
  key_name    = "{SEAL_KEY}"
  mount_path  = "transit/"
  tls_ca_cert = "{seal.ca_file}"
}}
"""
