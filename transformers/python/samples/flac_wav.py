"""Turns audio, such as FLAC, into WAV: an ffmpeg for every object."""
import subprocess

FFMPEG = ["ffmpeg", "-v", "error", "-nostdin", "-i", "pipe:0", "-map_metadata", "-1", "-fflags", "+bitexact",
          "-flags:a", "+bitexact", "-threads", "1", "-f", "wav", "pipe:1"]


def transform(input_bytes):
    ffmpeg = subprocess.Popen(FFMPEG, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = ffmpeg.communicate(input_bytes)
    if ffmpeg.returncode != 0:
        raise ValueError(errors.decode("utf-8", "replace").strip() or "ffmpeg failed")
    return output
