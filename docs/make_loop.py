"""Print docs/figures/loop.svg, the drawn example of a loop that every page has beside its answer.

python docs/make_loop.py > docs/figures/loop.svg
"""

from todacomm.report.document.loop_example import drawing

if __name__ == "__main__":
    print(drawing())
