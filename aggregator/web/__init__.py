"""The live page: one self-contained HTML page and the figures it polls."""
