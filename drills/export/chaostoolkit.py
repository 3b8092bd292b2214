"""A drill as an experiment of Chaos Toolkit's, which its own `chaos run` takes.

What can be told in it: a steady state that is looked at before and after, the faults as actions
(each a process of `drills.export.activity`, so that they stand in the undo log like any other),
pauses for the phases, and taking the faults back. What can't: the load, the phases' own judgement,
safeguards, and every bound; those stay with `drill run`.
Format: https://chaostoolkit.org/reference/api/experiment/
"""

from __future__ import annotations

import json
import sys
from typing import Any

from drills.definition import Drill
from infra.platform import Platform


def experiment(drill: Drill, platform: Platform, url: str) -> dict[str, Any]:
    """Return the experiment. `url` is where the service under load answers.

    It holds no secret, and nothing of the stack but addresses and its name.
    """
    ca_file = platform.drills.state_dir / "ca.pem"
    phases = drill.phases
    actions = [
        _activity(f"inject {name}", platform.stack, "inject", name, json.dumps(params))
        for name, params in drill.faults
    ]
    if actions:
        actions[0]["pauses"] = {"before": phases.baseline}
    # Taken back within the method: Chaos Toolkit looks at the steady state before its rollbacks.
    actions.append(
        {
            **_activity("take the faults back", platform.stack, "undo"),
            "pauses": {"before": phases.fault, "after": phases.recovery},
        }
    )
    return {
        "version": "1.0.0",
        "title": drill.title,
        "description": f"Catches: {drill.catches}",
        "tags": list(drill.tags),
        "steady-state-hypothesis": {
            "title": "The service answers and writes, and Vault leads",
            "probes": [
                _http("the service answers", f"{url}/healthz", 200),
                {
                    **_http("the service writes", f"{url}/orders", 201),
                    "provider": {
                        "type": "http",
                        "url": f"{url}/orders",
                        "method": "POST",
                        "timeout": 15,
                        "headers": {"Content-Type": "application/json"},
                        "arguments": {"item": "steady-state", "quantity": 1},
                    },
                },
                *(
                    _http(
                        f"{node.name} is unsealed",
                        f"{node.address}/v1/sys/health?standbyok=true",
                        200,
                        verify_tls=str(ca_file),
                    )
                    for node in platform.vault.nodes
                ),
            ],
        },
        "method": actions,
        "rollbacks": [_activity("take back what is left", platform.stack, "undo")],
    }


def _activity(name: str, stack: str, *arguments: str) -> dict[str, Any]:
    return {
        "type": "action",
        "name": name,
        "provider": {
            "type": "process",
            "path": sys.executable,
            "arguments": ["-m", "drills.export.activity", "--stack", stack, *arguments],
            "timeout": 180,
        },
    }


def _http(name: str, url: str, status: int, **more: Any) -> dict[str, Any]:
    provider = {"type": "http", "url": url, "timeout": 15, **more}
    return {"type": "probe", "name": name, "tolerance": status, "provider": provider}
