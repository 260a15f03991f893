"""Configurations out of docs/recipes: what is written there for people is what is played here."""

import os
import re


def file_of(root, recipe, name, moves):
    """The fenced block of a recipe that begins with `# NAME`, with other addresses and folders in the place of those that are written."""
    with open(os.path.join(root, "docs/recipes", recipe + ".md"), encoding="utf-8") as page:
        blocks = re.findall(r"^```\w*\n(?:#|//) (\S+)\n(.*?)^```", page.read(), re.M | re.S)
    found = [text for title, text in blocks if title == name]
    if len(found) != 1:
        raise AssertionError(f"docs/recipes/{recipe}.md has {len(found)} blocks that begin with `# {name}`")
    present = {word: other for word, other in moves.items() if word in found[0]}
    return moved(found[0], present)


def moved(text, moves):
    """Puts other words in the place of those that are written, all at once."""
    if not moves:
        return text
    pattern = re.compile("|".join(re.escape(word) for word in sorted(moves, key=len, reverse=True)))
    return pattern.sub(lambda found: moves[found.group(0)], text)
