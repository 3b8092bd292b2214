"""Runs one Pulumi program; the job is JSON on standard input. Exit 32: failed, and said so."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from typing import Any

import pulumi
import pulumi.runtime

_SAID_SO = 32  # the status that pulumi's own host gives to `bail` (pulumi/sdk/python)


def _run(job: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
    pulumi.runtime.set_all_config(job["config"], job["secret_keys"])
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            monitor=job["monitor"],
            engine=job["engine"],
            project=job["project"],
            stack=job["stack"],
            organization=job["organization"],
            root_directory=job["root_directory"],
            parallel=job["parallel"],
            dry_run=job["dry_run"],
        )
    )
    sys.argv = [job["program"], *job["args"]]
    if job["pwd"]:
        os.chdir(job["pwd"])

    def program() -> None:
        runpy.run_path(job["program"], run_name="__main__")

    loop.run_until_complete(pulumi.runtime.run_in_stack(program))


def main() -> int:
    """Return the exit status: 0, or 32 when the failure has been logged to the engine."""
    job = json.load(sys.stdin)
    # asyncio reports every future that a failed program leaves behind; the engine has told why.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        _run(job, loop)
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return _SAID_SO
    except Exception:  # noqa: BLE001 - whatever the program raised is the user's to read
        pulumi.log.error(traceback.format_exc())
        return _SAID_SO
    finally:
        loop.close()  # after the messages above, which it carries
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
