"""Text from users reaches terminal, figure and spreadsheet as it stands, never as a command."""

import matplotlib.pyplot as plt

from cogneuro_sae.display import cell, label, plain


def test_control_and_direction_characters_are_shown():
    assert plain("a\x1b[31mb\x07") == "a\\x1b[31mb\\x07"
    assert plain("line\nbreak") == "line\\x0abreak"
    assert plain("a\u202eb") == "a\\u202eb"
    assert plain("日本 é 🙂") == "日本 é 🙂"


def test_long_text_is_cut_with_an_ellipsis():
    assert plain("abcdefghij", width=8) == "abcde..."
    assert plain("abc", width=8) == "abc"


def test_dollars_do_not_start_mathematics():
    figure, ax = plt.subplots()
    ax.set_title(label("cost $x^$ and $y"))
    figure.canvas.draw()
    plt.close(figure)
    assert label("$a$") == r"\$a\$"


def test_formulas_in_cells_are_quoted_and_numbers_are_not():
    assert cell("=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0"
    assert cell("@x") == "'@x" and cell("+1+2") == "'+1+2"
    assert cell("-1.5") == "-1.5" and cell(-1.5) == -1.5 and cell("plain") == "plain"
