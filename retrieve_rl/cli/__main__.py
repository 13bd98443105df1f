"""`python -m retrieve_rl.cli` is `rrl`."""

from retrieve_rl.cli.app import main

main()
