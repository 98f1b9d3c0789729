"""What a run will do, found out before it starts.

    checks.py     the whole look: photos, weights, device, disk, loggers; what the form shows and Start waits for
    photos.py     the rejig plan, or the class folders
    weights.py    weights on the disk or behind the network
    estimate.py   time and memory, roughly
    findings.py   what is wrong, or worth knowing, in a sentence
"""
