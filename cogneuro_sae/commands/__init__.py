"""Sub-commands of `cogneuro-sae` that need a room of their own; `cogneuro_sae.cli` is the entry point."""
