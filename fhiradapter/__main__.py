"""`python -m fhiradapter` is the command `fhiradapter`."""

from fhiradapter.cli import main

main()
