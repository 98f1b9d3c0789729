"""Stimuli to train/val x class folders: plan, apply, undo.

    plan.py       what would be done (look.py and scan.py find photos, split.py decides who is held out, target_names.py names
                  them, words.py says it)
    apply.py      does it: link or copy into a staging folder, publish with one rename, only then unlink the sources
    undo.py       takes it back, and clears up after a rejig that was killed
    by_hand.py    finds moved photos that were put elsewhere in the data folder by hand
    manifest.py   rejig.csv and rejig.json in the data folder: where each photo came from
    disk.py       locks, links, copies
"""

from noodle_tui.rejig.apply import apply_rejig
from noodle_tui.rejig.manifest import load_manifest, rejig_options
from noodle_tui.rejig.plan import RejigPlan, plan_rejig, real_folders
from noodle_tui.rejig.undo import undo_rejig
from noodle_tui.rejig.words import far_from_asked, left_out_in_words, plan_in_words, rearranged_in_words, undone_in_words

__all__ = [
    "RejigPlan", "apply_rejig", "far_from_asked", "left_out_in_words", "load_manifest",
    "plan_in_words", "plan_rejig", "real_folders", "rearranged_in_words", "rejig_options", "undo_rejig", "undone_in_words",
]
