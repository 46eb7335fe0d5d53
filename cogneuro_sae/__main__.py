"""`python -m cogneuro_sae` is the command line."""

from cogneuro_sae.cli import main

main()
