"""`python -m plugin`: the command `twinrank` without an installation."""

from plugin.cli import main

main(prog_name="twinrank")
