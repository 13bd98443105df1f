"""The command line: parse, load the config, call one function, print.

Nothing but Typer and the standard library is imported before a command runs, so that `rrl --help`
answers at once.
"""

from retrieve_rl.cli.app import main

__all__ = ["main"]
