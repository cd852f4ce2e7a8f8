"""Style as a test: import rules, budgets, names, docstrings and other rules of the house."""
