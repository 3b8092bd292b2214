"""Files with which a service gets its credentials: Vault Agent's configuration and template, a
Kubernetes snippet. Rendered from a stack's outputs; no secret is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from drills.errors import SetupError
from infra.platform import Application, Platform, Service, Workload

#: Rendered file → template. Vault Agent's own templates have braces, so these have none.
FILES = {
    "agent.hcl": "agent.hcl.j2",
    "database.ctmpl": "database.ctmpl.j2",
    "secrets.ctmpl": "secrets.ctmpl.j2",
    "kubernetes.yaml": "kubernetes.yaml.j2",
}


def application(platform: Platform, name: str) -> Application:
    """Return the application called `name`, however it logs in; `SetupError` names those there."""
    every: list[Application] = [*platform.services, *platform.workloads]
    for each in every:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in every)
    raise SetupError(f"stack {platform.stack} has no service {name!r}; it has: {known}")


def render(platform: Platform, name: str) -> dict[str, str]:
    """Return the text of each file for a service. Raises `SetupError` when there is no such."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - HCL and YAML, not HTML; names are checked by the settings
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
    )
    facts = _facts(platform, application(platform, name))
    texts = {
        file: environment.get_template(template).render(facts) for file, template in FILES.items()
    }
    texts["vault-ca.pem"] = platform.vault.ca_pem
    texts["postgres-ca.pem"] = platform.postgres.ca_pem
    if facts["role_id"]:
        texts["role-id"] = facts["role_id"]
    return texts


def _facts(platform: Platform, application: Application) -> dict[str, Any]:
    postgres = platform.postgres
    facts: dict[str, Any] = {
        "stack": platform.stack,
        "service": application.name,
        "address": platform.vault.nodes[0].proxied_address,
        "role_path": f"{platform.vault.database_mount}/creds/{application.role}",
        "secrets": [each.replace("/", "/data/", 1) for each in application.secrets],
        "host": postgres.proxied_host,
        "port": postgres.proxied_port,
        "database": application.database,
        "role_id": "",
        "label": application.name.replace("_", "-"),  # Kubernetes takes no underscore
        "account": application.name.replace("_", "-"),
    }
    if isinstance(application, Service):
        facts |= {"method": "approle", "mount": application.auth.mount}
        facts["role_id"] = application.auth.role_id
    elif isinstance(application, Workload):
        facts |= {"method": application.method, "mount": application.mount}
        facts["account"] = application.service_account or facts["account"]
    return facts


def write(platform: Platform, name: str, folder: Path) -> list[Path]:
    """Write the files of a service into `folder` and return them; what is there is overwritten.

    Raises `SetupError` when there is no such service or the folder can't be written.
    """
    texts = render(platform, name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (folder / file).write_text(text)
    except OSError as error:
        raise SetupError(f"{folder} can't be written ({error.strerror}): give --out") from None
    return [folder / file for file in texts]
