"""The local socket: snapshots out, commands in, JSON lines both ways. A reader's death changes nothing."""

from bot.control.address import locate
from bot.control.client import Attachment, attach, send
from bot.control.messages import Command, Finished
from bot.control.server import ControlServer

__all__ = ["Attachment", "Command", "ControlServer", "Finished", "attach", "locate", "send"]
