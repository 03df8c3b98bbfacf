"""``fedtrain compare``: the same federations under different alignments, over tasks and seeds, and what that shows."""
