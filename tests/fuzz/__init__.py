"""Fuzzing that goes on: ``python -m tests.fuzz --minutes N --seed S``.

One file a kind of example: problems, rows and models of clients with budgets, claims, files, reports, replies and
operations. Each example has a number, and with the seed it is the same on every machine. What is wrong is made smaller
and printed as a test. It may import all houses; nothing but the tests and the command imports it.
"""
