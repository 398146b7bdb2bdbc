"""What a trained run answers on the command line: translations, continuations, and its figures on other data.

lines.py      sentences from a file or standard input, and answers as lines
translate.py  the command ``translate``
generate.py   the command ``generate``
evaluate.py   the command ``evaluate``
"""
