"""Ask CPython's re for its answers: answers.py questions.json > python.json

A question is [operation, pattern, flags, text, argument...]; an answer is the question with the
result, or with the error message as {"error": ...}.
"""

import json
import re
import sys
import warnings

warnings.simplefilter("ignore")


def match(found):
    if found is None:
        return None
    return [list(found.span(group)) if found.span(group)[0] >= 0 else None
            for group in range(found.re.groups + 1)]


def answer(operation, pattern, flags, text, *rest):
    if operation == "escape":
        return re.escape(pattern)
    compiled = re.compile(pattern, sum(getattr(re, flag) for flag in flags))
    if operation in ("search", "match", "fullmatch"):
        return match(getattr(compiled, operation)(text))
    if operation == "finditer":
        return [match(found) for found in compiled.finditer(text)]
    if operation == "findall":
        return compiled.findall(text)
    if operation == "split":
        return compiled.split(text, *rest)
    if operation == "sub":
        return compiled.sub(rest[0], text, rest[1])
    raise ValueError(operation)


def main():
    answered = []
    with open(sys.argv[1]) as file:
        questions = json.load(file)
    for question in questions:
        try:
            result = answer(*question)
        except (re.error, IndexError, OverflowError, ValueError) as error:
            result = {"error": str(error)}
        answered.append([question, result])
    lines = ",\n".join(json.dumps(entry) for entry in answered)
    print(f"[\n{lines}\n]")


main()
