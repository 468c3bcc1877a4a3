"""Gives the MD5 of every object: 32 lower-case hexadecimal digits."""
import hashlib


def transform(input_bytes):
    return hashlib.md5(input_bytes).hexdigest().encode("ascii")
