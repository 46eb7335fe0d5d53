# Every target is a verb of bootstrap.py, which needs nothing but Python 3.11-3.13.
PYTHON ?= python3

.PHONY: demo test test-quick test-long setup
demo test test-quick test-long setup:
	@$(PYTHON) bootstrap.py $@
