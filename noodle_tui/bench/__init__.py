"""`noodle bench`: this trainer against the device's ceiling and the plain loop, and (--parity) whether it learns as well.

options.py checks what is asked for. photos.py draws JPEGs; ceiling.py, trainer.py and plain.py each measure one contender;
start_up.py (with job.py) what comes before the first epoch; compare.py lets them take turns; table.py says what came out.
parity.py is all of --parity.
"""
