"""A database proves itself: checks that a user runs against their own server, in a scratch schema.

    report = certify(config, "dw", "scratch", say=print)

`bench.py` is the ground that the checks stand on, `certify.py` runs them, `report.py` is what they found. The other modules hold
the checks, a subject each; a check returns what there is to say of what held, and raises `Refused` or `Broken` otherwise.
"""
