"""Counts the words of a text."""


def run(input, ctx):
    words = len(input["text"].split())
    ctx.log(f"counted {words}")
    return {"words": words}
