"""What a driver can do beside running: faults name what they need, drivers what they have."""

from __future__ import annotations

from typing import Literal

Ability = Literal[
    "processes",  # kill and start a node's server
    "postgres-process",  # stop and start the database server, as a process of this machine
    "unseal",  # a started node stays sealed until keys are given
    "pause",  # stop a node's server in its tracks, and let it go on
    "disconnect",  # take a node off the network, and put it back
    "proxy",  # a fault proxy stands on every way
]

#: What a drill's refusal says of each.
MEANING: dict[str, str] = {
    "processes": "kill and start Vault's servers",
    "postgres-process": "stop and start the database server",
    "unseal": "keep nodes sealed (they unseal themselves)",
    "pause": "pause Vault's servers",
    "disconnect": "take nodes off the network",
    "proxy": "put faults on the lines (there is no fault proxy)",
}
