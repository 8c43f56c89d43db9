"""`python -m cli`: the same as `pullpass`; how `pullpass up` starts its parts."""

from cli.main import main

main(prog_name="pullpass")
