"""gtp: a trained policy of Go as an engine for any program that speaks the Go Text Protocol."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from retrieve_rl import __version__
from retrieve_rl.cli.device import prepare
from retrieve_rl.cli.locate import find_trained
from retrieve_rl.cli.options import Choice, Device, GrownIndex, PlayChoice, Root


def gtp(
    run: Annotated[
        Path, Argument(metavar="RUN", help="Folder of a train-policy run, or its result.json.")
    ],
    play: PlayChoice,
    index: GrownIndex = None,
    device: Annotated[Device, Option(help="gpu: fail where there is none.")] = "auto",
    runs: Root = None,
    debug: Annotated[bool, Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Play 9x9 Go as an engine: the Go Text Protocol (version 2) on stdin and stdout.

    For GoGui, Sabaki, twogtp or a server. Its command rrl-neighbors prints those of
    the last move. Errors are answered with "?", and the process goes on.
    """
    from retrieve_rl.cli.match_command import agent_config_of, go_config_in

    trained = find_trained(run, Choice(), runs)
    config = go_config_in(trained)
    agent_config = agent_config_of(config, play)
    prepare(device)
    from retrieve_rl.go.gtp_session import GtpSession, serve
    from retrieve_rl.go.heard_neighbors import heard_neighbors
    from retrieve_rl.go.match_config import KOMI
    from retrieve_rl.go.open_trained import agent_of, open_trained
    from retrieve_rl.go.referee import Referee

    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        opened = open_trained(config, trained.folder, trained.root, index)
        agent = agent_of(opened, trained.folder, agent_config)
        agent.decide([Referee(0, b"", komi=KOMI).state()])  # compiles before anyone waits for it
        session = GtpSession(
            agent,
            version=f"{__version__} ({agent.name})",
            komi=KOMI,
            heard=lambda: heard_neighbors(agent, 0),
        )
        serve(session, sys.stdin.buffer, out)
