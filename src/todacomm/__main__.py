"""``python -m todacomm`` is ``todacomm``."""

from todacomm.cli import main

main()
