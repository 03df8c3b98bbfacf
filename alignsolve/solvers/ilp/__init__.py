"""``ilp``: integer programming through PuLP. solver.py tells how an answer is made; the other files are its steps."""
