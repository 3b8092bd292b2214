"""A stack of its own for the tests: another folder, other ports, the real `pulumi up`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import hvac
import psutil

from drills.stack import load_platform
from infra.cluster.process import taken_ports
from infra.platform import Platform
from infra.waiting import wait_for
from tools.environment import pulumi_environment

CHECKOUT = Path(__file__).parents[2]
DRILL = [sys.executable, "-m", "drills"]
PORTS = 50


def free_base_port() -> int:
    """Return the first port of a range in which nobody listens."""
    for base in range(31000, 32700, PORTS):
        if not taken_ports(list(range(base, base + PORTS))):
            return base
    raise RuntimeError("no free range of ports below the ephemeral ones")


class LiveStack:
    """A project folder beside the checkout, with one stack called `dev`."""

    def __init__(self, root: Path, *, allowed: bool = True) -> None:
        self.root = root
        self.base_port = free_base_port()
        root.mkdir(parents=True, exist_ok=True)
        for name in ("Pulumi.yaml", "__main__.py"):
            shutil.copy(CHECKOUT / name, root / name)
        self.configure(allowed=allowed)
        # the caller's own Pulumi settings are not these tests'
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
        before = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update({**clean, "ROTATION_DRILLS_ROOT": str(root)})
            self.env = pulumi_environment(root)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def configure(self, *, allowed: bool) -> None:
        """Write the stack's configuration; what Pulumi has added to it stays."""
        file = self.root / "Pulumi.dev.yaml"
        salt = [
            line
            for line in (file.read_text().splitlines() if file.exists() else [])
            if line.startswith("encryptionsalt")
        ]
        text = f"""config:
  drills:allowed: "{str(allowed).lower()}"
  rotation-drills:basePort: "{self.base_port}"
  rotation-drills:services:
    - name: orders
      ttl: 60s
      maxTtl: 5m
      static:
        username: orders_batch
        rotationPeriod: 1h
"""
        file.write_text("\n".join([*salt, text]))

    def pulumi(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the Pulumi CLI on the stack."""
        done = subprocess.run(
            ["pulumi", *arguments, "--stack", "dev", "--non-interactive", "--color=never"],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return done

    def up(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`pulumi up --yes`."""
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, check=check)

    def init(self) -> None:
        """Make the stack, with nothing in it."""
        subprocess.run(
            ["pulumi", "stack", "init", "dev", "--non-interactive"],
            cwd=self.root,
            env=self.env,
            check=True,
            capture_output=True,
        )

    def create(self) -> None:
        """Bring it up from nothing."""
        self.init()
        self.up()

    def provisioner_token(self) -> str:
        """The token of `pulumi up`, out of the state."""
        resources = json.loads(self.state(secrets=True))["deployment"]["resources"]
        found = (each.get("outputs") or {} for each in resources)
        servers = next(outputs for outputs in found if "unseal_keys" in outputs)
        token: str = json.loads(servers["provisioner_token"]["plaintext"])
        return token

    def provisioner(self) -> Any:
        """A client of Vault with the rights of `pulumi up`."""
        platform = self.platform()
        ca_file = Path(platform.cluster.state_dir) / "vault" / "ca.pem"
        address = platform.vault.nodes[0].address
        return hvac.Client(url=address, token=self.provisioner_token(), verify=str(ca_file))

    def platform(self) -> Platform:
        """The stack's outputs."""
        return load_platform("dev", self.root)

    def state(self, *, secrets: bool) -> str:
        """The exported state, with secrets in clear or as Pulumi would hand it on."""
        shown = ["--show-secrets"] if secrets else []
        return self.pulumi("stack", "export", *shown).stdout

    def start_drill(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the `drill` command and leave it running. `latest` is then this run's alone."""
        if arguments[0] == "run":
            (self.root / "runs" / "latest").unlink(missing_ok=True)
        return subprocess.Popen(
            [*DRILL, *arguments],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def drill(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `drill` command to its end."""
        process = self.start_drill(*arguments)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def verdict(self) -> dict[str, Any]:
        """The latest run's verdict."""
        text = (self.root / "runs" / "latest" / "verdict.json").read_text()
        verdict: dict[str, Any] = json.loads(text)
        return verdict

    def events(self) -> list[dict[str, Any]]:
        """The latest run's events so far."""
        file = self.root / "runs" / "latest" / "events.jsonl"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]

    def wait_for_event(self, seconds: float = 90, **wanted: Any) -> None:
        """Wait until the latest run has an event with these fields."""
        wait_for(
            lambda: any(wanted.items() <= event.items() for event in self.events()),
            f"event {wanted}",
            seconds=seconds,
            every=0.1,
        )

    def processes(self) -> list[psutil.Process]:
        """Every process that has this stack's folder in its command line."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and str(self.root) in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def destroy(self) -> None:
        """`pulumi destroy --yes`; whatever is left is killed, so that no test run leaves any."""
        try:
            self.pulumi("destroy", "--yes", "--skip-preview")
        finally:
            for process in self.processes():
                try:
                    process.send_signal(signal.SIGKILL)
                except psutil.Error:
                    continue
