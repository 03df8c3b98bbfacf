"""How the package runs: compiling, threads, and child processes that can be stopped.

Everybody may call it. It imports nothing else of the package.
"""
