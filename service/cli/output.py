"""Answers on standard output: for people, or as the contract's JSON for programs."""

import sys

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message


def print_json(message: Message) -> None:
    """Print the message with the names that the contract uses."""
    sys.stdout.write(MessageToJson(message, preserving_proto_field_name=True, ensure_ascii=False))
    sys.stdout.write("\n")
