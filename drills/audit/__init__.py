"""Questions to the audit log of any Vault: who read this, what was never used, who holds leases.

`files` opens logs whatever they were compressed with, `entries` reads them a line at a time;
`who`, `drift` and `leases` are the questions, each a file; `commands` is `drill audit`.
"""
