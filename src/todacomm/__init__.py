"""todacomm."""

from todacomm._version import __version__
