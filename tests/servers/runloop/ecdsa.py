"""A new key of the curve P-256, as the PEM text that ssh reads. Good enough for a test: it takes no constant time."""
import base64
import secrets

P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
G = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
     0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)
CURVE_ID = bytes.fromhex("06082a8648ce3d030107")


def add(one, other):
    """The sum of two points; None is the neutral one."""
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % P == 0:
        return None
    if one == other:
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P)
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def multiply(number, point):
    total = None
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def tagged(tag, content):
    """DER: a tag, a length below 256, and the content."""
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return bytes([tag]) + length + content


def new_private_key_pem():
    number = 1 + secrets.randbelow(N - 1)
    x, y = multiply(number, G)
    public = b"\x00\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    whole = tagged(0x30, tagged(0x02, b"\x01") + tagged(0x04, number.to_bytes(32, "big")) + tagged(0xa0, CURVE_ID) +
                   tagged(0xa1, tagged(0x03, public)))
    text = base64.b64encode(whole).decode()
    lines = [text[place:place + 64] for place in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN EC PRIVATE KEY-----", *lines, "-----END EC PRIVATE KEY-----", ""])
