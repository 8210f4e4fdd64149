"""Child processes of the paired benchmarks. They run in peers' environments: no edgeax import here.

(The edgeax side's own child is the one exception.)
"""
