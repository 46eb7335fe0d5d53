"""Make stimuli/tasks/arithmetic.yaml: 264 arithmetic tasks of graded difficulty, each also as a cloze.

Four operations x six levels x eleven tasks, each written in signs and in words. The cloze is the form in signs with the right
answer and a wrong one of as many digits and, in the default model's tokenizer, as many tokens; wrong answers lie above and
below the right one equally often.

    python analyses/make_arithmetic_tasks.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cogneuro_sae import files
from cogneuro_sae.language_model import LanguageModel

PER_CELL, CONFIRM, SEED = 11, 4, 0
SIGNS = {"addition": ("+", "plus"), "subtraction": ("-", "minus"), "multiplication": ("x", "times"),
         "division": ("/", "divided by")}
ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen").split()
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
HEAD = """\
# Arithmetic of graded difficulty, for asking whether the features that answer to a task also serve to solve it. Level 1 is
# the easiest: small numbers; 2: past ten; 3: two digits with one; 4: larger, nothing carried; 5: carried or borrowed;
# 6: the largest. For multiplication and division the levels follow the tables (x 1, 2, 5, 10; 3 and 4; 6 to 12; beyond).
# Made by analyses/make_arithmetic_tasks.py; texts end where the answer is due. Tasks are short and made of the same few
# numbers, so `check` finds near-duplicates, and length and digits grow with difficulty: that is what difficulty is here.
name: arithmetic
concept: arithmetic
group: tasks
definition: A calculation with one right answer, which is not given.
licence: CC0-1.0
factors:
  operation: [addition, subtraction, multiplication, division]
  difficulty: [l1, l2, l3, l4, l5, l6]
between: [operation, difficulty]
contrasts:
  hard: (l4 + l5 + l6)/3 - (l1 + l2 + l3)/3
  carried: l5 - l4
  inverse: (subtraction + division)/2 - (addition + multiplication)/2
covariates: [answer, level]
graded: [level]
"""


def carries(a: int, b: int) -> bool:
    """Return whether adding two numbers carries in some column."""
    return any(int(x) + int(y) > 9 for x, y in zip(str(a)[::-1], str(b)[::-1]))


def sums() -> dict[int, list[tuple[int, int]]]:
    """Return the pairs that may be added, by level."""
    small, two, three = range(1, 10), range(11, 90), range(101, 900)
    return {
        1: [(a, b) for a in small for b in small if a + b < 10 and a >= b],
        2: [(a, b) for a in small for b in small if a + b > 10 and a >= b],
        3: [(a, b) for a in two for b in range(2, 10) if carries(a, b) and a + b < 100],
        4: [(a, b) for a in two for b in two if not carries(a, b) and a + b < 100 and a > b],
        5: [(a, b) for a in two for b in two if carries(a, b) and a + b < 100 and a > b],
        6: [(a, b) for a in three for b in range(101, 900, 7) if carries(a, b) and a + b < 1000],
    }


def products() -> dict[int, list[tuple[int, int]]]:
    """Return the pairs that may be multiplied, by level."""
    return {
        1: [(a, b) for a in range(2, 10) for b in (1, 2, 5, 10) if (a, b) not in {(5, 2), (2, 5)}],
        2: [(a, b) for a in (3, 4) for b in range(3, 13) if b not in (5, 10) and a <= b and a * b < 40],
        3: [(a, b) for a in (6, 7, 8, 9, 11, 12) for b in (6, 7, 8, 9, 11, 12) if a <= b],
        4: [(a, b) for a in range(11, 45) for b in (2, 3, 4) if a % 10 * b < 10 and a * b < 100 and a % 10],
        5: [(a, b) for a in range(13, 40) for b in range(3, 10) if a % 10 * b > 9 and a * b < 300],
        6: [(a, b) for a in range(12, 40) for b in range(12, 40) if a % 10 and b % 10 and a * b > 300],
    }


def problems(random: np.random.Generator) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield operation, level, both numbers and the answer of every task; no calculation comes twice."""
    for pairs, forward, backward in ((sums(), "addition", "subtraction"), (products(), "multiplication", "division")):
        for level, choices in pairs.items():
            chosen = [choices[place] for place in random.permutation(len(choices))]
            assert len(chosen) >= PER_CELL, (forward, level)
            for a, b in chosen[:PER_CELL]:
                yield forward, level, a, b, a + b if forward == "addition" else a * b
            # the inverse tasks undo other pairs where there are enough of them
            undone = chosen[PER_CELL:2 * PER_CELL]
            undone += chosen[:PER_CELL - len(undone)]
            for a, b in undone:
                whole = a + b if backward == "subtraction" else a * b
                yield backward, level, whole, b, a


def in_words(number: int) -> str:
    """Return a number below 10,000 in English words."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")
    unit, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = number % unit
    joint = " and " if rest and rest < 100 else " " if rest else ""
    return f"{in_words(number // unit)} {name}{joint}{in_words(rest) if rest else ''}"


def foil(answer: int, up: bool, random: np.random.Generator, count) -> int:
    """Return a near wrong answer on the wanted side with as many digits and tokens; the other side where none fits."""
    for sign in ((1, -1) if up else (-1, 1)):
        slips = [int(step) for step in random.permutation([1, 2, 10] if answer > 20 else [1, 2, 3])]
        for wrong in (answer + sign * step for step in (*slips, *range(3, answer))):
            if wrong > 0 and len(str(wrong)) == len(str(answer)) and count(f" {wrong}") == count(f" {answer}"):
                return wrong
    raise ValueError(f"no foil for {answer}")


def main() -> None:
    """Write the file."""
    model, random = LanguageModel.load("default"), np.random.default_rng(SEED)
    items, clozes, confirm, numbers = [], [], [], {}

    def count(text: str) -> int:
        return len(model.tokenizer(text, add_special_tokens=False)["input_ids"])

    for operation, level, a, b, answer in problems(random):
        number = numbers[operation, level] = numbers.get((operation, level), 0) + 1
        sign, word = SIGNS[operation]
        item = f"{operation[:3]}-{level}-{number:02d}"
        signs, words = f"{a} {sign} {b} =", f"{in_words(a)} {word} {in_words(b)} equals"
        items.append(f'  - {{item: {item}, answer: "{answer}", level: {level}, '
                     f'{operation}: {{l{level}: ["{signs}", "{words}"]}}}}')
        wrong = foil(answer, len(clozes) % 2 == 0, random, count)
        clozes.append(f'  - {{item: {item}, prompt: "{signs}", target: " {answer}", foil: " {wrong}"}}')
        confirm += [item] if number > PER_CELL - CONFIRM else []
    head = HEAD + f"split: {{confirm: [{', '.join(confirm)}]}}\n"
    path = Path(__file__).parents[1] / "stimuli" / "tasks" / "arithmetic.yaml"
    path.parent.mkdir(exist_ok=True)
    files.write_text(path, head + "continuations:\n" + "\n".join(clozes) + "\nitems:\n" + "\n".join(items) + "\n")
    print(path)


if __name__ == "__main__":
    main()
