"""Where Pulumi enters: the program is the package `infra`.

`main: infra` in Pulumi.yaml would make infra/ the working folder of the program and of every
provider process, and infra/platform.py would hide the standard library's `platform` from them.
"""

import runpy

runpy.run_module("infra", run_name="__main__")
