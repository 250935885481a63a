"""`python -m plugin`: the command `twinrank` without an installation."""

from plugin.commands.main import main

main(prog_name="twinrank")
