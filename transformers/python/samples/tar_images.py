"""Cuts every JPEG and PNG of a TAR to its centre square, resized to 224x224."""
import io
import os.path
import tarfile

try:
    from PIL import Image
except ImportError:
    raise ImportError("tar_images.py needs Pillow: add it to the ETL's dependencies (a line that says: pillow)")

SIDE = 224
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


def transform(input_bytes):
    output = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(input_bytes)) as source:
        with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as target:
            for entry in source:
                content = source.extractfile(entry) if entry.isreg() else None
                if content is not None and is_picture(entry.name):
                    content = resize(entry.name, content.read())
                    entry.size = len(content.getvalue())
                target.addfile(entry, content)
    return output.getvalue()


def is_picture(name):
    base = os.path.basename(name)
    return os.path.splitext(base)[1].lower() in FORMATS and not base.startswith("._")


def resize(name, picture):
    try:
        image = Image.open(io.BytesIO(picture), formats=("JPEG", "PNG"))
        kind = image.format  # before convert, which forgets it
        image = image.convert("RGB" if kind == "JPEG" or not has_alpha(image) else "RGBA")
    except Exception as error:
        raise ValueError("entry %r cannot be decoded: %s" % (name, error))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.resize((SIDE, SIDE), Image.BILINEAR, box=(left, top, left + side, top + side))
    output = io.BytesIO()
    square.save(output, kind, **({"quality": 85} if kind == "JPEG" else {}))
    output.seek(0)
    return output


def has_alpha(image):
    return "A" in image.getbands() or "transparency" in image.info
