"""How problems and answers are shown: as tables, as HTML in notebooks, as pictures, and in words.

Problem, solution and diagnosis call it. It imports numerics, data, subproblem and certificate, and reads problem and
solution by their attributes alone. matplotlib and libraries of data frames are imported where they are asked for.
"""
