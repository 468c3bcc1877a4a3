"""Gives the object after SECONDS of doing nothing."""
import time


def transform(data):
    time.sleep(SECONDS)
    return data
