"""Photos of invented people: portrait.py draws one with canvas.py's brushes, stimuli.py a folder of them."""

from noodle_tui.demo.stimuli import demo_config_values, draw_stimuli, new_demo_folder, refuse_sorted_others

__all__ = ["demo_config_values", "draw_stimuli", "new_demo_folder", "refuse_sorted_others"]
