"""What the stages cost on this machine, beside a peer where one exists.

A figure is taken on invented data. Where a peer answers the same question, both take turns, and no
time counts before both have given the same output.
"""
